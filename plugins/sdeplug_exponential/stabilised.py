r"""Stabilised explicit Runge-Kutta methods: many stages, few of them for the order.

Their stability along the negative axis grows with the square of the number of stages, so that a
stiff linear part needs no short steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Row = NDArray[np.float64]
Slope = Callable[[int, Row], Row]
"""Derivative of y by the part of the step that is done: (number of the call, y) -> dy."""


class Scheme(ABC):
    """One step of length 1."""

    @abstractmethod
    def run(self, slope: Slope, y: Row) -> Row:
        """Carry y from the start of the step to its end."""

    @cached_property
    def fractions(self) -> tuple[float, ...]:
        """The part of the step that is done at each call: y itself, where dy = 1."""
        seen: list[float] = []

        def one(_: int, y: Row) -> Row:
            seen.append(float(y[0]))
            return np.ones_like(y)

        self.run(one, np.zeros(1, dtype=np.float64))
        return tuple(seen)


@dataclass(frozen=True, eq=False)
class Gegenbauer(Scheme):
    """Runge-Kutta-Gegenbauer of order 2: Skaras et al., J. Comput. Phys. 425 (2021) 109879.

    Attributes:
        stages: how many; at least 2.
    """

    stages: int

    @cached_property
    def recurrence(self) -> tuple[tuple[float, float, float], ...]:
        """mu and nu of each stage but the first, and what is kept of the first slope."""
        return tuple(
            (
                (2 * j + 1) / j * _b(j) / _b(j - 1),
                -(j + 1) / j * _b(j) / _b(j - 2),
                1.0 - 0.5 * j * (j + 1) * _b(j - 1),
            )
            for j in range(2, self.stages + 1)
        )

    def run(self, slope: Slope, y: Row) -> Row:
        """The recurrence of the polynomials."""
        reach = 6.0 / ((self.stages + 4) * (self.stages - 1))
        first = slope(0, y)
        before, now = y, y + reach * first
        for call, (mu, nu, kept) in enumerate(self.recurrence, start=1):
            turn = slope(call, now) - kept * first
            after = mu * (now + reach * turn) + nu * before + (1.0 - mu - nu) * y
            before, now = now, after
        return now


@dataclass(frozen=True, eq=False)
class Rock4(Scheme):
    """ROCK4 with five stages of its recurrence and four that finish, of order 4.

    Abdulle, SIAM J. Sci. Comput. 23 (2002) 2041; the numbers are those of its tables.
    """

    def run(self, slope: Slope, y: Row) -> Row:
        """The recurrence of the orthogonal polynomials, then the four stages."""
        before, now = y, y
        for call, (reach, back) in enumerate(_RECURRENCE):
            after = reach * slope(call, now) + (1.0 + back) * now - back * before
            before, now = now, after
        slopes: list[Row] = []
        for call, row in enumerate(_FINISH, start=len(_RECURRENCE)):
            slopes.append(slope(call, _moved(now, row, slopes)))
        return _moved(now, _RESULT, slopes)


def _moved(y: Row, weights: tuple[float, ...], slopes: list[Row]) -> Row:
    return sum((w * each for w, each in zip(weights, slopes, strict=True)), start=y)


_RECURRENCE = (
    (0.04102541073974864, 0.0),
    (0.04936734181284644, 0.006437548414781547),
    (0.0565596481991614, 0.0300867406800562),
    (0.06301337991392048, 0.06092514503458917),
    (0.07122116739390529, 0.1014508394981259),
)
_FINISH = (
    (),
    (-0.171097214294784,),
    (0.471021380996139, -0.235432301175529),
    (0.0305165148305403, -0.0508758913107147, 0.491537536121394),
)
_RESULT = (0.653766630051757, -0.239717659625342, -0.34212462537356, 0.634842894408973)


def _b(j: int) -> float:
    if j < 2:
        return (1.0, 1.0 / 3.0)[j]
    return 4 * (j - 1) * (j + 4) / (3 * j * (j + 1) * (j + 2) * (j + 3))
