"""Networks that are right, and wrong on purpose, about points near a line in 32 dimensions.

Such data are thin: nearly all of the noise can be seen, at every level.
"""

from __future__ import annotations

from functools import cache

import torch

from sdeplug import FromNoise, ReverseSDE, SharedNoise, TabulatedSDE, targets
from sdeplug.tuning import Effort, diagnose

DIM = 32
LINE = targets.Gaussian(
    torch.zeros(DIM, dtype=torch.float64),
    factor=torch.full((DIM, 1), 0.7, dtype=torch.float64),
    std=0.002,
)
TABLE = TabulatedSDE(betas=tuple(torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64).tolist()))
EXACT = LINE.score(TABLE)
SMALL = Effort(levels=8, rows=128, paths=64, steps=12)


@cache
def data(rows=400):
    return LINE.sample(rows, noise=SharedNoise(1))


def sigma(t):
    return TABLE.sigma(t.double()).to(t.dtype)[:, None]


def of_level(x, level):
    """The noise that a perfect network of levels 0 to 999 sees."""
    t = ((level + 1.0) / 1000.0).clamp(0.001, 1.0)
    return -sigma(t) * EXACT(x, t)


def told(change):
    """A perfect network of levels that is told others."""
    return FromNoise(lambda x, t: of_level(x, change(TABLE.label(t.double()).to(t.dtype))), TABLE)


def followed(power):
    """A network whose input is normalised, wholly or in part."""

    def noise(x, t):
        alpha = TABLE.alpha(t.double()).to(t.dtype)[:, None]
        size = ((alpha * 0.7).square() + sigma(t).square()).sqrt() * DIM**0.5
        return -sigma(t) * EXACT(x * (size / x.norm(dim=1, keepdim=True)) ** power, t)

    return FromNoise(noise, TABLE)


def off(amount, low, high):
    """The exact score, and the same error of the noise in all rows between two times."""
    return lambda x, t: EXACT(x, t) - amount / sigma(t) * ((t > low) & (t < high))[:, None]


def faded(before, factor):
    """The exact score, too small before a time."""
    return lambda x, t: EXACT(x, t) * torch.where(t < before, factor, 1.0)[:, None]


NETWORKS = {
    "nothing": EXACT,
    "misread": FromNoise(of_level, TABLE),
    "labels-off": told(lambda level: level + 1.0),
    "labels-unheard": told(lambda level: 0.0 * level + 300.0),
    "scale": lambda x, t: 0.9 * EXACT(x, t),
    "high-noise": off(0.05, 0.8, 2.0),
    "bias": off(0.15, 0.01, 0.3),
    "size": followed(0.3),
    "last-level": faded(0.0013, 0.2),
}
"""By the rule that should see it."""


@cache
def diagnosed(name):
    return diagnose(ReverseSDE(TABLE, NETWORKS[name]), data(), effort=SMALL)
