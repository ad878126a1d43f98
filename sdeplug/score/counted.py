"""A score model that counts: the only place where score evaluations are counted."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from sdeplug.errors import ScoreModelError, SdeplugError, brief_fields
from sdeplug.score.model import ScoreModel, for_rows
from sdeplug.score.wrapper import Wrapper


@dataclass(eq=False)
class Counted(Wrapper):
    """A score model that counts: the only place where score evaluations are counted.

    It keeps count of one run; each run of a pipeline has one of its own.

    Attributes:
        score_model: the model to count.
        nfe: calls so far.
        rows: rows evaluated so far, over all calls.
    """

    score_model: ScoreModel
    nfe: int = field(default=0, init=False)
    rows: int = field(default=0, init=False)
    _model: ScoreModel = field(init=False, repr=False)
    _batch: int = field(default=0, init=False, repr=False)
    _selected: Tensor | None = field(default=None, init=False, repr=False)
    _before: int = field(default=0, init=False, repr=False)
    _whole: int = field(default=0, init=False, repr=False)
    _parts: Tensor | None = field(default=None, init=False, repr=False)

    __repr__ = brief_fields

    def __post_init__(self) -> None:
        self._model = self.score_model

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """The score, counted: x of shape ``(B, *D)`` and t of shape ``(B,)`` to ``(B, *D)``."""
        return self.through(self._model, x, t)

    def through(self, model: ScoreModel, x: Tensor, t: Tensor) -> Tensor:
        """The score by way of the model, counted.

        Raises:
            ScoreModelError: if the model fails for a part of the batch.
        """
        self.nfe += 1
        self.rows += len(x)
        if self._selected is None:
            return model(x, t)
        try:
            return model(x, t)
        except (SdeplugError, torch.cuda.OutOfMemoryError):
            raise
        except (RuntimeError, IndexError, ValueError) as error:
            raise ScoreModelError(
                f"the score model failed for {len(x)} of the {self._batch} rows, after the others "
                f"had arrived: {error} If it holds something for each row, such as labels, bind "
                "that, so that its rows leave too: FromNoise(Bound(network, labels=labels), sde). "
                "Or keep all rows: the option whole_batch=True of the 'row-' solvers."
            ) from error

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
        self._selected, self._batch = rows, batch
        self._model = self.score_model if rows is None else for_rows(self.score_model, rows)

    def by_row(self, batch: int) -> Tensor:
        """Evaluations of each row of the batch: int64, shape ``(batch,)``, on the CPU."""
        self.select(None, batch)
        whole = torch.full((batch,), self._whole, dtype=torch.int64, device="cpu")
        return whole if self._parts is None else whole + self._parts.cpu()
