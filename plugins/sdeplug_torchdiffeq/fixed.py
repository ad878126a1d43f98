r"""The fixed-step methods of torchdiffeq: a span in equal steps.

Hairer, Norsett & Wanner, "Solving Ordinary Differential Equations I", section II.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from sdeplug import Claims, option
from sdeplug_torchdiffeq.solve import ByTorchdiffeq
from sdeplug_torchdiffeq.span import Span
from sdeplug_torchdiffeq.watch import Watch


class FixedSteps(ByTorchdiffeq):
    """A method that takes ``steps`` equal steps over a span."""

    steps: int
    adaptive: ClassVar[bool] = False

    @property
    def needs_grid(self) -> bool:
        """Whether the number of steps was left as it is."""
        return self.steps == type(self).steps

    @property
    def budget(self) -> int:
        """As many as there are."""
        return self.steps

    def settings(self, watch: Watch, span: Span, y: Tensor) -> dict[str, Any]:
        """The grid; the states on it are not kept."""
        return {"grid_constructor": _equal_steps(self.steps)}

    def settings_back(self, settings: dict[str, Any], span: Span, y: Tensor) -> dict[str, Any]:
        """The same grid."""
        return settings


@dataclass(frozen=True)
class _RungeKutta(FixedSteps):
    """Equal steps of the method that the class names; several by ``steps``, or by ``OnGrid``."""

    steps: int = option(1, help="equal steps in a span", ge=1)
    adjoint: bool = option(False, help="gradients by the adjoint equation, in constant memory")

    stages: ClassVar[int]
    order: ClassVar[int]

    @property
    def claims(self) -> Claims:
        """Order and evaluations of the method; no noise."""
        evaluations = self.steps * self.stages
        return Claims(order=self.order, stochastic=False, evaluations=evaluations)


@dataclass(frozen=True)
class FixedEuler(_RungeKutta):
    """Euler's method: one evaluation a step, order 1."""

    method: ClassVar[str] = "euler"
    stages: ClassVar[int] = 1
    order: ClassVar[int] = 1


@dataclass(frozen=True)
class FixedMidpoint(_RungeKutta):
    """The explicit midpoint rule: two evaluations a step, order 2."""

    method: ClassVar[str] = "midpoint"
    stages: ClassVar[int] = 2
    order: ClassVar[int] = 2


@dataclass(frozen=True)
class FixedHeun2(_RungeKutta):
    """Heun's method of order 2: two evaluations a step."""

    method: ClassVar[str] = "heun2"
    stages: ClassVar[int] = 2
    order: ClassVar[int] = 2


@dataclass(frozen=True)
class FixedHeun3(_RungeKutta):
    """Heun's method of order 3: three evaluations a step."""

    method: ClassVar[str] = "heun3"
    stages: ClassVar[int] = 3
    order: ClassVar[int] = 3


@dataclass(frozen=True)
class FixedRK4(_RungeKutta):
    """Kutta's 3/8 rule: four evaluations a step, order 4."""

    method: ClassVar[str] = "rk4"
    stages: ClassVar[int] = 4
    order: ClassVar[int] = 4


def _equal_steps(steps: int) -> Callable[[object, Tensor, Tensor], Tensor]:
    def grid(field: object, y: Tensor, ends: Tensor) -> Tensor:
        start, end = ends[0].item(), ends[-1].item()
        inner = [start + k / steps * (end - start) for k in range(1, steps)]
        return ends.new_tensor([start, *inner, end])

    return grid
