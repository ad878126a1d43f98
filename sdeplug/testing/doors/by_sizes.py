"""A function in batches of other sizes: what becomes of a row does not depend on how many there
are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug.sde import LinearSDE
from sdeplug.testing.contract.dealt import (
    NUMBERS,
    USUAL,
    Line,
    NormalScore,
    Size,
    dealt,
    demand_same,
)
from sdeplug.testing.doors.by_samples import Sampling, seeded
from sdeplug.testing.findings import CheckFailed, Finding, NotApplicable

_BATCHES = (1, 2, 3, 5, 6, 7, 8, 10, 16, 17, 32, 64, 65, 128, 257, 1025, 4000)
_DIMENSIONS = (1, 2, 3, 9, 17, 65, 257, 1025)
_FEW = 4000  # numbers in rows of these lengths
_APART = ((5, 4), (2, 10))
_ROUNDING = 1e-4  # it may round to float32 inside
_HALF = 8.0  # units of the last place of a shorter dtype
_TOGETHER, _OTHERS = (2, 8, 64, 257), (1, 2, 3, 4, 5, 6)


def same_in_all_sizes(
    function: Sampling, sde: LinearSDE, dtype: torch.dtype, steps: int
) -> Finding:
    """The same rows with the same noise come out the same, alone and in a batch of 4,000.

    Args:
        function: (score, x, steps) to y.
        sde: the forward SDE.
        dtype: dtype of x.
        steps: in which it is run.

    Raises:
        CheckFailed: if they do not.
        NotApplicable: if they need not, since a row depends on what is in the others.
    """
    sized = _Sized(function, sde, dtype, steps)
    rows = [(count, USUAL[1]) for count in _BATCHES]
    sized.demand(rows)
    told = f"the same in batches of 1 to {_BATCHES[-1]:,} rows"
    if not any(map(sized.same, _APART)):
        return Finding(f"{told}; the numbers of a row hang together")
    sized.demand([*((_FEW // each, each) for each in _DIMENSIONS), (1, NUMBERS)])
    return Finding(f"{told}, and in rows of 1 to {NUMBERS:,} numbers")


@dataclass(frozen=True)
class _Sized:
    """A function in so many steps, on rows that are dealt from a line."""

    function: Sampling
    sde: LinearSDE
    dtype: torch.dtype
    steps: int

    def demand(self, sizes: Iterable[Size]) -> None:
        """Nothing depends on the size.

        Raises:
            CheckFailed: if something does.
            NotApplicable: if the rows of a batch hang together.
        """
        try:
            self._demand_same(sizes)
        except CheckFailed:
            for rows in _TOGETHER:
                self._demand_rows_apart((rows, USUAL[1]))
            raise

    def same(self, size: Size) -> bool:
        """Whether numbers come out as they do in rows of another length."""
        try:
            self._demand_same([size])
        except CheckFailed:
            return False
        return True

    def carried(self, size: Size, noise: Line | None = None, seed: int = 0) -> Tensor:
        """The numbers of a line, from T to eps."""
        score = NormalScore(self.sde)
        end = torch.tensor(self.sde.T, dtype=torch.float64, device="cpu")
        sampler = seeded(lambda x: self.function(score, x, self.steps), seed, strict=False)
        return dealt(
            lambda x, run: sampler(x.to(self.dtype), run), size, noise, float(score.width(end))
        )

    def _demand_same(self, sizes: Iterable[Size]) -> None:
        demand_same(self.carried, sizes, self._rounding(), f"{self.steps} steps")

    def _demand_rows_apart(self, size: Size) -> None:
        """Half of the rows stay as they are, whatever the others are.

        Raises:
            NotApplicable: if they do not.
        """
        half, known = size[0] // 2, self.carried(size)
        others = [self.carried(size, Line(half, other)) for other in _OTHERS]
        for each in (*others, self.carried(size, seed=1)):
            gap = (each - known)[: half * size[1]].abs().max() / known.abs().max()
            if not float(gap) <= self._rounding():
                raise NotApplicable(
                    "what becomes of a row depends on the others, or on what all of them share: "
                    "batches of other sizes are not judged"
                )

    def _rounding(self) -> float:
        return max(_ROUNDING, _HALF * torch.finfo(self.dtype).eps)
