"""A score model that counts: the only place where score evaluations are counted."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from sdeplug.score.model import ScoreModel


@dataclass(eq=False)
class Counted:
    """A score model that counts: the only place where score evaluations are counted.

    Attributes:
        score_model: the model to count.
        nfe: calls so far.
        rows: rows evaluated so far, over all calls.
    """

    score_model: ScoreModel
    nfe: int = field(default=0, init=False)
    rows: int = field(default=0, init=False)
    _selected: Tensor | None = field(default=None, init=False, repr=False)
    _before: int = field(default=0, init=False, repr=False)
    _whole: int = field(default=0, init=False, repr=False)
    _parts: Tensor | None = field(default=None, init=False, repr=False)

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """The score, counted: x of shape ``(B, *D)`` and t of shape ``(B,)`` to ``(B, *D)``."""
        self.nfe += 1
        self.rows += len(x)
        return self.score_model(x, t)

    def select(self, rows: Tensor | None, batch: int) -> None:
        """Hear which rows of the batch the next calls are for.

        Args:
            rows: their numbers, int64; None for all of them.
            batch: size of the batch.
        """
        calls, self._before = self.nfe - self._before, self.nfe
        if self._selected is None:
            self._whole += calls
        elif calls:
            if self._parts is None:
                self._parts = torch.zeros(batch, dtype=torch.int64, device=self._selected.device)
            self._parts[self._selected] += calls
        self._selected = rows

    def by_row(self, batch: int) -> Tensor:
        """Evaluations of each row of the batch: int64, shape ``(batch,)``, on the CPU."""
        self.select(None, batch)
        whole = torch.full((batch,), self._whole)
        return whole if self._parts is None else whole + self._parts.cpu()
