"""The exponential multistep family, and noise that is listed."""

from __future__ import annotations

import math

import torch
from common import normal

from sdeplug import (
    VPSDE,
    At,
    NoiseSource,
    OnGrid,
    ReverseSDE,
    Run,
    Silence,
)
from sdeplug.testing.bench import alternating
from sdeplug_exponential import (
    ERSDE,
    Adams,
    DPMpp2MSDE,
    ExpHeun,
    ExpMidpoint,
    ExpRK3,
    SASolver,
)

QUIET = Run(Silence())
NOISY = [
    Adams(1, 0),
    Adams(),
    DPMpp2MSDE(),
    SASolver(),
    ERSDE(),
    ExpMidpoint(),
    ExpHeun(),
    ExpRK3(),
]


class Listed(NoiseSource):
    """Numbers that are known beforehand, one after the other."""

    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def normal(self, like):
        return self.numbers.pop(0).to(like.dtype)


def bent(x, t):
    """A score that is not affine."""
    return -x - 0.3 * torch.sin(2.0 * x + t[:, None])


class Levels:
    """alpha, sigma, lambda and the model's prediction of the data at the times of a grid."""

    def __init__(self, steps=9, level=0.0):
        self.sde = VPSDE()
        grid = alternating(steps, self.sde.T, 0.01, self.sde)
        self.times = list(grid.times(self.sde.T, 0.01, self.sde))
        self.at = [self.sde.at(t) for t in self.times]
        self.alpha, self.sigma = ([getattr(a, n) for a in self.at] for n in ("alpha", "sigma"))
        self.lam = [math.log(a / s) for a, s in zip(self.alpha, self.sigma, strict=True)]
        self.level, self.x = level, normal(4, 3)
        self.noise = [normal(4, 3, seed=k) for k in range(1, steps + 1)]

    def model(self, x, n):
        t = x.new_full((len(x),), self.times[n])
        return (x + self.sigma[n] ** 2 * bent(x, t)) / self.alpha[n]

    def ours(self, by, score=bent):
        onto = OnGrid(by, At(tuple(self.times[1:-1])))
        reverse = ReverseSDE(self.sde, score, self.level)
        run = Run(Listed(*self.noise) if self.level else Silence())
        return onto.integrate(reverse, self.x, self.times[0], self.times[-1], run)
