"""A score model that counts: the only place where score evaluations are counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sdeplug.errors import ScoreModelError, SdeplugError, brief_fields
from sdeplug.score.model import ScoreModel, asked_rows, for_rows, with_divergence
from sdeplug.score.understood import understood
from sdeplug.score.wrapper import Wrapper

OnFirst = Callable[[Tensor, Tensor, Tensor], None]


@dataclass(eq=False)
class Counted(Wrapper):
    """A score model that counts: the only place where score evaluations are counted.

    It keeps count of one run; each run of a pipeline has one of its own.  What the model answers
    without its network, as :class:`AnalyticFirst` does, costs nothing.

    Attributes:
        score_model: the model to count.
        first: called with x, t and the score of the first call; None: nobody wants to know.
        nfe: calls so far, but those in which no row needed a network.
        rows: rows evaluated so far, over all calls.
    """

    score_model: ScoreModel
    first: OnFirst | None = field(default=None, repr=False, kw_only=True)
    nfe: int = field(default=0, init=False)
    rows: int = field(default=0, init=False)
    _model: ScoreModel = field(init=False, repr=False)
    _asks: bool = field(init=False, repr=False)
    _batch: int = field(default=0, init=False, repr=False)
    _selected: Tensor | None = field(default=None, init=False, repr=False)
    _before: int = field(default=0, init=False, repr=False)
    _whole: int = field(default=0, init=False, repr=False)
    _parts: Tensor | None = field(default=None, init=False, repr=False)

    __repr__ = brief_fields

    def __post_init__(self) -> None:
        self._model = self.score_model
        self._asks = hasattr(self.score_model, "asked")

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """The score, counted: x of shape ``(B, *D)`` and t of shape ``(B,)`` to ``(B, *D)``.

        Raises:
            PairingError: in the first call, if the model cannot be asked: it wants labels, other
                times, or x of another shape.
        """
        if not self.nfe:  # the first shows whether it can be asked at all
            return self._first(x, t)
        return self._counted(x, t)

    def _first(self, x: Tensor, t: Tensor) -> Tensor:
        with understood(self.score_model, x):
            score = self._counted(x, t)
        tell, self.first = self.first, None
        if tell is not None:
            tell(x, t, score)
        return score

    def _counted(self, x: Tensor, t: Tensor) -> Tensor:
        if self._selected is None and not self._asks:
            self._count(None, x.shape[0])  # of a tensor, len() is as dear as an operation
            return self._model(x, t)
        self._count(self._asked(t), len(x))
        return self._evaluated(self._model, x, t)

    def with_divergence(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor] | None:
        """The score and its divergence, counted as one evaluation, where both are known."""
        found = with_divergence(self._model, x, t)
        if found is not None:
            self._count(self._asked(t), len(x))
        return found

    def through(self, model: ScoreModel, x: Tensor, t: Tensor) -> Tensor:
        """The score by way of the model, counted.

        Raises:
            ScoreModelError: if the model fails for a part of the batch.
        """
        self._count(asked_rows(model, t), len(x))
        return self._evaluated(model, x, t)

    def through_with_divergence(
        self, model: ScoreModel, x: Tensor, t: Tensor
    ) -> tuple[Tensor, Tensor] | None:
        """The score by way of the model and its divergence, counted where both are known."""
        found = with_divergence(model, x, t)
        if found is not None:
            self._count(asked_rows(model, t), len(x))
        return found

    def _asked(self, t: Tensor) -> Tensor | None:
        """Which of the selected rows need a network; the others get their call back."""
        asked = asked_rows(self._model, t)
        if asked is not None and bool(asked.any()):
            self._add(~asked, -1)  # a call counts for all rows
        return asked

    def _count(self, asked: Tensor | None, rows: int) -> None:
        needed = rows if asked is None else int(asked.sum())
        self.nfe += needed > 0
        self.rows += needed

    def _evaluated(self, model: ScoreModel, x: Tensor, t: Tensor) -> Tensor:
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
            self._add(torch.ones_like(self._selected, dtype=torch.bool), calls)
        self._selected, self._batch = rows, batch
        self._model = self.score_model if rows is None else for_rows(self.score_model, rows)

    def by_row(self, batch: int) -> Tensor:
        """Evaluations of each row of the batch: int64, shape ``(batch,)``, on the CPU."""
        self.select(None, batch)
        whole = torch.full((batch,), self._whole, dtype=torch.int64, device="cpu")
        return whole if self._parts is None else whole + self._parts.cpu()

    def _add(self, these: Tensor, calls: int) -> None:
        """Count calls for some rows alone, besides those that count for the whole batch.

        Args:
            these: bool, one for each row that is selected.
            calls: how many.
        """
        selected = self._selected
        if self._parts is None:
            size = len(these) if selected is None else self._batch
            self._parts = torch.zeros(size, dtype=torch.int64, device=these.device)
        self._parts[these if selected is None else selected[these]] += calls
