r"""The adaptive Runge-Kutta pairs of torchdiffeq, made safe.

A step from y to y' is accepted if the norm of

.. math:: \frac{|\hat y' - y'|}{\mathrm{atol} + \mathrm{rtol} \max(|y|, |y'|)}

is at most 1, where the hat is the embedded method.  Hairer, Norsett & Wanner, "Solving Ordinary
Differential Equations I", section II.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from sdeplug import Advance, Claims, Field, ReverseSDE, Run, option
from sdeplug_torchdiffeq.norms import whole_batch, worst_row
from sdeplug_torchdiffeq.solve import ByTorchdiffeq
from sdeplug_torchdiffeq.span import FIRST, Span
from sdeplug_torchdiffeq.tolerances import Tolerances, absolute_tolerance, relative_tolerance
from sdeplug_torchdiffeq.watch import Watch

_PAST = 1.0 + 1e-9  # a step of the whole span must not end one rounding before it


@dataclass(frozen=True)
class _Adaptive(ByTorchdiffeq):
    """A pair of methods that chooses its steps, the same ones for all rows of a batch."""

    rtol: float = relative_tolerance(1e-5)
    atol: float = absolute_tolerance(1e-5)
    first_step: float | None = option(
        None, help="length of the first step that is tried; None: a hundredth of the span", gt=0.0
    )
    max_steps: int = option(10_000, help="steps tried in one call, at most", ge=1)
    batch_norm: bool = option(
        False, help="torchdiffeq's norm over the whole batch, in place of its worst row's"
    )
    adjoint: bool = option(False, help="gradients by the adjoint equation, in constant memory")

    claims = Claims(stochastic=False, affine=False, couples_batch=True)
    adaptive: ClassVar[bool] = True

    @property
    def tolerances(self) -> Tolerances:
        """Those of the options."""
        return Tolerances(self.rtol, self.atol)

    @property
    def budget(self) -> int:
        """``max_steps``."""
        return self.max_steps

    def begin(self, reverse: ReverseSDE, run: Run) -> Advance:
        """Start a sequence of spans: each first tries the step that the one before ended with."""
        return _Sequence(self, reverse.flow, run).advance

    def settings(self, watch: Watch, span: Span, y: Tensor) -> dict[str, Any]:
        """First step, where a step must end, norm."""
        norm = whole_batch if self.batch_norm else worst_row
        return {
            "first_step": self._first(watch.step, span),
            "step_t": span.tensor(y.device, 1.0),
            "norm": watch.norm(norm),
        }

    def settings_back(self, settings: dict[str, Any], span: Span, y: Tensor) -> dict[str, Any]:
        """The same from end to start; the norm is torchdiffeq's over state, adjoint, parameters."""
        return {"first_step": settings["first_step"], "step_t": span.tensor(y.device, 0.0)}

    def _first(self, before: float, span: Span) -> float:
        wanted = before or self.first_step or FIRST * span.length
        return min(wanted, _PAST * span.length)


class _Sequence:
    """Spans one after the other, with the length of the last step."""

    def __init__(self, solver: _Adaptive, field: Field, run: Run) -> None:
        self.solver, self.field, self.run = solver, field, run
        self.step = 0.0

    def advance(self, x: Tensor, t: float, s: float) -> Tensor:
        """Carry x from t to s."""
        x, self.step = self.solver.carry(self.field, x, Span(t, s), self.run, self.step)
        return x


@dataclass(frozen=True)
class Dopri5(_Adaptive):
    """Dormand & Prince 5(4), with Shampine's error estimate: six evaluations a step."""

    method: ClassVar[str] = "dopri5"


@dataclass(frozen=True)
class Dopri8(_Adaptive):
    """Dormand & Prince 8(7): thirteen evaluations a step, for many digits."""

    method: ClassVar[str] = "dopri8"


@dataclass(frozen=True)
class Bosh3(_Adaptive):
    """Bogacki & Shampine 3(2): three evaluations a step, for few digits."""

    rtol: float = relative_tolerance(1e-4)
    atol: float = absolute_tolerance(1e-4)

    method: ClassVar[str] = "bosh3"


@dataclass(frozen=True)
class Fehlberg2(_Adaptive):
    """Fehlberg 2(1): two evaluations a step; what it makes is some hundred times its tolerance."""

    rtol: float = relative_tolerance(1e-6)
    atol: float = absolute_tolerance(1e-6)

    method: ClassVar[str] = "fehlberg2"


@dataclass(frozen=True)
class AdaptiveHeun(_Adaptive):
    """Heun 2(1): one evaluation a step, since a step starts with the slope predicted before."""

    rtol: float = relative_tolerance(1e-4)
    atol: float = absolute_tolerance(1e-4)

    method: ClassVar[str] = "adaptive_heun"
