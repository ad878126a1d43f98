"""Kullback-Leibler divergences of normal laws, coordinate by coordinate, in nats."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sdeplug.sde import LinearSDE


def divergence(off: Tensor, log_given: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(0, given) || N(off, variance)) in each coordinate: the shape that they broadcast to."""
    spread = torch.exp(log_given - log_variance) + off.square() * torch.exp(-log_variance)
    return 0.5 * (spread - 1.0 - (log_given - log_variance))


def prior_divergence(sde: LinearSDE, x0: Tensor) -> Tensor:
    """The divergence of x_T given x0 from the prior: shape ``(B, *D)``, that of x0."""
    end = sde.at(sde.T)
    log_given = x0.new_tensor(2.0 * math.log(end.sigma))
    log_prior = torch.full_like(x0, 2.0 * math.log(sde.prior_std))
    return divergence(end.alpha * x0, log_given, log_prior)
