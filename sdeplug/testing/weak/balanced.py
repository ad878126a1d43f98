r"""Noise that is balanced: over its rows products of a few draws have the mean that they should.

What a short step does to a law is told by products of few numbers: :math:`z_i`, :math:`z_i z_j`,
and these times a function of what else is drawn, as a time.  A number is a sign and a size here.
The signs of a point run over a linear code, in which any four columns meet in every way, equally
often; with each of them the sizes run over an orthogonal array, in which any two columns do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import combinations

import torch
from torch import Tensor

from sdeplug.noise import NoiseSource, SharedNoise
from sdeplug.testing.exact.arrays import nodes, part_of
from sdeplug.testing.findings import NotApplicable

_STRENGTH = 4  # draws whose products of signs have a mean of 0
_GOLDEN = 0.5 * (math.sqrt(5.0) - 1.0)
MOST = 16
"""The most numbers that a row may draw."""

SIZES = (4, 8)
"""How many sizes a number may have in an array that each point has the whole of; it may draw one
number more."""


class Balanced(NoiseSource):
    """Draws for points that come ``repeats`` times each, one after the other.

    Args:
        points: how many there are.
        columns: how many numbers a row draws.
        levels: how many sizes a number may have, :data:`SIZES` or as :class:`Arrays` has them; 1
            for +1 and -1, which is enough for noise that is added.
        seed: None, and each point has the whole array.  With a seed it has a part of it, with every
            size of a column once, and sizes are drawn, each from its share of the law.

    Raises:
        NotApplicable: for more columns than there are.
    """

    def __init__(self, points: int, columns: int, levels: int = 1, seed: int | None = None) -> None:
        most = MOST if levels == 1 else min(MOST, levels + (seed is None))
        if columns > most:
            raise NotApplicable(
                f"it draws {columns} numbers over a short span; {most} are the most"
            )
        self._signs, self._points, self._levels = _signs(columns), points, levels
        self._chance = None if seed is None else torch.Generator().manual_seed(seed)
        self.repeats = levels * self._signs.shape[1]
        if self._chance is None:
            self.repeats *= levels
        else:
            rounds = range(-(-points // levels))
            self._part = torch.cat([self._order() for _ in rounds])[:points]
        self.draws = 0

    def normal(self, like: Tensor) -> Tensor:
        """The next columns, one for each number of a row.

        Raises:
            NotApplicable: for other rows, or more columns, than were to come.
        """
        width = math.prod(like.shape[1:])
        if len(like) != self._points * self.repeats or self.draws + width > len(self._signs):
            raise NotApplicable("what it draws depends on the data, or is for some rows alone")
        columns = [self._next() for _ in range(width)]
        return torch.stack(columns, 1).reshape(like.shape).to(like)

    def _next(self) -> Tensor:
        number, self.draws = self.draws, self.draws + 1
        signs = self._signs[number]
        if self._levels > 1:
            sizes = self._whole(number) if self._chance is None else self._drawn(number)
            signs = sizes[..., None] * signs
        if self._chance is None:
            return signs.flatten().repeat(self._points)
        return signs.flatten()

    def _whole(self, number: int) -> Tensor:
        """Sizes of a column, those of the whole array."""
        return nodes(2 * self._levels)[self._levels :][part_of(self._levels, number).long()]

    def _drawn(self, number: int) -> Tensor:
        """Sizes of a column, every share of the law once for each point: ``(points, levels)``.

        Those of neighbouring points fill their share evenly.
        """
        # The column after the first is the same for all rows of a part.
        column = part_of(self._levels, number + 1 if number else 0).long()
        share = self._order()[column.reshape(self._levels, self._levels)[self._part]]
        starts = torch.rand(self._levels, generator=self._chance, dtype=torch.float64, device="cpu")
        places = torch.arange(self._points, dtype=torch.float64, device="cpu")[:, None]
        within = (_GOLDEN * places + starts[share]).frac()
        sizes: Tensor = torch.special.ndtri(0.5 + 0.5 * (share + within) / self._levels)
        return sizes

    def _order(self) -> Tensor:
        return torch.randperm(self._levels, generator=self._chance, device="cpu")


class Many(NoiseSource):
    """Very many draws, for points that come ``repeats`` times each, one after the other.

    They are signs, any three columns of which meet in every way, equally often.  The first numbers
    of a row have sizes beside that.

    Args:
        points: how many there are.
        columns: how many numbers a row draws, at most.
        sizes: of the first of them, one tuple for each share of the rows.
    """

    def __init__(self, points: int, columns: int, sizes: Sequence[tuple[float, ...]]) -> None:
        # No three odd numbers add up to nothing, bit by bit.
        signs = _table(tuple(range(1, 2 * columns, 2)))
        first = torch.tensor(sizes, dtype=torch.float64, device="cpu").T
        self._columns = signs.repeat(1, len(sizes))
        self._columns[: len(first)] *= first.repeat_interleave(signs.shape[1], 1)
        self._points, self.repeats, self.draws = points, self._columns.shape[1], 0

    def normal(self, like: Tensor) -> Tensor:
        """The next columns, one for each number of a row.

        Raises:
            NotApplicable: for other rows, or more columns, than were to come.
        """
        width, first = math.prod(like.shape[1:]), self.draws
        self.draws += width
        if len(like) != self._points * self.repeats or self.draws > len(self._columns):
            raise NotApplicable("it draws more than was counted, or for some rows alone")
        numbers = self._columns[first : self.draws].T.repeat(self._points, 1)
        return numbers.reshape(like.shape).to(like)


class Counted(NoiseSource):
    """Any numbers, to count how many of them a row draws.

    Args:
        times: a factor of them.
    """

    def __init__(self, times: float = 1.0) -> None:
        self._source, self._times, self.draws = SharedNoise(0), times, 0

    def normal(self, like: Tensor) -> Tensor:
        """Some numbers, times the factor."""
        self.draws += math.prod(like.shape[1:])
        return self._times * self._source.normal(like)


def _signs(columns: int) -> Tensor:
    """Columns of +1 and -1, any four of them balanced, shape ``(columns, rows)``."""
    return _table(_codes()[:columns])


@cache
def _table(codes: tuple[int, ...]) -> Tensor:
    """Columns of +1 and -1 of a linear code, shape ``(columns, rows)``."""
    bits = max(codes, default=0).bit_length()
    table = [
        [1.0 - 2.0 * ((row & code).bit_count() % 2) for row in range(2**bits)] for code in codes
    ]
    return torch.tensor(table, dtype=torch.float64, device="cpu").reshape(len(codes), 2**bits)


@cache
def _codes() -> tuple[int, ...]:
    """Numbers, each the smallest of which no four, bit by bit, add up to nothing."""
    found, candidate = list[int](), 0
    while len(found) < MOST:
        sums = {_sum(each) for size in range(_STRENGTH) for each in combinations(found, size)}
        while candidate in sums:
            candidate += 1
        found.append(candidate)
    return tuple(found)


def _sum(codes: tuple[int, ...]) -> int:
    """Bit by bit."""
    total = 0
    for code in codes:
        total ^= code
    return total
