"""Noise that is zero but for impulses: what an exact law is measured with."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import torch
from torch import Tensor

from sdeplug.brownian import BrownianPath
from sdeplug.errors import PairingError
from sdeplug.noise import NoiseSource


class Impulses(NoiseSource):
    """Noise that is zero but for impulses.

    A column is one independent unit normal: a draw, or the increment of a Brownian path between
    two neighbouring times of those that are asked for, which a dry run finds out.  Row
    1 + p + j p + i gets the i-th of p patterns in column j, and the rows before get none.

    Args:
        patterns: the impulses, one a row, shape ``(p, D)``.
        cells: for each Brownian path the times that it is asked for, rising.
    """

    def __init__(self, patterns: Tensor, cells: Sequence[Sequence[float]] = ()) -> None:
        self.patterns = patterns
        self.cells = cells
        self.asked: list[set[float]] = []
        self.columns = 0  # how many there are, once a dry run has counted them
        self._used = 0

    def normal(self, like: Tensor) -> Tensor:
        """Zeros of the shape of ``like``, with the impulses of this draw."""
        noise = torch.zeros_like(like)
        self.add(noise, self._used, 1.0)
        self._used += 1
        return noise

    def brownian(self, like: Tensor, t: float, s: float) -> BrownianPath:
        """A path that moves by impulses, one in each cell."""
        number, first = len(self.asked), self._used
        self.asked.append(set())
        cells = self.cells[number] if number < len(self.cells) else ()
        self._used += max(len(cells) - 1, 0)
        return ImpulsePath(like, t, s, self, number, first)

    def add(self, noise: Tensor, column: int, weight: float) -> None:
        """Add the impulses of a column, if the batch has rows for them."""
        count = len(self.patterns)
        first = 1 + count * (1 + column)
        if first < len(noise):
            patterns = self.patterns.to(noise).reshape(-1, *noise.shape[1:])
            noise[first : first + count] += weight * patterns

    def again(self) -> Impulses:
        """A fresh source that knows which times were asked for."""
        fresh = Impulses(self.patterns, [sorted(times) for times in self.asked])
        fresh.columns = self._used + sum(max(len(times) - 1, 0) for times in fresh.cells)
        return fresh


class ImpulsePath(BrownianPath):
    """A Brownian path that moves by impulses; see :class:`Impulses`."""

    def __init__(
        self, like: Tensor, t: float, s: float, source: Impulses, number: int, first: int
    ) -> None:
        super().__init__(like, t, s)
        self.source, self.number, self.first = source, number, first

    def increment(self, u: float | Tensor, v: float | Tensor) -> Tensor:
        """W(u) - W(v).

        Raises:
            PairingError: if rows ask for different times, or the second run for other times
                than the dry one.
        """
        ends = [_one(u), _one(v)]
        self.source.asked[self.number].update(ends)
        noise = torch.zeros_like(self.like)
        if self.number >= len(self.source.cells):
            return noise
        cells, sign = self.source.cells[self.number], 1.0 if ends[0] < ends[1] else -1.0
        low, high = (bisect_left(cells, end) for end in sorted(ends))
        if high == len(cells) or [cells[low], cells[high]] != sorted(ends):
            raise PairingError("it asks for other times when it is fed other data: not affine.")
        for k in range(low, high):
            self.source.add(noise, self.first + k, sign * (cells[k + 1] - cells[k]) ** 0.5)
        return noise


def _one(u: float | Tensor) -> float:
    times = torch.as_tensor(u, dtype=torch.float64).reshape(-1)
    if bool((times != times[0]).any()):
        raise PairingError("its rows ask for the path at different times: not affine.")
    return float(times[0])
