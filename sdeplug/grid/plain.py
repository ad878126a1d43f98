"""Grids that look at time alone: equal steps, in time or in its root, and given times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor

from sdeplug.errors import ArgumentError
from sdeplug.grid.base import Steps, TimeGrid
from sdeplug.options import option
from sdeplug.sde import ForwardSDE


@dataclass(frozen=True)
class Uniform(Steps):
    """Equal steps in time."""

    def _between(self, u: Tensor, t: float, s: float, sde: ForwardSDE) -> Tensor:
        return t + u * (s - t)


@dataclass(frozen=True)
class Quadratic(Steps):
    """Equal steps in the square root of time: denser near the data.

    Song et al. (DDIM), arXiv 2010.02502, appendix D.2.
    """

    def _between(self, u: Tensor, t: float, s: float, sde: ForwardSDE) -> Tensor:
        return (math.sqrt(t) + u * (math.sqrt(s) - math.sqrt(t))).square()


@dataclass(frozen=True)
class At(TimeGrid):
    """Steps that end at given times; those outside the span are left out, the ends are added.

    Raises:
        ArgumentError: unless the times are strictly falling.
    """

    points: tuple[float, ...] = option(help="times, strictly falling", ge=0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(not late > early for late, early in pairwise(self.points)):
            raise ArgumentError("points", self.points, "strictly falling times")

    def times(self, t: float, s: float, sde: ForwardSDE) -> Sequence[float]:
        """t, the points strictly inside (s, t), s."""
        return (t, *(point for point in self.points if s < point < t), s)
