r"""The adaptive solver of Jolicoeur-Martineau et al., arXiv 2105.14080: ``row-improved-euler``.

With drift f and diffusion g of the reverse SDE, over a step h down from t,

.. math::
    K_1 &= -h f(x, t) + g(t)\,\Delta W, \qquad
    K_2 = -h f(x + K_1, t - h) + g(t - h)\,\Delta W, \\
    x' &= x + \tfrac12 (K_1 + K_2), \qquad E = \tfrac12 (K_2 - K_1),

(algorithm 1), and the next step is 0.9 h e^(-0.9) for an error of size e.  They draw a fresh
increment for a step that is tried again; whether a step is rejected depends on its increment, so
that those of the steps that are taken are too small or too large to be Brownian.  Here a shorter
step sees a part of the same path.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug import Claims, Integrator, ReverseSDE, Run, option
from sdeplug_adaptive.control import (
    Control,
    absolute_tolerance,
    column,
    relative_tolerance,
    rms,
    step_budget,
)
from sdeplug_adaptive.march import March, State
from sdeplug_adaptive.rows import Asked, full, whole_batch

_SHORTEST = 1e-13  # step, as a part of the span
_BIAS = 10.0  # of the noise that is left at the end of VP and VE, in units of rtol
_PUBLISHED = Control(exponent=1.0 / 0.9, shrink=0.0, grow=float("inf"))
_KEPT = Control(exponent=1.0 / 0.9)


@dataclass(frozen=True)
class RowImprovedEuler(Integrator):
    """The stochastic improved Euler method, each row with steps of its own; any forward SDE.

    With ``keep_noise=False`` it is the published rule, which discards the noise of a rejected
    step: the standard deviation of its samples is some per cent too large in few dimensions, the
    more so the smaller the tolerance.
    """

    rtol: float = relative_tolerance(0.005)
    atol: float = absolute_tolerance(0.001)
    first_step: float = option(0.01, help="first step, in units of time", gt=0.0)
    longest_step: float = option(0.05, help="longest step, in units of time", gt=0.0)
    max_steps: int = step_budget()
    whole_batch: bool = whole_batch()
    keep_noise: bool = option(True, help="a rejected step is tried again on the same path")

    @property
    def claims(self) -> Claims:
        """Accurate to its tolerance, which is relative to the state and not to the noise that is
        left in it; the published rule claims no consistency."""
        return Claims(affine=False, floor=_BIAS * self.rtol if self.keep_noise else math.inf)

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """Carry x ~ p_t to s, each row with steps of its own.

        Raises:
            StepError: if the steps of a row become too short, or too many.
            NonFiniteError: if the score is not finite on the way of a row.
        """
        noise = (_Kept if self.keep_noise else _Fresh)(x, t, s, run)
        return March(_Steps(self, reverse, noise, t, s), s, self.max_steps, run)(x)


class _Kept:
    """Increments of one path."""

    def __init__(self, x: Tensor, t: float, s: float, run: Run) -> None:
        like = x if x.dtype == torch.float64 else x.float()
        self.path = run.noise.brownian(like, t, s)
        self.reached = full(t, x)

    def over(self, x: Tensor, t: Tensor, end: Tensor, rows: Tensor) -> Tensor:
        """W(end) - W(t) of some rows."""
        aim = self.reached.index_copy(0, rows, end)
        return self.path.increment(aim, self.reached)[rows].to(x.dtype)

    def settle(self, t: Tensor, rows: Tensor) -> None:
        """Hear where the rows are now."""
        self.reached = self.reached.index_copy(0, rows, t)
        self.path.forget(self.reached)


class _Fresh:
    """Fresh numbers for every try, as published."""

    def __init__(self, x: Tensor, t: float, s: float, run: Run) -> None:
        self.like, self.noise = x, run.noise

    def over(self, x: Tensor, t: Tensor, end: Tensor, rows: Tensor) -> Tensor:
        """An increment over [end, t] of some rows."""
        return column((t - end).sqrt(), x) * self.noise.normal(self.like)[rows]

    def settle(self, t: Tensor, rows: Tensor) -> None:
        """Nothing is remembered."""


class _Steps:
    """One step; the memory is the first guess of the step before."""

    def __init__(
        self,
        options: RowImprovedEuler,
        reverse: ReverseSDE,
        noise: _Kept | _Fresh,
        t: float,
        s: float,
    ) -> None:
        self.options, self.reverse, self.noise, self.t, self.s = options, reverse, noise, t, s
        self.control = _KEPT if options.keep_noise else _PUBLISHED
        self.whole = options.whole_batch
        self.drift = Asked(reverse.drift, self.whole)
        self.silent = not callable(reverse.stochasticity) and reverse.stochasticity == 0.0
        self.shortest = _SHORTEST * (t - s)

    def begin(self, x: Tensor) -> State:
        """The first step."""
        t = full(self.t, x)
        return State(x, t, torch.full_like(t, self.options.first_step), (x,))

    def attempt(self, state: State, rows: Tensor) -> tuple[State, Tensor]:
        """Two evaluations; half the difference of the two increments is the error."""
        x, t, h, (before,) = state
        h = h.clamp(max=self.options.longest_step)
        end = torch.where(h < t - self.s, t - h, self.s)
        h = t - end
        fall = column(h, x)
        noise = None if self.silent else self.noise.over(x, t, end, rows)
        one = self._increment(self.drift(x, t, rows), t, fall, noise)
        guess = x + one
        two = self._increment(self.drift(guess, end, rows), end, fall, noise)
        size = torch.maximum(before.abs(), guess.abs()).mul_(self.options.rtol)
        error = rms((two - one).mul_(0.5) / size.clamp_(min=self.options.atol))
        return State(x + 0.5 * (one + two), end, h, (guess,)), error

    def settle(self, state: State, rows: Tensor) -> None:
        """Let the path forget what lies behind."""
        if not self.silent:
            self.noise.settle(state.t, rows)

    def _increment(self, drift: Tensor, t: Tensor, fall: Tensor, noise: Tensor | None) -> Tensor:
        moved = -fall * drift
        if noise is None:
            return moved
        return torch.addcmul(moved, column(self.reverse.diffusion(t), drift), noise)
