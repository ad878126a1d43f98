"""Kullback-Leibler divergences of normal laws, coordinate by coordinate, in nats."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sdeplug.sde import LinearSDE
from sdeplug.training.chain import Chain
from sdeplug.training.decoders import Decoder
from sdeplug.training.loss import like


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


def step_nats(
    chain: Chain, number: Tensor, x0: Tensor, moved: Tensor, log_variance: Tensor, decoder: Decoder
) -> Tensor:
    """The term of a step of a chain: the decoder's from the first level, else a divergence.

    Args:
        chain: the chain.
        number: the level from which each row steps down, int64, shape ``(B,)``.
        x0: data, shape ``(B, *D)``.
        moved: mean of the step less its mean given x_0, likewise.
        log_variance: log-variance of the step, likewise.
        decoder: the law of data given the first level.

    Returns:
        Nats of each coordinate, shape ``(B, *D)``.
    """
    first = like(number == 0, moved) > 0.5
    decoded = decoder.nats(x0, moved, log_variance)
    lower = like(chain.lower[number], moved)
    return torch.where(first, decoded, divergence(moved, lower, log_variance))
