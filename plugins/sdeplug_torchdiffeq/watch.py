"""The field as torchdiffeq sees it: with exact times, a look-out at every step, clear errors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sdeplug import Field, NonFiniteError, Run, StepError
from sdeplug_torchdiffeq.rhythm import Rhythm
from sdeplug_torchdiffeq.span import Span

Norm = Callable[[Tensor], Tensor]

SHORT = "the step has become too short"
SHORTEST = 1e-13  # of a span: far below what could ever be walked in such steps
_ROUNDING = 1e-12  # of a span: what the sum of its steps may lack at its end


class Watch:
    """A field dy/dtau for torchdiffeq, of one call of ``flow()``.

    torchdiffeq calls :meth:`callback_step` before each attempt at a step, with the state that the
    last accepted step has reached; so that is where steps are counted, observers see the states
    in between, and a step that cannot be taken is refused.

    Args:
        field: right-hand side of dy/dt = field(y, t).
        y: value at the start, shape ``(B, *D)``, of the dtype in which the field wants it.
        span: the span.
        rhythm: when the method asks for the field.
        max_steps: attempts at a step, at most.
        run: observers of this call.
    """

    def __init__(
        self, field: Field, y: Tensor, span: Span, rhythm: Rhythm, max_steps: int, run: Run
    ) -> None:
        self.field, self.span, self.rhythm = field, span, rhythm
        self.max_steps, self.run, self.dtype = max_steps, run, y.dtype
        self.down = span.sign < 0.0
        self.state, self.reached, self.step = y, span.start, 0.0
        self.attempts = 0
        self.asked = span.t
        self._times = [span.t]  # of the evaluations to come, the next one last
        self._value: Tensor | None = None
        self._errors: Tensor | None = None

    def __call__(self, tau: Tensor, y: Tensor) -> Tensor:
        """The field at the next time; what torchdiffeq takes for the time is not looked at."""
        times = self._times
        self.asked = times.pop() if len(times) > 1 else times[0]
        return self._ask(y, self.asked)

    def callback_step(self, tau: Tensor, y: Tensor, h: Tensor) -> None:
        """See the state reached and the length of the step that is to be tried.

        Raises:
            StepError: if the step is too short, or one too many.
            NonFiniteError: if it is so since the field is not finite.
        """
        now, self.step = tau.item(), h.item()
        if now != self.reached:
            self.state, self.reached = y, now
            if self.run.observers:
                self.run.report(self.span.time(now), y.to(self.dtype))
        if self.attempts == self.max_steps:
            raise self._failed(f"all max_steps = {self.max_steps} steps are used up")
        if self._short(now):
            raise self._failed(SHORT)
        self.attempts += 1
        self._plan(now)

    def norm(self, norm: Norm) -> Norm:
        """The norm of the errors, remembering which row has the largest.

        An error that is not finite counts as infinite, so that a step on which the field broke
        down is tried again at a fifth of its length, and not given up.
        """

        def measured(errors: Tensor) -> Tensor:
            self._errors = errors = errors.detach()
            return norm(errors).nan_to_num(nan=torch.inf, posinf=torch.inf)

        return measured

    def refused_start(self) -> NonFiniteError | None:
        """The error for a state that is not finite before the first step; None if it is."""
        row = _first_bad(self.state)
        if row is None:
            return None
        time = self.span.time(self.reached)
        return NonFiniteError(f"row {row} of the state is not finite at t = {time:.6g}.",
                              t=time, row=row)  # fmt: skip

    def _ask(self, y: Tensor, t: float) -> Tensor:
        if y.dtype == self.dtype:
            value = self.field(y, t)
            self._value = value.detach()  # or its graph would stay as long as the watch
            return -value if self.down else value
        value = self.field(y.to(self.dtype), t)
        self._value = value.detach()
        return (-value if self.down else value).to(y.dtype)

    def _short(self, now: float) -> bool:
        return now + self.step <= now or self.step < SHORTEST * self.span.length

    def _plan(self, now: float) -> None:
        """The times of the evaluations in the step that begins now."""
        end, sign = self.span.end, self.span.sign
        after = now + self.step
        if after >= end - _ROUNDING * self.span.length:
            after = end
        fractions = self.rhythm[min(self.attempts, len(self.rhythm)) - 1]
        self._times = [
            sign * (after if each == 1.0 else min(now + each * (after - now), end))
            for each in reversed(fractions)
        ]

    def _failed(self, what: str) -> StepError | NonFiniteError:
        time, row = self.span.time(self.reached), _first_bad(self._value)
        last = self.state.detach().to(self.dtype)
        if row is not None:
            return NonFiniteError(
                f"row {row} of the field is not finite at t = {self.asked:.6g}, reached from "
                f"t = {time:.6g} with ever shorter steps, now {self.step:.3g}: {what}.",
                t=self.asked, row=row, last=last, last_t=time, step=self.step,
            )  # fmt: skip
        return StepError(
            f"at t = {time:.6g} {what}, with a step of {self.step:.3g}. Row {self._worst()} has "
            f"the largest error. {self._advice()}",
            t=time, row=self._worst(), last=last, last_t=time, step=self.step,
        )  # fmt: skip

    def _worst(self) -> int:
        if self._errors is None or self._errors.shape != self.state.shape:
            return 0
        rows = self._errors.reshape(len(self._errors), -1).square().sum(1)
        return int(rows.nan_to_num(nan=torch.inf).argmax())

    def _advice(self) -> str:
        text = "Raise max_steps, or rtol and atol, or end at a later time, where it is less stiff."
        return text if self.dtype == torch.float64 else f"{text} In float64 errors round less."


class AdjointWatch(Watch):
    """A watch that stays for the way back, on which the adjoint asks for the field again.

    There the times are those of torchdiffeq, rounded to the dtype of the state.
    """

    returning = False
    _back = 0

    def __call__(self, tau: Tensor, y: Tensor) -> Tensor:
        """The field, on the way there or back."""
        if not self.returning:
            return super().__call__(tau, y)
        self.asked = self.span.time(tau.item())
        return self._ask(y, self.asked)

    def callback_step_adjoint(self, tau: Tensor, y: tuple[Tensor, ...], h: Tensor) -> None:
        """See a step of the way back; y has the state second.

        Raises:
            StepError: if the step is too short, or one too many.
            NonFiniteError: if it is so since the field is not finite.
        """
        now, self.step = tau.item(), h.item()
        self._back = 1 if now == self.span.end else self._back + 1
        self.reached, self.state = now, y[1].clone()  # a view: it would hold the parameters' too
        if self._back > self.max_steps:
            raise self._failed(f"on the way back all max_steps = {self.max_steps} are used up")
        if self._short(now):
            raise self._failed(f"on the way back {SHORT}")


def _first_bad(value: Tensor | None) -> int | None:
    """The first row that is not finite, if there is one."""
    if value is None or not len(value):
        return None
    bad = ~value.detach().isfinite().reshape(len(value), -1).all(1)
    return int(bad.nonzero()[0]) if bool(bad.any()) else None
