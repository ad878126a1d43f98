"""The bridge to diffusers: any integrator as a scheduler, the schedulers of Song et al., and more.

:func:`as_scheduler` puts any integrator into any pipeline, :func:`score_of` takes the network of a
pipeline out.  ``ScoreSdeVeScheduler`` and ``ScoreSdeVpScheduler`` take the places of the two of
diffusers; ``ScoreSdeSubVpScheduler`` is the third SDE of Song et al., arXiv 2011.13456.  diffusers
is an optional extra: ``pip install "sdeplug[diffusers]"``.
"""

from __future__ import annotations

from sdeplug_diffusers.as_scheduler import as_scheduler
from sdeplug_diffusers.flow import StraightSDE
from sdeplug_diffusers.needed import SchedulerMixin as SchedulerMixin  # diffusers looks for it
from sdeplug_diffusers.pipeline import ScoreSdePipeline
from sdeplug_diffusers.scheduler import IntegratorScheduler
from sdeplug_diffusers.score_of import score_of
from sdeplug_diffusers.score_sde_ve import ScoreSdeVeScheduler, SdeVeOutput
from sdeplug_diffusers.score_sde_vp import ScoreSdeSubVpScheduler, ScoreSdeVpScheduler

__all__ = [
    "IntegratorScheduler",
    "ScoreSdePipeline",
    "ScoreSdeSubVpScheduler",
    "ScoreSdeVeScheduler",
    "ScoreSdeVpScheduler",
    "SdeVeOutput",
    "StraightSDE",
    "as_scheduler",
    "score_of",
]

# A saved pipeline names the module of each part: this one, wherever its file is.
for _each in (
    IntegratorScheduler,
    ScoreSdeSubVpScheduler,
    ScoreSdeVeScheduler,
    ScoreSdeVpScheduler,
):
    _each.__module__ = __name__
