r"""The explicit Runge-Kutta pairs of scipy, through torchdiffeq.

scipy works in float64 on the CPU, on the whole batch as one vector, so that the norm is over the
batch.  Gradients are those of the adjoint equation, solved by torchdiffeq's own dopri5.  The
implicit methods of scipy (LSODA, Radau, BDF) are left out: for a batch of n numbers they keep a
matrix of n^2.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from sdeplug import Claims, Field, FlowIntegrator, NonFiniteError, Run, StepError, option
from sdeplug_torchdiffeq.adjoint import parameters_of
from sdeplug_torchdiffeq.span import FIRST, Span
from sdeplug_torchdiffeq.tolerances import absolute_tolerance, relative_tolerance
from sdeplug_torchdiffeq.watch import SHORT, SHORTEST

_CLOSE = 100  # evaluations closer to the end than any step that gets there needs


@dataclass(frozen=True)
class _ByScipy(FlowIntegrator):
    """A method of ``scipy.integrate.solve_ivp``."""

    rtol: float = relative_tolerance(1e-5)
    atol: float = absolute_tolerance(1e-5)
    max_evaluations: int = option(20_000, help="evaluations in one call, at most", ge=1)

    claims = Claims(stochastic=False, affine=False, couples_batch=True)
    method: ClassVar[str]

    def flow(self, field: Field, y: Tensor, t: float, s: float, run: Run) -> Tensor:
        """Carry y from t to s, down or up in time; a span of length 0 leaves it as it is.

        Raises:
            StepError: if a step becomes too short, or the evaluations too many.
            NonFiniteError: if that is so since the field is not finite.
        """
        span = Span(t, s)
        if t == s or not y.numel():
            return y
        asked = _Asked(field, y, span, self.max_evaluations)
        with (
            run.home(y),
            warnings.catch_warnings(),
            np.errstate(all="ignore"),
        ):  # what overflows is told below
            # torchdiffeq hands on a min_step, which these methods of scipy do not have.
            warnings.filterwarnings("ignore", "The following arguments have no effect")
            solution = self._solved(asked, y.double(), span)
        if len(solution) < 2:  # torchdiffeq does not look at what scipy says about its success
            raise asked.failed("scipy found no step that is short enough")
        return solution[-1].to(y.dtype)

    def _solved(self, asked: _Asked, y: Tensor, span: Span) -> Tensor:
        from torchdiffeq import odeint, odeint_adjoint

        taus = span.tensor(y.device, 0.0, 1.0)
        solve, more = odeint, {}
        if torch.is_grad_enabled():
            solve = odeint_adjoint
            back = {"first_step": FIRST * span.length, "step_t": taus[:1]}
            more = {
                "adjoint_method": "dopri5",
                "adjoint_options": back,
                "adjoint_params": parameters_of(asked.field, asked.start, span),
            }
        solution: Tensor = solve(
            asked,
            y,
            taus,
            rtol=self.rtol,
            atol=self.atol,
            method="scipy_solver",
            options={"solver": self.method},
            **more,
        )
        asked.count = 0  # the way back has a budget of its own
        return solution


class _Asked:
    """The field for scipy: it counts, and remembers the last value."""

    def __init__(self, field: Field, y: Tensor, span: Span, limit: int) -> None:
        self.field, self.start, self.span, self.limit = field, y, span, limit
        self.count, self.close, self.t, self.step = 0, 0, span.t, 0.0
        self.value = y

    def __call__(self, tau: Tensor, y: Tensor) -> Tensor:
        if self.count == self.limit:
            raise self.failed(f"all max_evaluations = {self.limit} are used up")
        before, self.t = self.t, self.span.time(tau.item())
        self.close += 0.0 < abs(self.t - self.span.s) < SHORTEST * self.span.length
        if self.close == _CLOSE:
            raise self.failed(SHORT)
        self.step = abs(self.t - before) or self.step
        self.count += 1
        self.value = self.field(y.to(self.start.dtype), self.t)
        return self.span.sign * self.value.to(y.dtype)

    def failed(self, what: str) -> StepError | NonFiniteError:
        """The error for now; scipy tells of no state in between, so the last one is the first."""
        finite = self.value.isfinite().reshape(len(self.value), -1).all(1)
        last, last_t = self.start.detach(), self.span.t
        if bool(finite.all()):
            return StepError(
                f"near t = {self.t:.6g} {what}. Raise rtol and atol, or max_evaluations, or end "
                "at a later time, where it is less stiff.",
                t=self.t, row=0, last=last, last_t=last_t, step=self.step,
            )  # fmt: skip
        row = int((~finite).nonzero()[0])
        return NonFiniteError(
            f"row {row} of the field is not finite at t = {self.t:.6g}: {what}.",
            t=self.t, row=row, last=last, last_t=last_t, step=self.step,
        )  # fmt: skip


@dataclass(frozen=True)
class ScipyRK23(_ByScipy):
    """Bogacki & Shampine 3(2)."""

    rtol: float = relative_tolerance(1e-4)
    atol: float = absolute_tolerance(1e-4)

    method: ClassVar[str] = "RK23"


@dataclass(frozen=True)
class ScipyRK45(_ByScipy):
    """Dormand & Prince 5(4): the sampler of the probability flow of Song et al."""

    method: ClassVar[str] = "RK45"


@dataclass(frozen=True)
class ScipyDOP853(_ByScipy):
    """Dormand & Prince 8(5,3)."""

    method: ClassVar[str] = "DOP853"
