"""Mistakes in the formula of a stochastic step."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sdeplug.noise import NoiseSource
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Claims
from sdeplug.testing.mutants.right import EulerMaruyama, ExponentialEuler, ExponentialMidpoint

# Euler-Maruyama


@dataclass(frozen=True)
class HalfDrift(EulerMaruyama):
    """Half the drift."""

    def _drift(self, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        return 0.5 * reverse.drift(x, t)


@dataclass(frozen=True)
class DoubleDrift(EulerMaruyama):
    """Twice the drift."""

    def _drift(self, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        return 2.0 * reverse.drift(x, t)


@dataclass(frozen=True)
class DriftUpwards(EulerMaruyama):
    """The drift has the wrong sign: x + h drift."""

    def _drift(self, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        return -reverse.drift(x, t)


@dataclass(frozen=True)
class ForwardDriftUpwards(EulerMaruyama):
    """The drift f of the forward SDE has the wrong sign."""

    def _drift(self, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        return reverse.drift(x, t) - 2.0 * reverse.forward.drift_at(x, t)


@dataclass(frozen=True)
class NoForwardDrift(EulerMaruyama):
    """The drift f of the forward SDE is left out."""

    def _drift(self, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        return reverse.drift(x, t) - reverse.forward.drift_at(x, t)


def _g(reverse: ReverseSDE, t: float) -> float:
    """g, without the stochasticity."""
    return replace(reverse, stochasticity=1.0).diffusion(t)


def _weighed(reverse: ReverseSDE, x: Tensor, t: float, weight: float) -> Tensor:
    return reverse.forward.drift_at(x, t) - weight * reverse.score(x, t)


@dataclass(frozen=True)
class DiffusionNotSquared(EulerMaruyama):
    """The score is weighed with g where it should be g^2."""

    def _drift(self, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        level, g = reverse.level(t), _g(reverse, t)
        return _weighed(reverse, x, t, 0.5 * (1.0 + level**2) * g)


@dataclass(frozen=True)
class FlowWithNoise(EulerMaruyama):
    """Drift of the probability flow, g^2 / 2, with the noise of the SDE."""

    def _drift(self, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        return reverse.flow(x, t)


@dataclass(frozen=True)
class DriftAtFullStochasticity(EulerMaruyama):
    """The weight g^2 of the score at any stochasticity l, where it is (1 + l^2) / 2 g^2."""

    def _drift(self, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        return _weighed(reverse, x, t, _g(reverse, t) ** 2)


@dataclass(frozen=True)
class StochasticityNotSquared(EulerMaruyama):
    """(1 + l) / 2 where it should be (1 + l^2) / 2: right at l = 0 and l = 1."""

    def _drift(self, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        g = _g(reverse, t)
        return _weighed(reverse, x, t, 0.5 * (1.0 + reverse.level(t)) * g**2)


@dataclass(frozen=True)
class NoiseWithoutRoot(EulerMaruyama):
    """Noise of size h where it should be sqrt(h)."""

    def _scale(self, reverse: ReverseSDE, t: float, s: float) -> float:
        return (t - s) * reverse.diffusion(t)


@dataclass(frozen=True)
class DiffusionSquared(EulerMaruyama):
    """Noise of size g^2 where it should be g."""

    def _scale(self, reverse: ReverseSDE, t: float, s: float) -> float:
        return math.sqrt(t - s) * reverse.level(t) * _g(reverse, t) ** 2


@dataclass(frozen=True)
class NoiseAtFullStochasticity(EulerMaruyama):
    """Noise of size g at any stochasticity l, where it should be l g."""

    def _scale(self, reverse: ReverseSDE, t: float, s: float) -> float:
        return math.sqrt(t - s) * _g(reverse, t)


@dataclass(frozen=True)
class NoNoise(EulerMaruyama):
    """The drift of the SDE, without its noise; it says that it is deterministic."""

    claims = Claims(order=1, stochastic=False, evaluations=1)

    def _scale(self, reverse: ReverseSDE, t: float, s: float) -> float:
        return 0.0


@dataclass(frozen=True)
class EqualSteps(EulerMaruyama):
    """The length of a step is T / 1000 whatever the grid is."""

    def _length(self, t: float, s: float) -> float:
        return 1e-3


@dataclass(frozen=True)
class LengthInFloat32(EulerMaruyama):
    """The length of the step is a difference of float32 numbers."""

    def _length(self, t: float, s: float) -> float:
        return float(
            torch.tensor(t, dtype=torch.float32, device="cpu")
            - torch.tensor(s, dtype=torch.float32, device="cpu")
        )


@dataclass(frozen=True)
class ScoreAtTheEnd(EulerMaruyama):
    """The score is asked for at s, not at t."""

    def _drift(self, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        level, g = reverse.level(t), _g(reverse, t)
        weight = 0.5 * (1.0 + level**2) * g**2
        return reverse.forward.drift_at(x, t) - weight * reverse.score(x, s)


@dataclass(frozen=True)
class DiffusionAtTheEnd(EulerMaruyama):
    """Noise of size g(s), not g(t)."""

    def _scale(self, reverse: ReverseSDE, t: float, s: float) -> float:
        return math.sqrt(t - s) * reverse.diffusion(s)


# Exponential Euler


@dataclass(frozen=True)
class SpreadWithoutRoot(ExponentialEuler):
    """The variance of the posterior where it should be the standard deviation."""

    def _spread(self, sde: LinearSDE, t: float, s: float, level: float) -> float:
        early = sde.at(s).sigma
        return super()._spread(sde, t, s, level) ** 2 / early


@dataclass(frozen=True)
class NoAlpha(ExponentialEuler):
    """sigma_s / sigma_t without the alphas: right under VE only."""

    def _shrink(self, sde: LinearSDE, t: float, s: float) -> float:
        return sde.at(s).sigma / sde.at(t).sigma


@dataclass(frozen=True)
class PowerNotSquared(ExponentialEuler):
    """The power 1 + l where it should be 1 + l^2: right at l = 0 and l = 1."""

    def _power(self, level: float) -> float:
        return 1.0 + level


@dataclass(frozen=True)
class DeterministicPower(ExponentialEuler):
    """DDIM's mean with DDPM's noise."""

    def _power(self, level: float) -> float:
        return 1.0


@dataclass(frozen=True)
class NotDivided(ExponentialEuler):
    """Denoised data without the division by alpha: right under VE only."""

    def _denoised(self, reverse: ReverseSDE, x: Tensor, t: float) -> Tensor:
        return reverse.linear.at(t).alpha * reverse.denoised(x, t)


@dataclass(frozen=True)
class SigmaNotSquared(ExponentialEuler):
    """Tweedie's formula with sigma where it should be sigma^2."""

    def _denoised(self, reverse: ReverseSDE, x: Tensor, t: float) -> Tensor:
        now = reverse.linear.at(t)
        return (x + now.sigma * reverse.score(x, t)) / now.alpha


