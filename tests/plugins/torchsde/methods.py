"""The methods of torchsde, and a run of one."""

from __future__ import annotations

from common import GaussianScore

from sdeplug import (
    VPSDE,
    ReverseSDE,
    Run,
    SharedNoise,
)
from sdeplug_torchsde import (
    SRK,
    AdaptiveHeun,
    AdaptiveSRK,
    Euler,
    Heun,
    LogODE,
    Midpoint,
    Milstein,
    ReversibleHeun,
)

FIXED = [Euler, Milstein, SRK, Heun, Midpoint, LogODE, ReversibleHeun]
ADAPTIVE = [AdaptiveSRK, AdaptiveHeun]
SDE = VPSDE()
REVERSE = ReverseSDE(SDE, GaussianScore(SDE))
T, S = 0.9, 0.2


def names(each):
    return each.__name__ if isinstance(each, type) else None


def run(seed=0):
    return Run(SharedNoise(seed))
