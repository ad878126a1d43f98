"""Loops that sample, as a person writes them."""

from __future__ import annotations

import math
from functools import cache

import torch

from sdeplug import VPSDE

SDE = VPSDE()
STEPS = 32


@cache
def times(steps, sde=SDE):
    """Equal steps in log-SNR, as (t, s)."""
    ends = torch.linspace(sde.at(sde.T).log_snr, sde.at(sde.eps).log_snr, steps + 1)
    inner = sde.time_at(ends[1:-1].double()).tolist()
    return list(zip([sde.T, *inner], [*inner, sde.eps], strict=True))


def velocity(score, x, t, weight=1.0):
    """-f + weight g^2 score."""
    now = SDE.at(t)
    at = torch.full((len(x),), t, dtype=x.dtype)
    return -now.drift_rate * x + weight * now.diffusion**2 * score(x, at)


def euler_maruyama(score, x, steps, draw=torch.randn_like, sde=SDE):
    for t, s in times(steps, sde):
        x = x + (t - s) * velocity(score, x, t) + math.sqrt(t - s) * SDE.at(t).diffusion * draw(x)
    return x


def heun(score, x, steps):
    for t, s in times(steps):
        first = velocity(score, x, t, 0.5)
        second = velocity(score, x + (t - s) * first, s, 0.5)
        x = x + 0.5 * (t - s) * (first + second)
    return x


def in_float32(score, x, steps):
    return euler_maruyama(score, x.float(), steps)


def by_the_batch(score, x, steps):
    """Steps whose length follows the batch, a little."""
    for t, s in times(steps):
        size = float(x.square().mean())
        middle = s + (t - s) * (0.4 + 0.2 * size / (1.0 + size))
        for late, early in ((t, middle), (middle, s)):
            noise = math.sqrt(late - early) * SDE.at(late).diffusion * torch.randn_like(x)
            x = x + (late - early) * velocity(score, x, late) + noise
    return x


def one_noise_for_all(score, x, steps):
    return euler_maruyama(score, x, steps, lambda x: torch.randn(x.shape[1]).to(x))
