"""Targets whose densities are known."""

from __future__ import annotations

import torch

from sdeplug import (
    LogSNR,
    OnGrid,
    ReverseSDE,
    SharedNoise,
    solver,
)
from sdeplug.targets import Gaussian, GaussianMixture

RK4 = solver("ode/rk4")
FINE, COARSE = OnGrid(RK4, LogSNR(48)), OnGrid(RK4, LogSNR(12))


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


MIXTURE = GaussianMixture(
    (1.0, 2.0, 3.0), numbers(3, 8), factors=0.5 * numbers(3, 8, 8, seed=1), std=0.1
)
GAUSSIAN = Gaussian(numbers(64) / 2, factor=numbers(64, 64, seed=1) / 8, std=0.3)


def state(target, sde, rows=4, t=None):
    t = sde.eps if t is None else t
    return target.sample(rows, noise=SharedNoise(0), t=t, sde=sde, dtype=torch.float64)


def reversed_(target, sde):
    return ReverseSDE(sde, target.score(sde))


class Known:
    """N(0, s^2 I) with a number s that is learned; the flow is a scale, so that all is known."""

    def __init__(self, sde, s=0.7):
        self.sde, self.s = sde, torch.tensor(s, dtype=torch.float64, requires_grad=True)

    def variance(self, t):
        return (self.sde.alpha(t) * self.s) ** 2 + self.sde.sigma(t) ** 2

    @property
    def reverse(self):
        return ReverseSDE(
            self.sde, lambda x, t: -x / self.variance(t.double()).reshape(-1, *[1] * (x.ndim - 1))
        )

    def log_prob(self, x, t):
        wide = torch.tensor([t, self.sde.T], dtype=torch.float64)
        before, after = self.variance(wide)
        stretch = 0.5 * x[0].numel() * (after / before).log()
        return self.sde.prior_log_prob(x * (after / before).sqrt()) + stretch
