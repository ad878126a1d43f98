"""Mistakes of solvers that draw a time or a number of steps."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from torch import Tensor

from sdeplug.noise import NoiseSource
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.testing.mutants.right_random import RandomisedMidpoint, RandomSubsteps, spread, uniform


@dataclass(frozen=True)
class EarlyTime(RandomisedMidpoint):
    """The time that is drawn is in the first half of the step."""

    def _share(self, noise: NoiseSource, x: Tensor) -> Tensor:
        return 0.5 * uniform(noise, x)


@dataclass(frozen=True)
class BeginningTime(RandomisedMidpoint):
    """The time that is drawn is the square of a uniform number."""

    def _share(self, noise: NoiseSource, x: Tensor) -> Tensor:
        return uniform(noise, x).square()


@dataclass(frozen=True)
class OneTime(RandomisedMidpoint):
    """One time for the whole batch, which it does not say."""

    def _share(self, noise: NoiseSource, x: Tensor) -> Tensor:
        share = uniform(noise, x)
        return share[:1].expand_as(share)


@dataclass(frozen=True)
class TimeOfTheNoise(RandomisedMidpoint):
    """The time that is drawn is made of the noise that moves x."""

    def _share(self, noise: NoiseSource, x: Tensor) -> Tensor:
        held = _Held.of(noise)
        held.kept = noise.normal(x)
        return spread(held.kept.flatten(1)[:, :1].double(), x)

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """With a source that gives what the time was made of once more."""
        return super().integrate(reverse, x, t, s, replace(run, noise=_Held(run.noise)))


class _Held(NoiseSource):
    """A source whose kept answer is given once more."""

    def __init__(self, source: NoiseSource) -> None:
        self.source = source
        self.kept: Tensor | None = None

    @staticmethod
    def of(noise: NoiseSource) -> _Held:
        assert isinstance(noise, _Held)
        return noise

    def normal(self, like: Tensor) -> Tensor:
        kept, self.kept = self.kept, None
        return self.source.normal(like) if kept is None else kept


@dataclass(frozen=True)
class OffThePath(RandomisedMidpoint):
    """The noise of the middle is not that of the path: it is drawn anew for the result."""

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """The noise up to the time that was drawn is forgotten there."""
        before = self._share(run.noise, x) * (t - s)
        middle = (t - before).clamp(s, t)
        first, second = self._noise(reverse, x, middle, run.noise)
        early = first * before.sqrt().to(x.dtype)
        inside = x - before.to(x.dtype) * reverse.drift(x, t) + early
        return x - (t - s) * reverse.drift(inside, middle) + math.sqrt(t - s) * second


@dataclass(frozen=True)
class SilentMiddle(RandomisedMidpoint):
    """The state at the time that was drawn lacks its noise."""

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """The drift is that of a mean."""
        before = self._share(run.noise, x) * (t - s)
        middle = (t - before).clamp(s, t)
        _, second = self._noise(reverse, x, middle, run.noise)
        inside = x - before.to(x.dtype) * reverse.drift(x, t)
        return x - (t - s) * reverse.drift(inside, middle) + math.sqrt(t - s) * second


@dataclass(frozen=True)
class LoudAtZero(RandomisedMidpoint):
    """Noise of size g at any stochasticity, which the claim of randomness hides."""

    def _noise(
        self, reverse: ReverseSDE, x: Tensor, middle: Tensor, noise: NoiseSource
    ) -> tuple[Tensor, Tensor]:
        full = replace(reverse, stochasticity=1.0)
        return super()._noise(full, x, middle, noise)


@dataclass(frozen=True)
class CountOfTheNoise(RandomSubsteps):
    """The number of steps is made of the noise that moves x."""

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """With a source that gives what the number was made of once more."""
        return super().integrate(reverse, x, t, s, replace(run, noise=_Held(run.noise)))

    def _count(self, noise: NoiseSource, x: Tensor) -> Tensor:
        held = _Held.of(noise)
        held.kept = noise.normal(x)
        share = spread(held.kept.flatten(1)[:, :1].double(), x)
        return (self.most * share).floor().add(1.0).clamp(max=self.most)


@dataclass(frozen=True)
class WholeNoise(RandomSubsteps):
    """Each of the steps has the noise of the whole."""

    def _moved(
        self, reverse: ReverseSDE, x: Tensor, t: Tensor, length: Tensor, z: Tensor
    ) -> Tensor:
        mean = x - length.to(x.dtype) * reverse.drift(x, t)
        return mean + (self.most * length).sqrt().to(x.dtype) * reverse.diffusion(t, x) * z


@dataclass(frozen=True)
class ShortSteps(RandomSubsteps):
    """The steps are 2 % too short for their number: the last one ends before s."""

    def _moved(
        self, reverse: ReverseSDE, x: Tensor, t: Tensor, length: Tensor, z: Tensor
    ) -> Tensor:
        return super()._moved(reverse, x, t, 0.98 * length, z)
