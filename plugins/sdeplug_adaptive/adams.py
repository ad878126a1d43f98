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

import numpy as np
import torch
from torch import Tensor

from sdeplug import Claims, Integrator, LinearSDE, ReverseSDE, Run, option
from sdeplug_adaptive.clock import Clock, Place
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
from sdeplug_adaptive.march import March, Rows, State
from sdeplug_adaptive.rows import Asked, full, whole_batch

_SMOOTH = Control(exponent=3.0)  # without noise the data bend as h^2


@dataclass(frozen=True)
class RowAdams(Integrator):
    """Exponential Adams predictor-corrector of order 2, each row with steps of its own.

    The error of a step is measured against ``rtol`` sigma + ``atol`` alpha: relative to the noise
    that is still there, and in units of the data.
    """

    rtol: float = relative_tolerance(0.1)
    atol: float = absolute_tolerance(0.01)
    first_step: float = option(0.5, help="first step, in log(alpha / sigma)", gt=0.0)
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
        clock = Clock(reverse, t, s)
        return March(_Steps(self, clock, x, run), s, self.max_steps, run)(x)


class _Steps:
    """One step; the memory is D_0 and D_0 - D_{-1}, the marks the node of the clock, what it says
    there, and h'."""

    def __init__(self, options: RowAdams, clock: Clock, x: Tensor, run: Run) -> None:
        self.options, self.clock, self.whole = options, clock, options.whole_batch
        self.score = Asked(clock.score, self.whole)
        noisy = clock.least < 1.0
        self.control = NOISY if noisy else _SMOOTH
        self.shortest = clock.spacing
        self.longest = max(1, int(options.longest_step / clock.spacing))
        like = x if x.dtype == torch.float64 else x.float()
        self.walk = run.noise.walk(like, -float(clock.least)) if noisy else None

    def begin(self, x: Tensor) -> State:
        """D at the start, without a slope."""
        node = np.zeros(len(x), dtype=np.int64)
        now = self.clock.at(node)
        place = Place(*now.T)
        unit, gain = columns((place.unit, place.gain), x)
        data = torch.addcmul(unit * x, gain, self.score(x, place.t))
        h = full(max(self.options.first_step, self.shortest), x)
        return State(x, place.t, h, (data, torch.zeros_like(data)), (node, now, full(1.0, x)))

    def attempt(self, state: State, rows: Rows) -> tuple[State, Floats]:
        """One evaluation; the difference of predictor and corrector is the error."""
        x, _, h, (data, change), (node, now, before) = state
        jump = np.minimum(h * (1.0 / self.clock.spacing), self.longest).astype(np.int64)
        aim = np.minimum(node + np.maximum(jump, 1), self.clock.last)
        there = self.clock.at(aim)
        end, (length, step, shift) = Place(*there.T), (there - now)[:, :3].T
        forgotten = -np.expm1(-step)
        late = end.alpha * (1.0 - forgotten / step)
        weights = (np.exp(shift), end.alpha * forgotten, late, step / before,
                   end.loudness, end.unit, end.gain)  # fmt: skip
        kept, new, late_, ratio, loudness, unit, gain = columns(weights, x)
        expected = ratio * change
        predicted = (kept * x).addcmul_(new, data).addcmul_(late_, expected)
        if self.walk is not None:
            predicted.addcmul_(loudness, self.walk.ahead(end.fall).to(x.dtype))
        found = (unit * predicted).addcmul_(gain, self.score(predicted, end.t, rows))
        change = found - data
        correction = late_ * (change - expected)
        tolerance = self.options.rtol * end.sigma + self.options.atol * end.alpha
        after = State(predicted + correction, end.t, length, (found, change), (aim, there, step))
        return after, rms(correction) / tolerance
