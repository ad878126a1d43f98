r"""From the data to the time at which a density is taken, as a term of its own.

A density of x_t is none of x_0.  With a law of x_0 given x_t it bounds one:

.. math:: \log p(x_0) \ge E_{x_t | x_0}\,\big[\log p_t(x_t) + \log p(x_0 | x_t)
          - \log q(x_t | x_0)\big].

Reference: Kim et al. (Soft Truncation), arXiv 2106.05527, section 3.1.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from sdeplug.likelihood.arguments import (
    checked_data,
    checked_decoder,
    checked_noise,
    checked_time,
)
from sdeplug.noise import NoiseSource
from sdeplug.pipeline import last_time
from sdeplug.reverse import ReverseSDE, checked_reverse
from sdeplug.training import Continuous, Decoder


class Truncated(NamedTuple):
    """Data carried to the time of a density.

    Attributes:
        x: a draw of x_t given x_0, shape ``(B, *D)``: what :func:`log_likelihood` is asked for.
        nats: log p(x_0 | x_t) - log q(x_t | x_0), ``(B,)``: what :func:`bits_per_dim` takes.
    """

    x: Tensor
    nats: Tensor


def truncated(
    reverse: ReverseSDE,
    x: Tensor,
    *,
    t: float | None = None,
    decoder: Decoder = Continuous(),  # noqa: B008  a frozen value
    noise: NoiseSource | None = None,
) -> Truncated:
    """Clean data at the time of a density, and what the way back to them costs.

    The law of x_0 given x_t is N(E[x_0 | x_t], (sigma / alpha)^2 I), or its bins: one evaluation.

    Args:
        reverse: the reverse SDE, of a linear forward SDE.
        x: data, shape ``(B, *D)``: clean ones, at t = 0.
        t: the time of the density; None: eps.
        decoder: the law of data given x_t.  With ``Discretised(levels)`` data keep their levels:
            nothing is dequantised, and ``bits_per_dim(..., levels=None)`` does not rescale.
        noise: where the numbers come from; None: ``SharedNoise(0)``.

    Raises:
        ArgumentError: for x or t that do not fit.
        PairingError: if a part is not what it should be.
    """
    sde = checked_reverse(reverse).linear
    checked_decoder(decoder)
    level = sde.at(time := checked_time(t, sde, last_time(sde)))
    x0 = checked_data(x)
    epsilon = checked_noise(noise).stream("truncated").normal(x0)
    state = level.alpha * x0 + level.sigma * epsilon
    with torch.no_grad():
        off = reverse.denoised(state, time) - x0
    log_variance = torch.full_like(x0, -level.log_snr)
    normaliser = 0.5 * math.log(2.0 * math.pi) + math.log(level.sigma)
    drawn = 0.5 * epsilon.square() + normaliser
    nats = drawn - decoder.nats(x0, off, log_variance)
    return Truncated(state, nats.flatten(1).sum(1))
