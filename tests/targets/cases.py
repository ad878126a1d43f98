"""Targets of every kind, with the dense linear algebra that says what is right."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from sdeplug.noise import SharedNoise
from sdeplug.sde import EDMSDE, VESDE, VPSDE, CosineVPSDE, LinearSDE, SubVPSDE
from sdeplug.targets import (
    Empirical,
    Gaussian,
    GaussianMixture,
    Target,
)

SDES = (VPSDE(), SubVPSDE(), VESDE(), CosineVPSDE(), EDMSDE())


@dataclass
class Case:
    """A target, and the same mixture in dense form."""

    target: GaussianMixture
    weights: Tensor
    means: Tensor
    covariances: Tensor

    def law(self, alpha: float, sigma: float) -> tuple[Tensor, Tensor]:
        identity = torch.eye(self.means.shape[1], dtype=torch.float64)
        return alpha * self.means, alpha**2 * self.covariances + sigma**2 * identity

    def joint(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """log(weight x density) of each component, (B, K)."""
        means, covariances = self.law(alpha, sigma)
        law = MultivariateNormal(means, covariances)
        return law.log_prob(x.flatten(1)[:, None]) + self.weights.log()

    def score(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        x = x.clone().requires_grad_()
        (score,) = torch.autograd.grad(self.joint(x, alpha, sigma).logsumexp(1).sum(), x)
        return score


def case(kind: str, count: int = 4, dim: int = 6, rank: int = 2, seed: int = 0) -> Case:
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=g, dtype=torch.float64)

    shape = (1, 2, dim // 2) if dim % 2 == 0 else (dim,)
    count = 1 if kind.startswith("gaussian") else count
    means, weights = normal(count, *shape), normal(count).exp()
    square, thin, std = normal(count, dim, dim), normal(count, dim, rank), 0.3 + normal(count) ** 2
    full = square @ square.mT + 0.05 * torch.eye(dim, dtype=torch.float64)
    low = thin @ thin.mT
    disc = torch.diag_embed(std.square()[:, None].expand(count, dim))
    none = torch.zeros_like(full)
    target, covariances = {
        "full": lambda: (GaussianMixture(weights, means, full), full),
        "low-rank": lambda: (GaussianMixture(weights, means, factors=thin), low),
        "low-rank+std": lambda: (
            GaussianMixture(weights, means, factors=thin, std=std),
            low + disc,
        ),
        "full+std": lambda: (GaussianMixture(weights, means, full, std=std), full + disc),
        "round": lambda: (GaussianMixture(weights, means, std=std), disc),
        "points": lambda: (Empirical(means), none),
        "gaussian": lambda: (Gaussian(means[0], full[0]), full),
        "gaussian-low-rank": lambda: (Gaussian(means[0], factor=thin[0]), low),
        "gaussian-round": lambda: (Gaussian(means[0], std=float(std[0])), disc),
    }[kind]()
    weights = torch.ones_like(weights) if kind == "points" else weights
    return Case(target, weights / weights.sum(), means.flatten(1), covariances)


KINDS = (
    "full",
    "low-rank",
    "low-rank+std",
    "full+std",
    "round",
    "points",
    "gaussian",
    "gaussian-low-rank",
    "gaussian-round",
)
kinds = pytest.mark.parametrize("kind", KINDS)
sdes = pytest.mark.parametrize("sde", SDES, ids=lambda sde: type(sde).__name__)


def times_of(sde: LinearSDE, n: int) -> Tensor:
    """From eps to T, evenly in the logarithm."""
    low, high = math.log10(sde.eps), math.log10(0.999 * sde.T)
    return torch.logspace(low, high, n, dtype=torch.float64)


def states(target: Target, sde: LinearSDE, times: Tensor, seed: int = 1) -> Tensor:
    """One row at each time, drawn from p_t."""
    rows = [
        target.sample(1, noise=SharedNoise(seed + i), t=t, sde=sde, dtype=torch.float64)
        for i, t in enumerate(times.tolist())
    ]
    return torch.cat(rows)


def error(got: Tensor, wanted: Tensor) -> float:
    """Largest error of a row, relative to the length of the row."""
    gap = (got - wanted).flatten(1).norm(dim=1)
    return float((gap / wanted.flatten(1).norm(dim=1)).max())
