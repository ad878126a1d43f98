r"""Noise in an orthogonal array: two moments of a sampler that is not affine, without chance.

In a table of q^2 rows with q levels (Bose 1938, Bush 1952) any two columns meet in every pair of
levels, once.  Let the levels of a column be as many values of a normal number, all as likely, and
let each draw of a run have a column of its own.  What is a sum of functions of one draw each, such
as :math:`A x + \sum_j C_j f(z_j)`, then has *exactly* the mean and variance that independent
numbers give it; what ties more draws together, nearly.  So +-1 in place of a normal number, or a
step that follows the state, is measured as sharply as what is affine.  A choice at a threshold
between two levels is not: for it the values are drawn, each from its part of the law.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from sdeplug.errors import PairingError
from sdeplug.noise import NoiseSource, SharedNoise
from sdeplug.run import Run
from sdeplug.testing.exact.laws import Sampler
from sdeplug.testing.memory import remembered

_MODULI = {4: 0b111, 8: 0b1011, 16: 0b10011, 32: 0b100101, 64: 0b1000011, 128: 0b10000011}
LEVELS = tuple(_MODULI)[2:]
"""How many levels an array may have; it has one column more than levels."""


class Arrays(NoiseSource):
    """Noise whose draws are the columns of an orthogonal array, for ``levels ** 2`` rows.

    Every draw is one number a row, or the same one for all numbers of the row.  Where there are
    more draws than columns, they begin again, with the rows in another order.

    Args:
        levels: one of :data:`LEVELS`.
        seed: in which order levels and rows come.
        drawn: whether a level is a part of the law that values are drawn from, and not a value.
        mirrored: whether each row comes twice, the second time with its first number, which is x,
            negated: then products of x and noise, and of what else is drawn, are gone too.
    """

    def __init__(
        self, levels: int, seed: int = 0, drawn: bool = False, mirrored: bool = False
    ) -> None:
        self._columns, self.mirrored = _columns(levels, seed, drawn), mirrored
        self.draws = 0

    def normal(self, like: Tensor) -> Tensor:
        """The next column."""
        numbers = self.next_column().to(like)
        spread: Tensor = numbers.reshape(-1, *[1] * (like.ndim - 1)).expand_as(like)
        return spread.clone()

    def next_column(self) -> Tensor:
        """The next column as normal numbers, float64, shape ``(levels ** 2,)``, or twice that; not
        to be written to."""
        self.draws += 1
        values = self._columns.at(self.draws - 1)
        if not self.mirrored:
            return values
        return torch.cat((values, values if self.draws > 1 else -values))


class Apart(NoiseSource):
    """Noise of an array in which the numbers of a row are independent: in each the rows have an
    order of their own.

    Args:
        levels: one of :data:`LEVELS`.
        seed: in which order levels and rows come, and which values are drawn.
        shape: of a row of x.
    """

    def __init__(self, levels: int, seed: int, shape: Sequence[int]) -> None:
        self._array = Arrays(levels, seed, drawn=True)
        self.rows = levels**2
        chance = torch.Generator().manual_seed(seed)
        self._orders = torch.stack(
            [torch.randperm(self.rows, generator=chance) for _ in range(math.prod(shape))]
        )

    def normal(self, like: Tensor) -> Tensor:
        """The next column, for each number of a row in its own order."""
        width = math.prod(like.shape[1:])
        if width > len(self._orders) or len(like) != self.rows:
            raise PairingError(
                f"it draws {width} numbers in each of {len(like)} rows; {len(self._orders)} in "
                f"{self.rows} are the most that there are."
            )
        numbers = self._array.next_column()[self._orders[:width]]
        return numbers.T.reshape(like.shape).to(like)


class _Columns:
    """The columns of one array, made when they are asked for first."""

    def __init__(self, levels: int, seed: int, drawn: bool) -> None:
        self.levels, self.drawn = levels, drawn
        self._chance = torch.Generator().manual_seed(seed)
        self._nodes = nodes(levels)
        self._made: list[Tensor] = []
        self._order: Tensor | None = None

    def at(self, number: int) -> Tensor:
        """The column of a draw."""
        while len(self._made) <= number:
            self._made.append(self._next())
        return self._made[number]

    def _next(self) -> Tensor:
        again, column = divmod(len(self._made), self.levels + 1)
        if again and not column:
            self._order = torch.randperm(self.levels**2, generator=self._chance)
        shuffled = torch.randperm(self.levels, generator=self._chance)[
            part_of(self.levels, column).long()
        ]
        chosen = shuffled if self._order is None else shuffled[self._order]
        return self._inside(chosen) if self.drawn else self._nodes[chosen]

    def _inside(self, parts: Tensor) -> Tensor:
        within = torch.rand(len(parts), generator=self._chance, dtype=torch.float64, device="cpu")
        values: Tensor = torch.special.ndtri((parts + within) / self.levels)
        return values


_columns = remembered(9)(_Columns)  # values, and those of the eight seeds of one stage


@lru_cache(maxsize=256)
def part_of(levels: int, column: int) -> Tensor:
    """Levels b, a, a + b, a + 2 b, ... of row (a, b), in the field of that many elements."""
    first = torch.arange(levels, dtype=torch.int16, device="cpu")
    high, low = first.repeat_interleave(levels), first.repeat(levels)
    if not column:
        return low
    factor, product, power = column - 1, torch.zeros_like(low), low
    while factor:
        if factor & 1:
            product = product ^ power
        factor, power = factor >> 1, power << 1
        power = torch.where(power >= levels, power ^ _MODULI[levels], power)
    return high ^ product


def nodes(levels: int) -> Tensor:
    """Values of a normal number, all as likely: mean 0 and variance 1 exactly, none of them 0.

    Each stands for a part of the law of the same probability, as the root of its mean square.
    """
    ends = torch.linspace(0.0, 1.0, levels + 1, dtype=torch.float64, device="cpu")
    marks = torch.special.ndtri(ends[1:-1])
    edge = marks * (-0.5 * marks.square()).exp() / math.sqrt(2.0 * math.pi)
    edge = torch.cat((edge.new_zeros(1), edge, edge.new_zeros(1)))
    squares = 1.0 - levels * (edge[1:] - edge[:-1])
    middle = torch.special.ndtri(0.5 * (ends[1:] + ends[:-1]))
    values: Tensor = squares.sqrt() * middle.sign()
    return values


def array_moments(
    sampler: Sampler, mean: float, variance: float, noise: Arrays
) -> tuple[float, float]:
    """Mean and variance of what a sampler makes of x ~ N(mean, variance), a number a row.

    Args:
        sampler: function (x, run) -> y.
        mean: of x.
        variance: of x.
        noise: a fresh array; its first column is x.
    """
    x = mean + math.sqrt(variance) * noise.next_column()[:, None]
    with torch.no_grad():
        y = sampler(x, Run(noise))
    return float(y.mean()), float(y.var(correction=0))


def counted_draws(sampler: Sampler, x: Tensor | None = None) -> int:
    """How often a sampler draws in a run: for x, or for a single number."""
    source = _Counted()
    start = torch.zeros(1, 1, dtype=torch.float64, device="cpu") if x is None else x
    with torch.no_grad():
        sampler(start, Run(source))
    return source.draws


class _Counted(NoiseSource):
    def __init__(self) -> None:
        self.source, self.draws = SharedNoise(0), 0

    def normal(self, like: Tensor) -> Tensor:
        self.draws += 1
        return self.source.normal(like)
