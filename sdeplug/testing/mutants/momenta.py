"""Mistakes in correctors that have a momentum."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug.noise import NoiseSource
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.testing.mutants.right_kinds import Underdamped
from sdeplug.testing.mutants.right_metropolis import Hamiltonian, Point, at, dot


@dataclass(frozen=True)
class NoKinetic(Hamiltonian):
    """The kinetic energy is left out of the ratio."""

    def _odds(self, before: Tensor, after: Tensor) -> Tensor:
        return 0.0 * dot(before, after)


@dataclass(frozen=True)
class KineticNotHalved(Hamiltonian):
    """The kinetic energy is |v|^2 where it is half of that."""

    def _odds(self, before: Tensor, after: Tensor) -> Tensor:
        return 2.0 * super()._odds(before, after)


@dataclass(frozen=True)
class WideMomentum(Hamiltonian):
    """The fresh momentum is 20 % too large."""

    def _momentum(self, noise: NoiseSource, here: Point) -> Tensor:
        return 1.2 * noise.normal(here.x)


@dataclass(frozen=True)
class MomentumOfTheScore(Hamiltonian):
    """The momentum is not fresh: it is along the score, where it would have gone anyway."""

    def _momentum(self, noise: NoiseSource, here: Point) -> Tensor:
        return here.score / dot(here.score, here.score).clamp(min=1e-30).sqrt()


@dataclass(frozen=True)
class LastHalfKickLeftOut(Hamiltonian):
    """The leapfrog steps lack their second half kick: the way back is another one."""

    def _leap(
        self, reverse: ReverseSDE, here: Point, momentum: Tensor, t: float, length: float
    ) -> tuple[Point, Tensor]:
        momentum = momentum + 0.5 * length * here.score
        return at(reverse, here.x + length * momentum, t), momentum


@dataclass(frozen=True)
class WholeKick(Hamiltonian):
    """A whole kick at the start of each leapfrog step, none at its end."""

    def _leap(
        self, reverse: ReverseSDE, here: Point, momentum: Tensor, t: float, length: float
    ) -> tuple[Point, Tensor]:
        momentum = momentum + length * here.score
        return at(reverse, here.x + length * momentum, t), momentum


@dataclass(frozen=True)
class NoFreshMomentum(Underdamped):
    """The momentum starts at 0, and is not drawn."""

    def _fresh(self, noise: NoiseSource, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


@dataclass(frozen=True)
class NoiseNotSquared(Underdamped):
    """Noise of size 1 - c where it should be sqrt(1 - c^2)."""

    def _rubbed(self, momentum: Tensor, noise: NoiseSource) -> Tensor:
        return self.kept * momentum + (1.0 - self.kept) * noise.normal(momentum)


@dataclass(frozen=True)
class FrictionAlone(Underdamped):
    """Friction without its noise."""

    def _rubbed(self, momentum: Tensor, noise: NoiseSource) -> Tensor:
        return self.kept * momentum


@dataclass(frozen=True)
class EulerKicks(Underdamped):
    """A whole kick before each move and none after it: a bias of first order in the step."""

    def correct(self, reverse: ReverseSDE, x: Tensor, t: float, run: Run) -> Tensor:
        """Kick, move, friction."""
        length = 2.0 * self.snr * reverse.linear.at(t).sigma
        momentum, score = self._fresh(run.noise, x), reverse.score(x, t)
        for _ in range(self.steps):
            momentum = momentum + length * score
            x = x + length * momentum
            score = reverse.score(x, t)
            momentum = self._rubbed(momentum, run.noise)
        return x
