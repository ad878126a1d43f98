r"""The Adams methods of torchdiffeq: equal steps that use the slopes of earlier ones.

.. math:: y_{n+1} = y_n + h \sum_j \beta_j v_{n-j}

The first two steps are of Kutta's 3/8 rule.  Nothing is remembered from one span to the next,
so that a span should have many steps.  Hairer, Norsett & Wanner, section III.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from sdeplug import Claims, option
from sdeplug_torchdiffeq.fixed import FixedSteps
from sdeplug_torchdiffeq.span import Span
from sdeplug_torchdiffeq.tolerances import Tolerances
from sdeplug_torchdiffeq.watch import Watch

_STARTING, _STAGES = 2, 4


@dataclass(frozen=True)
class ExplicitAdams(FixedSteps):
    """Adams-Bashforth of growing order, up to ``max_order - 1``: one evaluation a step."""

    steps: int = option(4, help="equal steps in a span", ge=1)
    max_order: int = option(5, help="one more than the slopes that are remembered", ge=4, le=12)
    adjoint: bool = option(False, help="gradients by the adjoint equation, in constant memory")

    method: ClassVar[str] = "explicit_adams"

    @property
    def claims(self) -> Claims:
        """Order 3 on a grid of spans: the third step of each span has three slopes."""
        start = min(self.steps, _STARTING)
        return Claims(
            order=4 if self.steps <= _STARTING else 3,
            stochastic=False,
            evaluations=_STAGES * start + self.steps - start,
        )

    def settings(self, watch: Watch, span: Span, y: Tensor) -> dict[str, Any]:
        """The grid and the order."""
        return {**super().settings(watch, span, y), "max_order": self.max_order}


@dataclass(frozen=True)
class ImplicitAdams(FixedSteps):
    """Adams-Moulton of growing order, up to ``max_order``, solved by functional iteration.

    The iteration ends when all of the batch has converged, so that rows share their number of
    evaluations.
    """

    steps: int = option(4, help="equal steps in a span", ge=1)
    max_order: int = option(5, help="order, once the start is over", ge=4, le=12)
    rtol: float = option(1e-3, help="relative tolerance of the iteration", gt=0.0)
    atol: float = option(1e-4, help="absolute tolerance of the iteration", gt=0.0)
    max_iterations: int = option(4, help="evaluations of the implicit equation, at most", ge=1)
    adjoint: bool = option(False, help="gradients by the adjoint equation, in constant memory")

    claims = Claims(order=4, stochastic=False, affine=False, couples_batch=True)
    method: ClassVar[str] = "implicit_adams"

    @property
    def tolerances(self) -> Tolerances:
        """Those of the iteration."""
        return Tolerances(self.rtol, self.atol)

    def settings(self, watch: Watch, span: Span, y: Tensor) -> dict[str, Any]:
        """The grid, the order, and when to stop the iteration."""
        given = super().settings(watch, span, y)
        return {**given, "max_order": self.max_order, "max_iters": self.max_iterations}
