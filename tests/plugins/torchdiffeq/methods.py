"""The methods of torchdiffeq."""

from __future__ import annotations

import torch

from sdeplug import (
    Run,
    Silence,
)
from sdeplug_torchdiffeq import (
    AdaptiveHeun,
    Bosh3,
    Dopri5,
    Dopri8,
    ExplicitAdams,
    Fehlberg2,
    FixedEuler,
    FixedHeun2,
    FixedHeun3,
    FixedMidpoint,
    FixedRK4,
    ImplicitAdams,
    ScipyDOP853,
    ScipyRK23,
    ScipyRK45,
)

PAIRS = [Dopri5(), Dopri8(), Bosh3(), Fehlberg2(), AdaptiveHeun()]
SCIPY = [ScipyRK23(), ScipyRK45(), ScipyDOP853()]
RUNGE_KUTTA = [FixedEuler(), FixedMidpoint(), FixedHeun2(), FixedHeun3(), FixedRK4()]
ADAMS = [ExplicitAdams(), ImplicitAdams()]
FIXED = [*RUNGE_KUTTA, *ADAMS]
QUIET = Run(Silence())


def bent(y, t):
    """A field that is neither linear nor autonomous."""
    return torch.sin(3.0 * t + y) - 0.5 * y


def named(each):
    return type(each).__name__
