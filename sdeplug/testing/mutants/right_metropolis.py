r"""Right correctors that accept or reject what they propose (Metropolis et al. 1953).

All but the density is known of p_t: what is needed is how much denser it is at one point than at
another, and that is an integral of the score,

.. math:: \log p_t(y) - \log p_t(x) = \int_0^1 \nabla \log p_t(x + u (y - x)) \cdot (y - x)\, du .

Lobatto's rule of four nodes has x and y among them, where the score is asked for anyway.  It is
exact where the score is a polynomial of degree 5 along the line.  A target whose density is known
needs no integral: :meth:`Metropolis._ratio` is the place for it.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug.noise import NoiseSource
from sdeplug.options import option
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Claims, Corrector
from sdeplug.testing.mutants.right_random import uniform

_INSIDE = (0.5 - math.sqrt(5.0) / 10.0, 0.5 + math.sqrt(5.0) / 10.0)
_END_WEIGHT, _INSIDE_WEIGHT = 1.0 / 12.0, 5.0 / 12.0


@dataclass(frozen=True)
class Point:
    """A state and the score there."""

    x: Tensor
    score: Tensor


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Scalar products of rows: shape ``(B, 1, ..., 1)``."""
    return (a * b).flatten(1).sum(1).reshape(-1, *[1] * (a.ndim - 1))


def at(reverse: ReverseSDE, x: Tensor, t: float) -> Point:
    """A state with its score."""
    return Point(x, reverse.score(x, t))


# --8<-- [start:metropolis]
class Metropolis(Corrector):
    """Propose, and accept with the probability that leaves p_t as it is; else stay."""

    def correct(self, reverse: ReverseSDE, x: Tensor, t: float, run: Run) -> Tensor:
        """Where the log of a uniform number is below the log of the ratio, go there."""
        here = at(reverse, x, t)
        there, log_odds = self._proposed(reverse, here, t, run.noise)
        return self._kept(here, there, self._ratio(reverse, here, there, t) + log_odds, run.noise)

    @abstractmethod
    def _proposed(
        self, reverse: ReverseSDE, here: Point, t: float, noise: NoiseSource
    ) -> tuple[Point, Tensor | float]:
        """What is proposed, and the log of how much likelier the way back is proposed."""

    def _ratio(self, reverse: ReverseSDE, here: Point, there: Point, t: float) -> Tensor:
        """log p_t(there) - log p_t(here): the score along the line, by Lobatto's rule."""
        way = there.x - here.x
        total = _END_WEIGHT * (here.score + there.score)
        for share in _INSIDE:
            total = total + _INSIDE_WEIGHT * reverse.score(here.x + share * way, t)
        return dot(total, way)

    def _kept(self, here: Point, there: Point, log_odds: Tensor, noise: NoiseSource) -> Tensor:
        return torch.where(uniform(noise, here.x).log() < log_odds, there.x, here.x)


# --8<-- [end:metropolis]
# --8<-- [start:walk]
@dataclass(frozen=True)
class RandomWalk(Metropolis):
    """Metropolis' own: a proposal without a direction, accepted or rejected."""

    size: float = option(0.5, help="length of a proposal over sigma", gt=0.0, le=4.0)

    claims = Claims(affine=False, evaluations=4, needs=LinearSDE, randomised=True)

    def _proposed(
        self, reverse: ReverseSDE, here: Point, t: float, noise: NoiseSource
    ) -> tuple[Point, Tensor | float]:
        length = self.size * reverse.linear.at(t).sigma
        return at(reverse, here.x + length * noise.normal(here.x), t), 0.0


# --8<-- [end:walk]
# --8<-- [start:mala]
@dataclass(frozen=True)
class AdjustedLangevin(Metropolis):
    """A Langevin step as the proposal: MALA (Roberts and Tweedie 1996), without bias."""

    snr: float = option(0.3, help="signal-to-noise ratio of a step", gt=0.0, le=2.0)

    claims = Claims(affine=False, evaluations=4, needs=LinearSDE, randomised=True)

    def _proposed(
        self, reverse: ReverseSDE, here: Point, t: float, noise: NoiseSource
    ) -> tuple[Point, Tensor | float]:
        length = 2.0 * (self.snr * reverse.linear.at(t).sigma) ** 2
        z = noise.normal(here.x)
        there = at(reverse, here.x + length * here.score + math.sqrt(2.0 * length) * z, t)
        return there, self._odds(here, there, length)

    def _odds(self, here: Point, there: Point, length: float) -> Tensor:
        """log q(here | there) - log q(there | here), both Gaussian."""
        forth = there.x - here.x - length * here.score
        back = here.x - there.x - length * there.score
        return (dot(forth, forth) - dot(back, back)) / (4.0 * length)


# --8<-- [end:mala]
# --8<-- [start:hamiltonian]
@dataclass(frozen=True)
class Hamiltonian(Metropolis):
    """Leapfrog steps with a fresh momentum as the proposal: HMC (Duane et al. 1987)."""

    size: float = option(0.4, help="length of a leapfrog step over sigma", gt=0.0, le=2.0)
    steps: int = option(3, help="leapfrog steps", ge=1, le=64)

    @property
    def claims(self) -> Claims:
        """A score at each end of each step, and two for the ratio."""
        count = self.steps + 3
        return Claims(affine=False, evaluations=count, needs=LinearSDE, randomised=True)

    def _proposed(
        self, reverse: ReverseSDE, here: Point, t: float, noise: NoiseSource
    ) -> tuple[Point, Tensor | float]:
        length, there = self.size * reverse.linear.at(t).sigma, here
        fresh = momentum = self._momentum(noise, here)
        for _ in range(self.steps):
            there, momentum = self._leap(reverse, there, momentum, t, length)
        return there, self._odds(fresh, momentum)

    def _momentum(self, noise: NoiseSource, here: Point) -> Tensor:
        return noise.normal(here.x)

    def _leap(
        self, reverse: ReverseSDE, here: Point, momentum: Tensor, t: float, length: float
    ) -> tuple[Point, Tensor]:
        momentum = momentum + 0.5 * length * here.score
        there = at(reverse, here.x + length * momentum, t)
        return there, momentum + 0.5 * length * there.score

    def _odds(self, before: Tensor, after: Tensor) -> Tensor:
        """What is gained in kinetic energy is lost in likelihood."""
        return 0.5 * (dot(before, before) - dot(after, after))


# --8<-- [end:hamiltonian]
