"""The samplers of Song et al., arXiv 2011.13456, and of its ancestors NCSN and DDPM.

Predictors: ``euler-maruyama``, ``reverse-diffusion``, ``ancestral``, and ``hold``, which leaves
all the work to a corrector.  Correctors: ``langevin``, ``annealed-langevin``.  :class:`NoiseLevels`
chooses the levels of annealed Langevin dynamics from the data.
"""

from __future__ import annotations

from collections.abc import Mapping

from sdeplug import Alias, Corrector, Integrator, hookimpl
from sdeplug_song.aliases import ALIASES
from sdeplug_song.ancestral import Ancestral
from sdeplug_song.euler_maruyama import EulerMaruyama
from sdeplug_song.hold import Hold
from sdeplug_song.langevin import AnnealedLangevin, Langevin
from sdeplug_song.ncsn import NoiseLevels
from sdeplug_song.reverse_diffusion import ReverseDiffusion

__all__ = [
    "Ancestral",
    "AnnealedLangevin",
    "EulerMaruyama",
    "Hold",
    "Langevin",
    "NoiseLevels",
    "ReverseDiffusion",
]


@hookimpl
def sdeplug_solvers() -> Mapping[str, type[Integrator] | type[Corrector]]:
    """The solvers of this plugin."""
    return {
        "euler-maruyama": EulerMaruyama,
        "reverse-diffusion": ReverseDiffusion,
        "ancestral": Ancestral,
        "hold": Hold,
        "langevin": Langevin,
        "annealed-langevin": AnnealedLangevin,
    }


@hookimpl
def sdeplug_aliases() -> Mapping[str, Alias]:
    """What they are called elsewhere."""
    return ALIASES
