"""Exponential integrators: one multistep family, Runge-Kutta on one Brownian path, and ``auto``.

Multistep, one evaluation a step: ``adams``, and under the names of its special cases ``ddim``,
``deis``, ``dpmpp-2m``, ``dpmpp-2m-sde``, ``dpmpp-3m``, ``sa-solver``, ``sde-dpm``, ``unipc``;
``er-sde`` along sigma; for few steps ``ipndm`` and ``gradient-estimation``, whose coefficients are
fixed, and ``f-ddim``, which looks at the end of a step; ``stork``, whose coefficients are those of
a stabilised Runge-Kutta method.
Runge-Kutta: ``exp-rk`` by tableau, and three by name: ``exp-midpoint``, ``exp-heun``, ``exp-rk3``.
With a grid of their own: ``edm-heun``, ``restart``, and ``auto``, which picks the best for a
budget.
"""

from __future__ import annotations

from collections.abc import Mapping

from sdeplug import Alias, Integrator, hookimpl
from sdeplug_exponential.adams import (
    DDIM,
    DEIS,
    SDEDPM,
    Adams,
    DPMpp2M,
    DPMpp2MSDE,
    DPMpp3M,
    SASolver,
    UniPC,
)
from sdeplug_exponential.aliases import ALIASES
from sdeplug_exponential.auto import Auto, Choice
from sdeplug_exponential.er_sde import ERSDE, ERStochasticity
from sdeplug_exponential.forward import FDDIM
from sdeplug_exponential.ipndm import IPNDM, GradientEstimation
from sdeplug_exponential.karras import EDMHeun, Restart
from sdeplug_exponential.policy import POLICY
from sdeplug_exponential.runge_kutta import ExpHeun, ExpMidpoint, ExpRK, ExpRK3, Method
from sdeplug_exponential.stork import Stabilised, Stork

__all__ = [
    "DDIM",
    "DEIS",
    "ERSDE",
    "FDDIM",
    "IPNDM",
    "POLICY",
    "SDEDPM",
    "Adams",
    "Auto",
    "Choice",
    "DPMpp2M",
    "DPMpp2MSDE",
    "DPMpp3M",
    "EDMHeun",
    "ERStochasticity",
    "ExpHeun",
    "ExpMidpoint",
    "ExpRK",
    "ExpRK3",
    "GradientEstimation",
    "Method",
    "Restart",
    "SASolver",
    "Stabilised",
    "Stork",
    "UniPC",
]


@hookimpl
def sdeplug_solvers() -> Mapping[str, type[Integrator]]:
    """The solvers of this plugin."""
    return {
        "adams": Adams,
        "auto": Auto,
        "ddim": DDIM,
        "deis": DEIS,
        "dpmpp-2m": DPMpp2M,
        "dpmpp-2m-sde": DPMpp2MSDE,
        "dpmpp-3m": DPMpp3M,
        "edm-heun": EDMHeun,
        "er-sde": ERSDE,
        "exp-heun": ExpHeun,
        "exp-midpoint": ExpMidpoint,
        "exp-rk": ExpRK,
        "exp-rk3": ExpRK3,
        "f-ddim": FDDIM,
        "gradient-estimation": GradientEstimation,
        "ipndm": IPNDM,
        "restart": Restart,
        "sa-solver": SASolver,
        "sde-dpm": SDEDPM,
        "stork": Stork,
        "unipc": UniPC,
    }


@hookimpl
def sdeplug_aliases() -> Mapping[str, Alias]:
    """What they are called elsewhere."""
    return ALIASES
