"""What is continuous in a sampler, found on a network: grid, knee and stochasticity.

All points of a search get the same random numbers, so that the distance is a smooth function of
them but for the samples that change sides; a simplex needs no more.  Nelder & Mead 1965, with
bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, isfinite, log

from sdeplug.compare import Contender
from sdeplug.grid import Focus
from sdeplug.registry import solver

_LENGTHS = ((1e-3, 1.0), (3.0, 1e3), (1e-2, 3.0))  # low, high and knee, over the size of the data
_MOST = 1.6  # stochasticity
_STEP = 0.25  # of each range, in the first simplex
_FAR = 1e30  # of a run that failed: a simplex adds and compares, and infinities less infinities
_START = (0.05, 60.0, 0.3)  # in the ranges of the lengths: where `auto` has them


@dataclass(frozen=True)
class Point:
    """A member of the family of ``exponential/adams`` of second order, on a grid in focus.

    Attributes:
        low: sigma/alpha below which steps are sparse.
        high: sigma/alpha above which they are.
        knee: of the method.
        level: stochasticity.
    """

    low: float
    high: float
    knee: float
    level: float

    @property
    def label(self) -> str:
        """For people."""
        grid = f"focus {self.low:.2g} to {self.high:.2g}"
        return f"UniPC 2, {grid}, knee {self.knee:.2g}, l = {self.level:.2g}"

    @property
    def contender(self) -> Contender:
        """What runs."""
        by = solver("exponential/adams", predictor=2, corrector=2, knee=self.knee)
        return Contender(by, self.level, Focus(1, self.low, self.high))


def searched(
    distance: Callable[[Point], float], level: float, size: float, most: int
) -> Point | None:
    """The best point that a simplex finds.

    Args:
        distance: of samples to data; what is not finite is far.
        level: stochasticity to start from.
        size: standard deviation of a coordinate of the data.
        most: how many points, at most.

    Returns:
        None where no point has a distance.
    """
    from scipy.optimize import minimize

    seen: dict[Point, float] = {}

    def measured(place: list[float]) -> float:
        point = _point(place, size)
        if point not in seen:
            seen[point] = distance(point)
        return seen[point] if isfinite(seen[point]) else _FAR

    start = [*map(_share, _START, _LENGTHS), min(level, _MOST) / _MOST]
    simplex = [start, *(_moved(start, axis) for axis in range(len(start)))]
    options = {"maxfev": most, "initial_simplex": simplex, "xatol": 1e-2, "fatol": 0.0}
    bounds = [(0.0, 1.0)] * len(start)
    minimize(measured, start, method="Nelder-Mead", bounds=bounds, options=options)
    best = min(seen, key=lambda each: seen[each])
    return best if isfinite(seen[best]) else None


def _point(place: list[float], size: float) -> Point:
    low, high, knee = (
        size * exp(log(least) + share * log(most / least))
        for share, (least, most) in zip(place, _LENGTHS, strict=False)
    )
    return Point(low, high, knee, _MOST * place[-1])


def _share(value: float, span: tuple[float, float]) -> float:
    return log(value / span[0]) / log(span[1] / span[0])


def _moved(start: list[float], axis: int) -> list[float]:
    """A corner of the first simplex: away from the nearer end of the range."""
    step = _STEP if start[axis] < 0.5 else -_STEP
    return [each + step * (n == axis) for n, each in enumerate(start)]
