"""The bridge to diffusers: schedulers whose arithmetic is that of sdeplug, and their pipeline.

``ScoreSdeVeScheduler`` and ``ScoreSdeVpScheduler`` take the places of the two of diffusers;
``ScoreSdeSubVpScheduler`` is the third SDE of Song et al., arXiv 2011.13456.  diffusers is an
optional extra: ``pip install "sdeplug[diffusers]"``.
"""

from __future__ import annotations

from sdeplug_diffusers.needed import SchedulerMixin as SchedulerMixin  # diffusers looks for it
from sdeplug_diffusers.pipeline import ScoreSdePipeline
from sdeplug_diffusers.score_sde_ve import ScoreSdeVeScheduler, SdeVeOutput
from sdeplug_diffusers.score_sde_vp import ScoreSdeSubVpScheduler, ScoreSdeVpScheduler

__all__ = [
    "ScoreSdePipeline",
    "ScoreSdeSubVpScheduler",
    "ScoreSdeVeScheduler",
    "ScoreSdeVpScheduler",
    "SdeVeOutput",
]

# A saved pipeline names the module of each part: this one, wherever its file is.
for _each in (ScoreSdeSubVpScheduler, ScoreSdeVeScheduler, ScoreSdeVpScheduler):
    _each.__module__ = __name__
