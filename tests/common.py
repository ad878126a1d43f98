"""What the tests of the core share: the five SDEs, and laws with a known score."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug.sde import (
    EDMSDE,
    VESDE,
    VPSDE,
    CosineVPSDE,
    ForwardSDE,
    LinearSDE,
    SubVPSDE,
    TabulatedSDE,
    expand,
)

SDES = (VPSDE(), SubVPSDE(), VESDE(), CosineVPSDE(), EDMSDE())
BETAS = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
LEVELS = 0.01 * 5000.0 ** torch.linspace(1.0, 0.0, 40, dtype=torch.float64)
ANGLES = (torch.linspace(0.0, 1.0, 51, dtype=torch.float64) + 0.008) / 1.008 * math.pi / 2
KEPT = (torch.cos(ANGLES[1:]) / math.cos(float(ANGLES[0]))).square() * (ANGLES[1:] < 1.57)
TABLES = {
    "betas": TabulatedSDE(betas=BETAS),
    "sigmas": TabulatedSDE(sigmas=LEVELS),
    "zero-snr": TabulatedSDE(alphas_cumprod=KEPT),
}
FALSE_ALARM = 1e-6  # of each statistical assertion, were its seed drawn afresh


@dataclass(frozen=True)
class GaussianScore:
    """The score of p_t for data N(mean, variance I), written out by hand."""

    sde: LinearSDE
    mean: float = 0.4
    variance: float = 0.25

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        return self.in_float64(x, t).to(x.dtype)

    def in_float64(self, x: Tensor, t: Tensor) -> Tensor:
        alpha, sigma = (expand(each, x) for each in self.levels(t))
        return (alpha * self.mean - x.double()) / (alpha**2 * self.variance + sigma**2)

    def levels(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return self.sde.log_alpha(t.double()).exp(), self.sde.sigma(t.double())


@dataclass(frozen=True)
class Cubic(ForwardSDE):
    """A forward SDE that is not linear: dx = -x^3 dt + dw, with standard normal prior."""

    T: float = 1.0
    eps: float = 1e-3

    def drift(self, x, t):
        return -(x**3)

    def diffusion(self, t):
        return torch.ones_like(t)

    def prior(self, shape, noise, dtype=torch.float32, device="cpu"):
        return noise.normal(torch.empty(tuple(shape), dtype=dtype, device=device))

    def prior_log_prob(self, x):
        return torch.distributions.Normal(0.0, 1.0).log_prob(x).flatten(1).sum(1)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def divergence(model, x, t):
    """The trace of a score's Jacobian, one product with it for each coordinate: ``(B,)``."""
    z = x.detach().clone().requires_grad_()
    score = model(z, t).flatten(1)
    slopes = [
        torch.autograd.grad(score[:, i].sum(), z, retain_graph=True)[0].flatten(1)[:, i]
        for i in range(score.shape[1])
    ]
    return torch.stack(slopes).sum(0).detach()