# Exponential midpoint: mistakes that cost the second order


@dataclass(frozen=True)
class HalfSlope(ExponentialMidpoint):
    """Half the second-order correction."""

    def _weight(self) -> float:
        return 0.5


@dataclass(frozen=True)
class SlopeBackwards(ExponentialMidpoint):
    """The second-order correction with the wrong sign."""

    def _weight(self) -> float:
        return -1.0


@dataclass(frozen=True)
class NoiseNotCarried(ExponentialMidpoint):
    """The noise of the first half is drawn anew for the result: two paths, not one."""

    def _carried(
        self, noise: NoiseSource, x: Tensor, early: Tensor | float, spread: float
    ) -> Tensor | float:
        return self._noise(noise, x, spread)


@dataclass(frozen=True)
class StageWithoutNoise(ExponentialMidpoint):
    """The second stage is at the mean of the first half, without its noise."""

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """As the right one, but for one term."""
        middle = 0.5 * (t + s)
        level = reverse.level(middle)
        keep, pull, _ = self._step(reverse.linear, t, middle, level)
        data = reverse.denoised(x, t)
        data = reverse.denoised(keep * x + pull * data, middle)
        keep, pull, spread = self._step(reverse.linear, t, s, level)
        return keep * x + pull * data + self._noise(run.noise, x, spread)
