r"""An adaptive solver of the reverse SDE with a step size for each row: ``row-adams``.

In the clock :math:`\ell` of :mod:`sdeplug_adaptive.clock`, over a step h from y with D = D_0 there
and D_{-1} one step earlier (of length h'), the predictor and the corrector of an exponential
Adams method of order 2 are

.. math::
    p &= e^{-h} y + (1 - e^{-h}) D_0 + w \tfrac{h}{h'} (D_0 - D_{-1}) + N, \\
    c &= e^{-h} y + (1 - e^{-h}) D_0 + w (D_1 - D_0) + N,
    \qquad w = 1 - \tfrac{1 - e^{-h}}{h},

with D_1 = D(p): one evaluation a step, which serves the next step too.  Their difference is the
error.  The noise N is the increment of one Brownian motion over the step: when a step is rejected
the shorter one sees a part of the same noise, by a Brownian bridge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug import Claims, Integrator, LinearSDE, ReverseSDE, Run, option
from sdeplug_adaptive.clock import Clock
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

_SHORTEST = 1e-12  # step in log(alpha / sigma)


@dataclass(frozen=True)
class RowAdams(Integrator):
    """Exponential Adams predictor-corrector of order 2, each row with steps of its own.

    The error of a step is measured against ``rtol`` sigma + ``atol`` alpha: relative to the noise
    that is still there, and in units of the data.
    """

    rtol: float = relative_tolerance(0.05)
    atol: float = absolute_tolerance(0.005)
    first_step: float = option(0.1, help="first step, in log(alpha / sigma)", gt=0.0)
    longest_step: float = option(0.5, help="longest step, in log(alpha / sigma)", gt=0.0)
    max_steps: int = step_budget()
    whole_batch: bool = whole_batch()

    claims = Claims(affine=False, needs=LinearSDE)

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """Carry x ~ p_t to s, each row with steps of its own.

        Raises:
            ArgumentError: if sigma is 0 at s.
            StepError: if the steps of a row become too short, or too many.
            NonFiniteError: if the score is not finite on the way of a row.
        """
        clock = Clock(reverse, t, s, x.device)
        return March(_Steps(self, clock, x, run), s, self.max_steps, run)(x)


class _Steps:
    """One step; the memory is D_0, the slope (D_0 - D_{-1}) / h', lambda and Z."""

    shortest = _SHORTEST

    def __init__(self, options: RowAdams, clock: Clock, x: Tensor, run: Run) -> None:
        self.options, self.clock, self.whole = options, clock, options.whole_batch
        self.data = Asked(self._data, self.whole)
        # Smooth data change as h^2 beyond the slope, a path only as h^(1/2).
        self.control = Control(exponent=1.5 if clock.start else 3.0)
        self.noise = _Noise(clock, x, run) if clock.start else None

    def begin(self, x: Tensor) -> State:
        """D at the start, without a slope."""
        t = full(self.clock.t, x)
        data = self.data(x, t)
        place = (torch.full_like(t, self.clock.first), torch.full_like(t, self.clock.start))
        h = torch.full_like(t, self.options.first_step)
        return State(x, t, h, (data, torch.zeros_like(data), *place))

    def attempt(self, state: State, rows: Tensor) -> tuple[State, Tensor]:
        """One evaluation; the difference of predictor and corrector is the error."""
        x, t, h, (data, slope, log_ratio, spread) = state
        clock, sde = self.clock, self.clock.sde
        aim = log_ratio + h.clamp(max=self.options.longest_step)
        end = torch.where(aim < clock.last, clock.later(t, log_ratio, aim), clock.s)
        new_ratio = clock.log_ratio(end)
        new_spread = clock.spread(new_ratio)
        step = new_ratio - log_ratio + new_spread - spread
        forgotten = -torch.expm1(-step)
        late = (1.0 - forgotten / step).nan_to_num(nan=0.0)
        log_alpha = sde.log_alpha(end)
        alpha, sigma = log_alpha.exp(), sde.sigma(end)
        kept = (log_alpha - sde.log_alpha(t) - step).exp()
        predicted = column(kept, x) * x + column(alpha * forgotten, x) * data
        predicted.addcmul_(column(alpha * late * step, x), slope)
        if self.noise is not None:
            predicted.add_(self.noise.over(new_spread, sigma, rows).to(x.dtype))
        new_data = self.data(predicted, end, rows)
        change = new_data - data
        correction = column(alpha * late, x) * torch.sub(change, column(step, x) * slope)
        tolerance = self.options.rtol * sigma + self.options.atol * alpha
        error = rms(correction) / tolerance
        memory = (new_data, change / column(step, x), new_ratio, new_spread)
        return State(predicted + correction, end, new_ratio - log_ratio, memory), error

    def settle(self, state: State, rows: Tensor) -> None:
        """Let the path forget what lies behind."""
        if self.noise is not None:
            self.noise.settle(state.memory[-1], rows)

    def _data(self, x: Tensor, t: Tensor) -> Tensor:
        """E[x_0 | x_t], each row at its own time."""
        sde, reverse = self.clock.sde, self.clock.reverse
        alpha, variance = sde.log_alpha(t).exp(), sde.sigma(t).square()
        return torch.addcmul(x, column(variance, x), reverse.score(x, t)) / column(alpha, x)


class _Noise:
    """The noise of the steps of all rows: increments of one Brownian motion in V."""

    def __init__(self, clock: Clock, x: Tensor, run: Run) -> None:
        self.least = math.exp(2.0 * clock.start)
        like = x if x.dtype == torch.float64 else x.float()
        self.path = run.noise.brownian(like, -self.least, -1.0)
        self.reached = full(self.least, x)

    def over(self, spread: Tensor, sigma: Tensor, rows: Tensor) -> Tensor:
        """The noise of a step to Z = spread, for some rows of the batch."""
        aim = self._with(spread, rows)
        moved = self.path.increment(-aim, -self.reached)[rows]
        return column(sigma * (-spread).exp(), moved) * moved

    def settle(self, spread: Tensor, rows: Tensor) -> None:
        """Hear that the rows are at Z = spread now."""
        self.reached = self._with(spread, rows)
        self.path.forget(-self.reached)

    def _with(self, spread: Tensor, rows: Tensor) -> Tensor:
        volume = (2.0 * spread).exp().clamp(self.least, 1.0)
        return self.reached.index_copy(0, rows, volume)
