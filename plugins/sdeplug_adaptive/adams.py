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

from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug import Claims, Integrator, LinearSDE, ReverseSDE, Run, option
from sdeplug_adaptive.clock import Clock
from sdeplug_adaptive.control import (
    Control,
    absolute_tolerance,
    column,
    columns,
    relative_tolerance,
    rms,
    step_budget,
)
from sdeplug_adaptive.march import March, State
from sdeplug_adaptive.rows import Asked, full, whole_batch


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
    """One step; the memory is D_0, the slope (D_0 - D_{-1}) / h', and the node of the clock."""

    def __init__(self, options: RowAdams, clock: Clock, x: Tensor, run: Run) -> None:
        self.options, self.clock, self.whole = options, clock, options.whole_batch
        self.score = Asked(clock.score, self.whole)
        noisy = clock.least < 1.0
        # Smooth data change as h^2 beyond the slope, a path only as h^(1/2).
        self.control = Control(exponent=1.5 if noisy else 3.0)
        self.shortest = clock.spacing
        self.noise = _Noise(clock, x, run) if noisy else None

    def begin(self, x: Tensor) -> State:
        """D at the start, without a slope."""
        node = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        place = self.clock.at(node)
        alpha, sigma = (column(each, x) for each in (place.alpha, place.sigma))
        data = torch.addcmul(x, sigma * sigma, self.score(x, place.t)) / alpha
        h = full(max(self.options.first_step, self.shortest), x)
        return State(x, place.t, h, (data, torch.zeros_like(data), node))

    def attempt(self, state: State, rows: Tensor) -> tuple[State, Tensor]:
        """One evaluation; the difference of predictor and corrector is the error."""
        x, _, h, (data, slope, node) = state
        jump = (h.clamp(max=self.options.longest_step) / self.clock.spacing).long().clamp_(min=1)
        aim = (node + jump).clamp_(max=self.clock.last)
        now, end = self.clock.at(node), self.clock.at(aim)
        step = end.age - now.age
        forgotten = -torch.expm1(-step)
        late = end.alpha * (1.0 - forgotten / step)
        kept = (end.log_alpha - now.log_alpha - step).exp()
        weights = (kept, end.alpha * forgotten, late, step, end.alpha, end.sigma, end.loudness)
        kept, new, late, step, alpha, sigma, loudness = columns(weights, x)
        expected = step * slope
        predicted = torch.addcmul(kept * x, new, data).addcmul_(late, expected)
        if self.noise is not None:
            predicted.addcmul_(loudness, self.noise.over(end.volume, rows).to(x.dtype))
        score = self.score(predicted, end.t, rows)
        change = torch.addcmul(predicted, sigma * sigma, score) / alpha - data
        correction = late * (change - expected)
        tolerance = self.options.rtol * end.sigma + self.options.atol * end.alpha
        memory = (data + change, change / step, aim)
        tried = State(predicted + correction, end.t, end.log_ratio - now.log_ratio, memory)
        return tried, rms(correction) / tolerance

    def settle(self, state: State, rows: Tensor) -> None:
        """Let the path forget what lies behind."""
        if self.noise is not None:
            self.noise.settle(self.clock.at(state.memory[-1]).volume, rows)


class _Noise:
    """The noise of the steps of all rows: increments of one Brownian motion in V."""

    def __init__(self, clock: Clock, x: Tensor, run: Run) -> None:
        like = x if x.dtype == torch.float64 else x.float()
        # A path runs down in time, V up.
        self.path = run.noise.brownian(like, -clock.least, -1.0)
        self.reached = full(-clock.least, x)

    def over(self, volume: Tensor, rows: Tensor) -> Tensor:
        """The increments up to V = volume, for some rows of the batch."""
        return self.path.increment(self._with(volume, rows), self.reached)[rows]

    def settle(self, volume: Tensor, rows: Tensor) -> None:
        """Hear that the rows are at V = volume now."""
        self.reached = self._with(volume, rows)
        self.path.forget(self.reached)

    def _with(self, volume: Tensor, rows: Tensor) -> Tensor:
        return self.reached.index_copy(0, rows, -volume)
