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
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from sdeplug import BrownianWalk, Claims, Integrator, NoiseSource, ReverseSDE, Run, option
from sdeplug_adaptive.control import (
    NOISY,
    Control,
    Floats,
    absolute_tolerance,
    columns,
    relative_tolerance,
    rms,
    step_budget,
)
from sdeplug_adaptive.march import March, Mask, Rows, State
from sdeplug_adaptive.rows import Asked, full, whole_batch

_SHORTEST = 1e-13  # step, as a part of the span
_BIAS = 10.0  # of the noise that is left at the end of VP and VE, in units of rtol
_PUBLISHED = Control(exponent=1.0 / 0.9, shrink=0.0, grow=float("inf"))
_KEPT = replace(NOISY, safety=0.8)


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
        return March(_Steps(self, reverse, x, t, s, run), s, self.max_steps, run)(x)


class _Fresh:
    """Fresh numbers for every try, as published, in place of a walk."""

    def __init__(self, like: Tensor, t: float, noise: NoiseSource) -> None:
        self.like, self.noise = like, noise
        self.here = self.aim = full(t, like)
        self.rows = np.arange(len(like))

    def ahead(self, to: Floats) -> Tensor:
        """Numbers of variance ``here - to``."""
        self.aim = to
        drawn = self.noise.normal(self.like)[torch.from_numpy(self.rows).to(self.like.device)]
        (spread,) = columns((np.sqrt(self.here - to),), drawn)
        return spread * drawn

    def settle(self, taken: Mask) -> None:
        """What a rejected step has seen is forgotten."""
        self.here = np.where(taken, self.aim, self.here)

    def keep(self, rows: Mask) -> None:
        """Only some rows go on."""
        self.here, self.rows = self.here[rows], self.rows[rows]


class _Steps:
    """One step; the memory is the first guess of the step before."""

    def __init__(
        self,
        options: RowImprovedEuler,
        reverse: ReverseSDE,
        x: Tensor,
        t: float,
        s: float,
        run: Run,
    ) -> None:
        self.options, self.reverse, self.t, self.s = options, reverse, t, s
        self.control = _KEPT if options.keep_noise else _PUBLISHED
        self.whole = options.whole_batch
        self.drift = Asked(reverse.drift, self.whole)
        self.walk = None if reverse.stochasticity == 0.0 else self._walk(x, run)
        self.shortest = _SHORTEST * (t - s)

    def begin(self, x: Tensor) -> State:
        """The first step."""
        return State(x, full(self.t, x), full(self.options.first_step, x), (x,))

    def attempt(self, state: State, rows: Rows) -> tuple[State, Floats]:
        """Two evaluations; half the difference of the two increments is the error."""
        x, t, h, (before,), _ = state
        h = h.clip(max=self.options.longest_step)
        end = np.where(h < t - self.s, t - h, self.s)
        noise = None if self.walk is None else self.walk.ahead(end).to(x.dtype)
        one = self._increment(x, t, t - end, noise, rows)
        guess = x + one
        two = self._increment(guess, end, t - end, noise, rows)
        size = torch.maximum(before.abs(), guess.abs()).mul_(self.options.rtol)
        error = rms((two - one).mul_(0.5) / size.clamp_(min=self.options.atol))
        return State(x + 0.5 * (one + two), end, t - end, (guess,)), error

    def _walk(self, x: Tensor, run: Run) -> BrownianWalk | _Fresh:
        like = x if x.dtype == torch.float64 else x.float()
        if self.options.keep_noise:
            return run.noise.walk(like, self.t)
        return _Fresh(like, self.t, run.noise)

    def _increment(
        self, x: Tensor, t: Floats, h: Floats, noise: Tensor | None, rows: Rows
    ) -> Tensor:
        (fall,) = columns((-h,), x)
        moved = fall * self.drift(x, t, rows)
        if noise is None:
            return moved
        return moved.addcmul_(self.reverse.diffusion(torch.from_numpy(t), x), noise)
