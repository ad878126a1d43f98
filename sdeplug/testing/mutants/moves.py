"""Mistakes in correctors that accept or reject."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sdeplug.noise import NoiseSource
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.solvers import Claims
from sdeplug.testing.mutants.right_metropolis import (
    AdjustedLangevin,
    Point,
    RandomWalk,
    at,
    dot,
)


@dataclass(frozen=True)
class AlwaysAccepted(AdjustedLangevin):
    """Every proposal is accepted: a Langevin step, with its bias."""

    def _kept(self, here: Point, there: Point, log_odds: Tensor, noise: NoiseSource) -> Tensor:
        return torch.where(log_odds > -math.inf, there.x, here.x)


@dataclass(frozen=True)
class RatioInverted(AdjustedLangevin):
    """The ratio of acceptance is upside down."""

    def _kept(self, here: Point, there: Point, log_odds: Tensor, noise: NoiseSource) -> Tensor:
        return super()._kept(here, there, -log_odds, noise)


@dataclass(frozen=True)
class ProposalsIgnored(AdjustedLangevin):
    """The proposal is taken to be as likely on the way back, which it is not."""

    def _odds(self, here: Point, there: Point, length: float) -> Tensor:
        return dot(here.x, 0.0 * there.x)


@dataclass(frozen=True)
class ProposalsInverted(AdjustedLangevin):
    """The two proposals are exchanged in the ratio."""

    def _odds(self, here: Point, there: Point, length: float) -> Tensor:
        return super()._odds(there, here, length)


@dataclass(frozen=True)
class ScoreOfTheStart(AdjustedLangevin):
    """The way back is proposed with the score of the start, not of the end."""

    def _odds(self, here: Point, there: Point, length: float) -> Tensor:
        return super()._odds(here, replace(there, score=here.score), length)


@dataclass(frozen=True)
class LeftEnd(AdjustedLangevin):
    """The integral of the score along the line is its value at the start."""

    def _ratio(self, reverse: ReverseSDE, here: Point, there: Point, t: float) -> Tensor:
        inside = 0.0 * (reverse.score(here.x, t) + reverse.score(here.x, t))
        return dot(here.score + inside, there.x - here.x)


@dataclass(frozen=True)
class OneNumber(AdjustedLangevin):
    """One number decides for the whole batch."""

    def _kept(self, here: Point, there: Point, log_odds: Tensor, noise: NoiseSource) -> Tensor:
        number = torch.special.ndtr(noise.normal(here.x.flatten(1)[:, :1]).double())[0]
        return torch.where(number.log() < log_odds, there.x, here.x)


@dataclass(frozen=True)
class NormalNumber(RandomWalk):
    """The number that decides is the size of a normal one, not a uniform one."""

    def _kept(self, here: Point, there: Point, log_odds: Tensor, noise: NoiseSource) -> Tensor:
        number = noise.normal(here.x.flatten(1)[:, :1]).abs().reshape(log_odds.shape)
        return torch.where(number.log() < log_odds, there.x, here.x)


@dataclass(frozen=True)
class TriesAgain(RandomWalk):
    """What is rejected is proposed again, once."""

    @property
    def claims(self) -> Claims:  # type: ignore[override]
        """The evaluations vary."""
        return replace(RandomWalk.claims, evaluations=None)

    def correct(self, reverse: ReverseSDE, x: Tensor, t: float, run: Run) -> Tensor:
        """Twice at most."""
        y = x
        for _ in range(2):
            stayed = (y == x).flatten(1).all(1).reshape(-1, *[1] * (x.ndim - 1))
            y = torch.where(stayed, super().correct(reverse, x, t, run), y)
        return y


@dataclass(frozen=True)
class LengthOfTheState(RandomWalk):
    """Proposals are longer where the score is large, and the ratio does not know."""

    def _proposed(
        self, reverse: ReverseSDE, here: Point, t: float, noise: NoiseSource
    ) -> tuple[Point, Tensor | float]:
        sigma, count = reverse.linear.at(t).sigma, here.x[0].numel()
        length = self.size * (0.5 * sigma**2 + 0.5 * dot(here.x, here.x) / count).sqrt()
        return at(reverse, here.x + length * noise.normal(here.x), t), 0.0


@dataclass(frozen=True)
class ShrunkProposal(RandomWalk):
    """The proposal shrinks towards 0, and is taken to have no direction."""

    def _proposed(
        self, reverse: ReverseSDE, here: Point, t: float, noise: NoiseSource
    ) -> tuple[Point, Tensor | float]:
        length = self.size * reverse.linear.at(t).sigma
        return at(reverse, 0.95 * here.x + length * noise.normal(here.x), t), 0.0
