"""The solvers of torchdiffeq along the probability flow: adaptive, fixed, and those of scipy.

R. T. Q. Chen, torchdiffeq, https://github.com/rtqichen/torchdiffeq; Chen et al., *Neural ordinary
differential equations*, arXiv 1806.07366.
"""

from __future__ import annotations

from collections.abc import Mapping

from sdeplug import Integrator, hookimpl
from sdeplug_torchdiffeq.adams import ExplicitAdams, ImplicitAdams
from sdeplug_torchdiffeq.adaptive import AdaptiveHeun, Bosh3, Dopri5, Dopri8, Fehlberg2
from sdeplug_torchdiffeq.by_scipy import ScipyDOP853, ScipyRK23, ScipyRK45
from sdeplug_torchdiffeq.fixed import FixedEuler, FixedHeun2, FixedHeun3, FixedMidpoint, FixedRK4

__all__ = [
    "AdaptiveHeun",
    "Bosh3",
    "Dopri5",
    "Dopri8",
    "ExplicitAdams",
    "Fehlberg2",
    "FixedEuler",
    "FixedHeun2",
    "FixedHeun3",
    "FixedMidpoint",
    "FixedRK4",
    "ImplicitAdams",
    "ScipyDOP853",
    "ScipyRK23",
    "ScipyRK45",
]


@hookimpl
def sdeplug_solvers() -> Mapping[str, type[Integrator]]:
    """The solvers of this plugin.

    The fixed ones are called so: ``euler`` and ``rk4`` alone are those of the plugin ``ode``.
    """
    return {
        "dopri5": Dopri5,
        "dopri8": Dopri8,
        "bosh3": Bosh3,
        "fehlberg2": Fehlberg2,
        "adaptive-heun": AdaptiveHeun,
        "fixed-euler": FixedEuler,
        "fixed-midpoint": FixedMidpoint,
        "fixed-heun2": FixedHeun2,
        "fixed-heun3": FixedHeun3,
        "fixed-rk4": FixedRK4,
        "explicit-adams": ExplicitAdams,
        "implicit-adams": ImplicitAdams,
        "scipy-rk23": ScipyRK23,
        "scipy-rk45": ScipyRK45,
        "scipy-dop853": ScipyDOP853,
    }
