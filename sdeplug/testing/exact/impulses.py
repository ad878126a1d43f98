"""Noise that is zero but for impulses: what an exact law is measured with."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from itertools import pairwise
from operator import itemgetter

import torch
from torch import Tensor

from sdeplug.errors import PairingError
from sdeplug.noise import BrownianPath, NoiseSource

Cell = tuple[float, float, int]
"""Part of a Brownian path, from one time to another, and its column."""


class Impulses(NoiseSource):
    """Noise that is zero but for impulses.

    A column is one independent unit normal: a draw, or the increment of a Brownian path over a
    cell.  The cells of a path are those between neighbouring times of a run before this one
    (:meth:`again`); without one, each increment adds what it reaches of the path for the first
    time.  Row 1 + p + j p + i gets the i-th of p patterns in column j, and the rows before get
    none.

    Args:
        patterns: the impulses, one a row, shape ``(p, D)``.
        cells: for each Brownian path the times that it is asked for, rising.
    """

    def __init__(self, patterns: Tensor, cells: Sequence[Sequence[float]] = ()) -> None:
        self.patterns = self._last = patterns
        self._count = len(patterns)
        self.cells = cells
        self.asked: list[set[float]] = []
        self.columns = 0  # how many there are so far
        self.cut = False  # whether a part of a cell was asked for, so that answers are wrong
        self._draws = 0

    def normal(self, like: Tensor) -> Tensor:
        """Zeros of the shape of ``like``, with the impulses of this draw."""
        noise = torch.zeros_like(like)
        self._draws += 1
        self.add(noise, self.column(), 1.0)
        return noise

    def brownian(self, like: Tensor, t: float, s: float) -> BrownianPath:
        """A path that moves by impulses, one in each cell."""
        number = len(self.asked)
        self.asked.append(set())
        known = self.cells[number] if number < len(self.cells) else None
        return ImpulsePath(like, t, s, self, self.asked[number], known)

    def column(self) -> int:
        """The next column."""
        self.columns += 1
        return self.columns - 1

    def add(self, noise: Tensor, column: int, weight: float) -> None:
        """Add the impulses of a column, if the batch has rows for them."""
        count = self._count
        first = 1 + count * (1 + column)
        if first < noise.shape[0]:  # a tenth of the time of len()
            noise[first : first + count].add_(self._like(noise), alpha=weight)

    def _like(self, noise: Tensor) -> Tensor:
        """The patterns in the shape of rows of the noise, and its dtype; the same in most draws."""
        last = self._last
        if last.shape[1:] != noise.shape[1:] or last.dtype != noise.dtype:
            self._last = last = self.patterns.to(noise).reshape(-1, *noise.shape[1:])
        return last

    def again(self) -> tuple[Impulses, int]:
        """A fresh source that knows which times were asked for, and how many columns it has."""
        cells = [sorted(times) for times in self.asked]
        columns = self._draws + sum(max(len(times) - 1, 0) for times in cells)
        return Impulses(self.patterns, cells), columns


class ImpulsePath(BrownianPath):
    """A Brownian path that moves by impulses; see :class:`Impulses`.

    Args:
        like: what its increments look like.
        t: upper end.
        s: lower end.
        source: where the columns come from.
        asked: where the times that it is asked for are noted.
        known: its times, if they are known; it has no others then.
    """

    def __init__(
        self, like: Tensor, t: float, s: float, source: Impulses, asked: set[float],
        known: Sequence[float] | None,
    ) -> None:  # fmt: skip
        super().__init__(like, t, s)
        self.source, self.asked, self.complete = source, asked, known is not None
        self.cells: list[Cell] = [(*ends, source.column()) for ends in pairwise(known or ())]

    def increment(self, u: float, v: float) -> Tensor:
        """W(u) - W(v).

        Raises:
            PairingError: if the second run asks for other times than the dry one.
        """
        ends = float(u), float(v)
        self.asked.update(ends)
        noise, sign = torch.zeros_like(self.like), 1.0 if ends[0] < ends[1] else -1.0
        for start, end, column in self._cells_between(min(ends), max(ends)):
            self.source.add(noise, column, sign * (end - start) ** 0.5)
        return noise

    def _cells_between(self, low: float, high: float) -> Iterator[Cell]:
        """The cells from one time to another, with new ones where there are none yet."""
        first = bisect_right(self.cells, low, key=itemgetter(1))
        last = bisect_left(self.cells, high, key=itemgetter(0))
        here = low
        for cell in self.cells[first:last]:
            if cell[0] < low or cell[1] > high:
                self._must_not_be_complete()
                self.source.cut = True
                return
            if here < cell[0]:
                yield self._grown(here, cell[0])
            yield cell
            here = cell[1]
        if here < high:
            yield self._grown(here, high)

    def _grown(self, start: float, end: float) -> Cell:
        self._must_not_be_complete()
        cell = (start, end, self.source.column())
        insort(self.cells, cell)
        return cell

    def _must_not_be_complete(self) -> None:
        if self.complete:
            raise PairingError("it asks for other times when it is fed other data: not affine.")
