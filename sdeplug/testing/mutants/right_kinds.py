"""Right solvers of other unusual kinds: with a momentum, of one level, of a tolerance."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from sdeplug.errors import ArgumentError, StepError
from sdeplug.noise import NoiseSource
from sdeplug.options import option
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Claims, Corrector, Field, FlowIntegrator, Integrator

_LEAST = 1e-10  # step over the span


# --8<-- [start:underdamped]
@dataclass(frozen=True)
class Underdamped(Corrector):
    """Langevin steps with a momentum, which is fresh in each call and forgotten after it.

    Friction and noise act on the momentum alone; in between are leapfrog steps.  On a Gaussian
    these keep an energy that is off by (snr sigma)^2 of its precision, whatever the friction is:
    that is the bias.
    """

    snr: float = option(0.16, help="half a leapfrog step over sigma", gt=0.0, le=0.99)
    steps: int = option(4, help="leapfrog steps", ge=1, le=64)
    kept: float = option(0.8, help="share of the momentum that a step keeps", ge=0.0, le=1.0)

    @property
    def claims(self) -> Claims:
        """A bias that falls with snr."""
        floor = 1.0 / math.sqrt(1.0 - self.snr**2) - 1.0
        return Claims(evaluations=self.steps + 1, floor=floor, needs=LinearSDE)

    def correct(self, reverse: ReverseSDE, x: Tensor, t: float, run: Run) -> Tensor:
        """Half a kick, a move, half a kick; then friction."""
        length = 2.0 * self.snr * reverse.linear.at(t).sigma
        momentum, score = self._fresh(run.noise, x), reverse.score(x, t)
        for _ in range(self.steps):
            momentum = momentum + 0.5 * length * score
            x = x + length * momentum
            score = reverse.score(x, t)
            momentum = self._rubbed(momentum + 0.5 * length * score, run.noise)
        return x

    def _fresh(self, noise: NoiseSource, x: Tensor) -> Tensor:
        return noise.normal(x)

    def _rubbed(self, momentum: Tensor, noise: NoiseSource) -> Tensor:
        return self.kept * momentum + math.sqrt(1.0 - self.kept**2) * noise.normal(momentum)


# --8<-- [end:underdamped]
# --8<-- [start:level]
@dataclass(frozen=True)
class OneLevel(Integrator):
    """An Euler-Maruyama step of Anderson's reverse SDE, and of no other."""

    claims = Claims(order=1, evaluations=1, level=1.0)

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """x - h (f - g^2 score) + sqrt(h) g z."""
        if reverse.level(t) != 1.0:
            raise ArgumentError("stochasticity", reverse.stochasticity, "1, its only one")
        scale = math.sqrt(t - s) * reverse.diffusion(t, x)
        return x - (t - s) * reverse.drift(x, t) + scale * run.noise.normal(x)


# --8<-- [end:level]
# --8<-- [start:adaptive]
Placed = tuple[Tensor, float]
"""A state and its time."""


@dataclass(frozen=True)
class AdaptiveHeun(FlowIntegrator):
    """Heun's method with steps as long as a tolerance allows, the same for the whole batch."""

    tolerance: float = option(1e-4, help="error of a step, over 1 and the state", gt=0.0, le=0.1)

    claims = Claims(stochastic=False, affine=False, couples_batch=True)

    def flow(self, field: Field, y: Tensor, t: float, s: float, run: Run) -> Tensor:
        """The first step that is tried is all the way; one that is rejected leaves no trace."""
        length, velocity, least = s - t, field(y, t), _LEAST * abs(s - t)
        while t != s:
            step = length if abs(length) < abs(s - t) else s - t
            end = s if step == s - t else t + step
            if abs(step) < least and end != s:
                raise StepError(f"no step is short enough at t = {t:.6g}", t=t, row=0)
            ahead = field(y + step * velocity, end)
            allowed = 2.0 * self.tolerance * (1.0 + _rms(y))
            error = float(abs(step) * _rms(ahead - velocity) / allowed)
            y, t = self._next(error, (y, t), (y + 0.5 * step * (velocity + ahead), end))
            velocity = field(y, t)
            length = step * self._factor(error)
        return y

    def _next(self, error: float, here: Placed, there: Placed) -> Placed:
        return there if error <= 1.0 else here

    def _factor(self, error: float) -> float:
        return min(4.0, max(0.2, 0.9 / math.sqrt(error))) if 0.0 < error < math.inf else 0.2


def _rms(y: Tensor) -> Tensor:
    """Root mean square over the whole batch."""
    return y.detach().square().mean().sqrt()


# --8<-- [end:adaptive]
