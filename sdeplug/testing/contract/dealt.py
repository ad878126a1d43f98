"""The same numbers, dealt into rows of every length: what becomes of one of them is to be seen in
any shape."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug.noise import NoiseSource, SharedNoise
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.testing.findings import demand
from sdeplug.testing.memory import remembered

USUAL = (4, 5)
"""A size ``(B, D)`` that other checks know."""

NUMBERS = 20_000
"""As many as most sizes have."""

DIMENSIONS = (1, 2, 3, 6, 9, 17, 33, 65, 130, 257, 1025, 3072, 20_000)
"""Lengths of rows, for :data:`NUMBERS` of them."""

LARGEST = ((1, 100_000), (10_000, 10))
"""The sizes of most numbers, and of most rows."""

_OTHERS = 1_000  # draws in one run, at most
_DATA = 0.5  # standard deviation of the data: p_t changes with t

Size = tuple[int, int]
"""A shape ``(B, D)``."""

Carried = Callable[[Tensor, Run], Tensor]
"""(x, run) to what becomes of x, of the same shape ``(B, D)``."""


class Line(NoiseSource):
    """Draws whose numbers are those of a line, row after row.

    Args:
        kept: rows at the beginning that have these, where those after have numbers of another.
        other: which other.
    """

    def __init__(self, kept: int | None = None, other: int = 1) -> None:
        self.kept, self.other, self.draws = kept, other, 0

    def normal(self, like: Tensor) -> Tensor:
        """The next numbers, alike: a part of a longer draw of the same number."""
        self.draws += 1
        numbers = line(self.draws, like.numel())
        if self.kept is not None:
            first = self.kept * like.numel() // len(like)
            numbers[first:] = line(self.draws + self.other * _OTHERS, like.numel())[first:]
        return numbers.reshape(like.shape).to(like)


@dataclass(frozen=True)
class NormalScore:
    """The score of p_t for normal data about 0: the same function of every number.

    Attributes:
        sde: the forward SDE.
    """

    sde: LinearSDE

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """At x, of shape ``(B, D)``, and t, of shape ``(B,)``."""
        first, last = map(float, t.aminmax())
        if first == last:
            marginal = self.sde.at(first)
            return x / -((_DATA * marginal.alpha) ** 2 + marginal.sigma**2)
        return -x / self.width(t.to(torch.float64)).square()[:, None].to(x.dtype)

    def width(self, t: Tensor) -> Tensor:
        """Standard deviations of p_t."""
        return torch.hypot(_DATA * self.sde.alpha(t), self.sde.sigma(t))


def line(draw: int, count: int) -> Tensor:
    """The first numbers of one draw: the same, however many are asked for."""
    blocks = [_block(draw, number) for number in range(math.ceil(count / NUMBERS))]
    return torch.cat(blocks)[:count]


def dealt(carried: Carried, size: Size, noise: Line | None = None, width: float = 1.0) -> Tensor:
    """What becomes of the first numbers of a line, dealt into rows: in a line again.

    Args:
        carried: what carries them.
        size: the shape ``(B, D)``.
        noise: its draws, those of :class:`Line` unless others are given.
        width: standard deviation of the numbers.
    """
    noise = noise or Line()
    x = line(0, math.prod(size))
    if noise.kept is not None:
        first = noise.kept * size[1]
        x[first:] = line(noise.other * _OTHERS, len(x))[first:]
    return carried((width * x).reshape(size), Run(noise)).flatten()


def demand_same(
    carry: Callable[[Size], Tensor], sizes: Iterable[Size], allowed: float, where: object
) -> None:
    """The numbers of a line come out the same, however they are dealt into rows.

    Args:
        carry: what becomes of them in a size, as :func:`dealt` has it.
        sizes: beside :data:`USUAL`.
        allowed: gap that is rounding, relative to the largest number.
        where: what was run, for messages.

    Raises:
        CheckFailed: if they do not.
    """
    known = carry(USUAL)
    for size in sizes:
        out = carry(size)
        shared = min(len(known), len(out))
        gap = float((out[:shared] - known[:shared]).abs().max() / known.abs().max())
        # What was not seen in the smaller size is known from now on.
        known = out if len(out) > len(known) else known
        demand(
            gap <= allowed,
            f"the same numbers with the same noise are off by {gap:.2g} of their size where x has "
            f"the shape {size}: nothing may depend on the number of rows or dimensions ({where})",
        )


@remembered(64)
def _block(draw: int, number: int) -> Tensor:
    like = torch.empty(NUMBERS, dtype=torch.float64, device="cpu")
    return SharedNoise(1000 * draw + number).normal(like)
