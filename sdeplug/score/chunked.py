"""A score model that is asked for a part of the batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError, PairingError, brief_fields
from sdeplug.score.checked import checked
from sdeplug.score.model import ScoreModel, for_rows, with_divergence
from sdeplug.score.wrapper import Wrapper


@dataclass(frozen=True)
class Chunked(Wrapper):
    """A score model that gets at most ``size`` rows at a time: for a batch too large for it.

    A pipeline counts one evaluation for the whole batch, however many chunks it takes.

    Attributes:
        score_model: the model to ask.
        size: the largest number of rows that it gets.

    Raises:
        PairingError: if the model is none.
        ArgumentError: if the size is not a whole number of at least 1.
    """

    score_model: ScoreModel
    size: int

    __repr__ = brief_fields

    def __post_init__(self) -> None:
        if not callable(self.score_model):
            raise PairingError(
                f"score_model = {self.score_model!r}: must be a callable (x, t) -> score. "
                "The order is Chunked(score_model, size)."
            )
        if isinstance(self.size, bool) or not isinstance(self.size, int) or self.size < 1:
            raise ArgumentError("size", self.size, "a whole number of rows, at least 1")

    def through(self, model: ScoreModel, x: Tensor, t: Tensor) -> Tensor:
        """The score by way of the model, chunk by chunk."""
        if len(x) <= self.size:
            return model(x, t)
        return torch.cat(
            [checked(some(*part), part[0]) for some, *part in self._parts(model, x, t)]
        )

    def through_with_divergence(
        self, model: ScoreModel, x: Tensor, t: Tensor
    ) -> tuple[Tensor, Tensor] | None:
        """The score by way of the model and its divergence, chunk by chunk."""
        if len(x) <= self.size:
            return with_divergence(model, x, t)
        scores, divergences = [], []
        for some, *part in self._parts(model, x, t):
            found = with_divergence(some, *part)
            if found is None:
                return None
            scores.append(found[0])
            divergences.append(found[1])
        return torch.cat(scores), torch.cat(divergences)

    def _parts(
        self, model: ScoreModel, x: Tensor, t: Tensor
    ) -> Iterator[tuple[ScoreModel, Tensor, Tensor]]:
        """The model, states and times of each chunk."""
        for rows in torch.arange(len(x), dtype=torch.int64, device="cpu").split(self.size):
            some = slice(int(rows[0]), int(rows[-1]) + 1)
            yield for_rows(model, rows), x[some], t[some]
