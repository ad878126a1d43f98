"""Samplers of other libraries on the same score: ``diffusers``, ``k-diffusion`` and ``azula``.

The other way round, :func:`as_k_diffusion` makes any integrator a function of k-diffusion, and
:func:`register_in_sbi` a predictor of sbi.

Each is imported when it is used.  diffusers and azula are optional extras of the same name;
k-diffusion is installed without what it depends on, since its samplers need none of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from sdeplug import Alias, Integrator, hookimpl
from sdeplug_foreign.aliases import ALIASES
from sdeplug_foreign.as_k_diffusion import as_k_diffusion
from sdeplug_foreign.from_azula import AzulaSampler
from sdeplug_foreign.from_diffusers import DiffusersSampler
from sdeplug_foreign.from_k_diffusion import KDiffusionSampler
from sdeplug_foreign.in_sbi import register_in_sbi

__all__ = [
    "AzulaSampler",
    "DiffusersSampler",
    "KDiffusionSampler",
    "as_k_diffusion",
    "register_in_sbi",
]


@hookimpl
def sdeplug_solvers() -> Mapping[str, type[Integrator]]:
    """The solvers of this plugin."""
    return {
        "diffusers": DiffusersSampler,
        "k-diffusion": KDiffusionSampler,
        "azula": AzulaSampler,
    }


@hookimpl
def sdeplug_aliases() -> Mapping[str, Alias]:
    """What they are called elsewhere."""
    return ALIASES
