r"""Adams-Bashforth: one evaluation a step, with the memory of earlier ones.

.. math:: y' = y + \sum_j w_j v_j, \qquad
          w_j = \int_t^s \prod_{i \ne j} \frac{u - t_i}{t_j - t_i}\,du

over the last p points (t_j, v_j), on any grid.  The first p - 1 steps are Runge-Kutta steps of at
least the same order.  Hairer, Norsett & Wanner, section III.1 and III.5.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod, sqrt

from torch import Tensor

from sdeplug import Advance, Claims, Field, FlowIntegrator, ReverseSDE, Run, option
from sdeplug_ode.runge_kutta import CLASSICAL, EULER, HEUN

_GAUSS = {
    2: ((-1.0 / sqrt(3.0), 1.0), (1.0 / sqrt(3.0), 1.0)),
    3: ((-sqrt(0.6), 5.0 / 9.0), (0.0, 8.0 / 9.0), (sqrt(0.6), 5.0 / 9.0)),
}
"""Nodes and weights on [-1, 1] of Gauss and Legendre: exact for degree 3, and for degree 5."""

_STARTERS = {1: EULER, 2: HEUN, 3: CLASSICAL, 4: CLASSICAL}


@dataclass(frozen=True)
class AdamsBashforth(FlowIntegrator):
    """Adams-Bashforth of a given order on any grid; remembers within ``begin()``.

    The memory is only used when a step continues the one before it: after a corrector has moved
    the state, the method starts afresh.
    """

    order: int = option(2, help="number of points, and order", ge=1, le=4)

    @property
    def claims(self) -> Claims:
        """The given order; evaluations vary, since the first steps cost more."""
        evaluations = 1 if self.order == 1 else None
        return Claims(order=self.order, stochastic=False, evaluations=evaluations)

    def flow(self, field: Field, y: Tensor, t: float, s: float, run: Run) -> Tensor:
        """One step without memory, from t to s: the Runge-Kutta step that starts the method."""
        return _STARTERS[self.order].step(field, y, t, s)

    def begin(self, reverse: ReverseSDE, run: Run) -> Advance:
        """Start a sequence of steps along the probability flow."""
        return _Memory(self.order, reverse.flow).advance


class _Memory:
    """The points of one sequence of steps, the newest first."""

    def __init__(self, order: int, field: Field) -> None:
        self.order, self.field = order, field
        self.points: deque[tuple[float, Tensor]] = deque()
        self.state: Tensor | None = None

    def advance(self, y: Tensor, t: float, s: float) -> Tensor:
        if y is not self.state:
            self.points.clear()
        velocity = self.field(y, t)
        self.points.appendleft((t, velocity))
        if len(self.points) < self.order:
            y = _STARTERS[self.order].step(self.field, y, t, s, first=velocity)
        else:
            times = [time for time, _ in self.points]
            weights = adams_weights(times, t, s)
            for weight, (_, value) in zip(weights, self.points, strict=True):
                y = y.add(value, alpha=weight)
            self.points.pop()
        self.state = y
        return y


def adams_weights(times: Sequence[float], t: float, s: float) -> list[float]:
    """Integrals over [t, s] of the Lagrange polynomials through ``times`` (at most six)."""
    middle, half = 0.5 * (t + s), 0.5 * (s - t)
    nodes = _GAUSS[2 if len(times) <= 4 else 3]
    return [
        half * sum(w * _lagrange(times, j, middle + half * node) for node, w in nodes)
        for j in range(len(times))
    ]


def _lagrange(times: Sequence[float], j: int, u: float) -> float:
    return prod((u - time) / (times[j] - time) for i, time in enumerate(times) if i != j)
