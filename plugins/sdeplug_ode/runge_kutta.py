r"""Explicit Runge-Kutta methods, as tableaus.

.. math:: k_i = v\Big(y + h \sum_{j < i} a_{ij} k_j,\; t + c_i h\Big), \qquad
          y' = y + h \sum_i b_i k_i, \qquad h = s - t.

Hairer, Norsett & Wanner, "Solving Ordinary Differential Equations I", section II.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from sdeplug import Claims, Field, FlowIntegrator, Run


@dataclass(frozen=True)
class Tableau:
    """Coefficients of an explicit Runge-Kutta method.

    Attributes:
        a: row i has the weights of the earlier stages in stage i + 1.
        b: weights of the stages in the result.
        c: times of the stages, as fractions of the step; the first is 0.
        order: order of the method.
    """

    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    c: tuple[float, ...]
    order: int

    def step(
        self, field: Field, y: Tensor, t: float, s: float, first: Tensor | None = None
    ) -> Tensor:
        """One step from t to s; ``first`` is the field at (y, t) where it is known already."""
        h = s - t
        stages = [field(y, t) if first is None else first]
        for row, c in zip(self.a, self.c[1:], strict=True):
            # The last stage of many methods is at s itself: t + 1.0 * h may round past it.
            time = s if c == 1.0 else t + c * h
            stages.append(field(_combined(y, row, stages, h), time))
        return _combined(y, self.b, stages, h)


def _combined(y: Tensor, weights: tuple[float, ...], stages: list[Tensor], h: float) -> Tensor:
    for weight, stage in zip(weights, stages, strict=True):
        if weight:
            y = y.add(stage, alpha=weight * h)
    return y


EULER = Tableau((), (1.0,), (0.0,), 1)
HEUN = Tableau(((1.0,),), (0.5, 0.5), (0.0, 1.0), 2)
CLASSICAL = Tableau(
    ((0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)),
    (1 / 6, 1 / 3, 1 / 3, 1 / 6),
    (0.0, 0.5, 0.5, 1.0),
    4,
)


class _RungeKutta(FlowIntegrator):
    """One step of the method that the class names."""

    tableau: ClassVar[Tableau]

    @property
    def claims(self) -> Claims:
        """Order and evaluations of the tableau; no noise."""
        method = self.tableau
        return Claims(order=method.order, stochastic=False, evaluations=len(method.b))

    def flow(self, field: Field, y: Tensor, t: float, s: float, run: Run) -> Tensor:
        """One step from t to s, down or up in time."""
        return self.tableau.step(field, y, t, s)


@dataclass(frozen=True)
class Euler(_RungeKutta):
    """Euler's method: one evaluation, order 1."""

    tableau: ClassVar[Tableau] = EULER


@dataclass(frozen=True)
class Heun(_RungeKutta):
    """Heun's method (explicit trapezoidal rule): two evaluations, order 2.

    The deterministic sampler of Karras et al., arXiv 2206.00364, algorithm 1, up to its grid.
    """

    tableau: ClassVar[Tableau] = HEUN


@dataclass(frozen=True)
class RK4(_RungeKutta):
    """The classical Runge-Kutta method: four evaluations, order 4."""

    tableau: ClassVar[Tableau] = CLASSICAL
