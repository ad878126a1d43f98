"""The methods of torchsde on the reverse SDE, with fixed and with adaptive steps.

Fixed: ``sde-euler``, ``milstein``, ``srk``, ``sde-heun``, ``sde-midpoint``, ``log-ode`` and
``reversible-heun``.  Adaptive, by step doubling: ``adaptive-srk`` and
``adaptive-sde-heun``.
"""

from __future__ import annotations

from collections.abc import Mapping

from sdeplug import Integrator, hookimpl
from sdeplug_torchsde.adaptive import (
    AdaptiveHeun,
    AdaptiveSRK,
)
from sdeplug_torchsde.fixed import SRK, Euler, Heun, LogODE, Midpoint, Milstein, ReversibleHeun

__all__ = [
    "SRK",
    "AdaptiveHeun",
    "AdaptiveSRK",
    "Euler",
    "Heun",
    "LogODE",
    "Midpoint",
    "Milstein",
    "ReversibleHeun",
]


@hookimpl
def sdeplug_solvers() -> Mapping[str, type[Integrator]]:
    """The solvers of this plugin."""
    return {
        "sde-euler": Euler,
        "milstein": Milstein,
        "srk": SRK,
        "sde-heun": Heun,
        "sde-midpoint": Midpoint,
        "log-ode": LogODE,
        "reversible-heun": ReversibleHeun,
        "adaptive-srk": AdaptiveSRK,
        "adaptive-sde-heun": AdaptiveHeun,
    }
