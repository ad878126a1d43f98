r"""STORK: a stabilised Runge-Kutta method whose inner stages ask no network.

The probability flow is :math:`dx/dt = a\,x + b\,\epsilon` with the noise :math:`\epsilon` in x,
:math:`b = g^2 / (2 \sigma)`.  Inside a step the noise is the polynomial in t through its last
values, which is what Taylor's series with differences for its derivatives makes.  So the stages of
a stabilised method can be had without the network, as many as it wants.  For flow matching the
polynomial is one of the velocity, dx/dt itself.  (Tan, Wang, Bertozzi & Ryu, arXiv 2505.24210.)

A polynomial that is known beforehand leaves a step linear in x and in the values: the stages are
gone through once, with their factors, and no tensor knows of them.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from math import inf

import numpy as np
from torch import Tensor

from sdeplug import Claims, LinearSDE, Marginal, OneOf, ReverseSDE, Run, option
from sdeplug_exponential.multistep import Memory, Plan, Remembering, Rule
from sdeplug_exponential.prediction import NOISE
from sdeplug_exponential.stabilised import Gegenbauer, Rock4, Scheme
from sdeplug_exponential.weights import lagrange


class Stabilised(OneOf):
    """The stabilised methods by name."""

    RKG2 = Gegenbauer(50)
    ROCK4 = Rock4()


@dataclass(frozen=True)
class Stork(Remembering):
    """STORK-2 and STORK-4 along the probability flow: one evaluation a step.

    The first steps use fewer values; the authors begin with two half steps, and one evaluation
    more.
    """

    claims = Claims(order=2, stochastic=False, evaluations=1, needs=LinearSDE)

    method: Stabilised = option(Stabilised.RKG2, help="rkg2: STORK-2; rock4: STORK-4")
    values: int = option(3, help="values that the polynomial goes through", ge=1, le=4)
    velocity: bool = option(False, help="polynomial of the velocity, not of the noise")

    def memory(self, reverse: ReverseSDE, run: Run) -> Memory:
        """As many values as the polynomial."""
        return _Virtual(self, reverse, run)


class _Virtual(Memory):
    """Values of the noise or of the velocity, and the times at which they were seen."""

    def __init__(self, by: Stork, reverse: ReverseSDE, run: Run) -> None:
        super().__init__(Rule(by.values, prediction=NOISE), reverse, run, quiet=True)
        self.by = by
        self.times: tuple[float, ...] = ()

    def advance(self, x: Tensor, t: float, s: float) -> Tensor:
        if x is not self.state:
            self.places, self.values, self.times = (), [], ()
        now, end = self.sde.at(t), self.sde.at(s)
        if end.log_snr == inf:
            return end.alpha * self.reverse.denoised(x, t)
        self.times = (t, *self.times[: self.keep])
        self.arrived(x, t, now)
        make = _remembered if isinstance(self.sde, Hashable) else _plan
        self.state = self.combined(x, make(self.by, self.sde, s, self.times), now, end)
        return self.state

    def remember(self, x: Tensor, score: Tensor, here: Marginal) -> None:
        super().remember(x, score, here)
        if self.by.velocity:
            speed = score.mul(-0.5 * here.diffusion**2).add_(x, alpha=here.drift_rate)
            self.values[0] = (1.0, speed)


def _plan(by: Stork, sde: LinearSDE, s: float, times: tuple[float, ...]) -> Plan:
    """What a step to s makes of the state and of the values at some times, the newest first."""
    scheme: Scheme = by.method.value
    t, h = times[0], s - times[0]
    points, fractions = [(time - t) / h for time in times], np.array(scheme.fractions)
    rates, values = [0.0] * len(fractions), np.zeros((len(fractions), 1 + len(times)))
    for j in range(len(points)):
        values[:, 1 + j] = lagrange(points, j, fractions)
    if not by.velocity:
        places = (t + h * fractions).tolist()
        sde.prepare(places)
        here = [sde.at(place) for place in places]
        rates = [h * each.drift_rate for each in here]
        # The values are the noise with its sign turned.
        values *= [[-0.5 * each.diffusion**2 / each.sigma] for each in here]
    values *= h
    start = np.eye(1 + len(times), dtype=np.float64)[0]
    end = scheme.run(lambda call, y: rates[call] * y + values[call], start)
    kept, *weights = end.tolist()
    alpha = sde.at(s).alpha
    return kept * sde.at(t).alpha / alpha, tuple(each / alpha for each in weights), 0.0


_remembered = lru_cache(maxsize=16384)(_plan)
