r"""Methods of torchsde with steps of its own choice, the same for the whole batch.

Each step is tried as a whole and in two halves on one Brownian path.  With e their difference over
``atol + rtol max(abs(x), abs(x'))``, as the root mean square over the batch, the halves are kept
where e <= 1, and the next step is :math:`(0.9 / e)^p` times as long, within bounds, p being 1 / 4.5
with a correction for the error before, and 1 / 1.5 after a rejection.
S. Ilie, K. R. Jackson, W. H. Enright, "Adaptive time-stepping for the strong numerical solution of
stochastic differential equations", Numerical Algorithms 68 (2015), 791-812.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from sdeplug import Claims, Integrator, ReverseSDE, Run, option
from sdeplug_torchsde.clock import Clock
from sdeplug_torchsde.memory import Memory
from sdeplug_torchsde.method import HEUN, SRK_ADDITIVE, Method
from sdeplug_torchsde.solving import Call
from sdeplug_torchsde.watch import Limits

_FIRST = 0.01  # of the span
_REMEMBERED = 4  # drifts: where the step begins, and the three asked for after it


def _rtol(default: float) -> Any:
    return option(default, help="error allowed in a step, relative to x", gt=0.0)


def _atol(default: float) -> Any:
    return option(default, help="error allowed in a step, absolute", gt=0.0)


@dataclass(frozen=True)
class _Adaptive(Integrator):
    """Steps of torchsde's own choice."""

    claims = Claims(affine=False, couples_batch=True)
    method: ClassVar[Method]

    rtol: float = _rtol(1e-3)
    atol: float = _atol(1e-3)
    first_step: float | None = option(
        None, help="first step, in time; None: a hundredth of the span", gt=0.0
    )
    dt_min: float = option(1e-9, help="shortest step, in time", gt=0.0)
    max_steps: int = option(100_000, help="steps that may be tried, rejected ones included", ge=1)

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """Carry x ~ p_t to s; reports the ends of the steps.

        Raises:
            StepError: if the error asks for a step below ``dt_min``, or for more steps than
                ``max_steps``.
            NonFiniteError: if the drift is not finite.
        """
        clock, memory = Clock.plain(t, s), Memory(_REMEMBERED)
        tolerances = (self.rtol, self.atol)
        watch = Limits(run, clock, memory, self.dt_min, self.max_steps, tolerances)
        first = _FIRST * (t - s) if self.first_step is None else self.first_step
        return Call(self.method, reverse, x, watch, memory).adaptive(first, *tolerances)


@dataclass(frozen=True)
class AdaptiveSRK(_Adaptive):
    """Roessler's SRA1 with adaptive steps."""

    method: ClassVar[Method] = SRK_ADDITIVE


@dataclass(frozen=True)
class AdaptiveHeun(_Adaptive):
    """Stochastic Heun with adaptive steps."""

    method: ClassVar[Method] = HEUN

    rtol: float = _rtol(1e-2)
    atol: float = _atol(1e-2)
