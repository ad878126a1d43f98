"""Fixed-step integrators of the probability flow: ``euler``, ``heun``, ``rk4``,
``adams-bashforth``, ``adams-moulton`` and ``reversible``."""

from __future__ import annotations

from collections.abc import Mapping

from sdeplug import Alias, Integrator, hookimpl
from sdeplug_ode.adams import AdamsBashforth
from sdeplug_ode.aliases import ALIASES
from sdeplug_ode.moulton import AdamsMoulton
from sdeplug_ode.reversible import Reversible
from sdeplug_ode.runge_kutta import RK4, Euler, Heun

__all__ = ["RK4", "AdamsBashforth", "AdamsMoulton", "Euler", "Heun", "Reversible"]


@hookimpl
def sdeplug_solvers() -> Mapping[str, type[Integrator]]:
    """The solvers of this plugin."""
    return {
        "euler": Euler,
        "heun": Heun,
        "rk4": RK4,
        "adams-bashforth": AdamsBashforth,
        "adams-moulton": AdamsMoulton,
        "reversible": Reversible,
    }


@hookimpl
def sdeplug_aliases() -> Mapping[str, Alias]:
    """What they are called elsewhere."""
    return ALIASES
