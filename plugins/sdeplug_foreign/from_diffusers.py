r"""Schedulers of diffusers, whose own formulas run on the noise ratios of any grid.

Most schedulers keep the state of the variance-preserving SDE of the same q,
:math:`x / (\alpha \sqrt{1 + q^2})`; those of Karras et al. keep :math:`x / \alpha`.  Some of them
round the state to float32 in each step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar

from torch import Tensor

from sdeplug import LinearSDE, option
from sdeplug_foreign.borrowed import Borrowed, Passage, Recipe, imported, same
from sdeplug_foreign.chains import Chain, Multistep, RungeKutta
from sdeplug_foreign.forms import (
    EDM,
    Angular,
    Exploding,
    Noise,
    Preserving,
    Straight,
    StraightTwice,
    Twice,
)
from sdeplug_foreign.song import SongVE, SongVP
from sdeplug_foreign.staged import Ancestral, EDMTree, HalfWay, Tree

# The last step, which ends above q = 0, is one like the others.
_FULL = {"lower_order_final": False}
_LAST = {"final_sigmas_type": "sigma_min"}
_BOTH = {**_FULL, **_LAST}
_FREE = {"clip_sample": False}

# Where those are that diffusers does not always show.
_SCHEDULERS = "diffusers.schedulers"
_TREE = f"{_SCHEDULERS}.scheduling_dpmsolver_sde"
_SONG_VP = f"{_SCHEDULERS}.deprecated.scheduling_sde_vp"

_NOISY = {"algorithm_type": "sde-dpmsolver++"}


def _of(
    target: str, order: int, more: Mapping[str, Any], form: type[Preserving] = Preserving
) -> Recipe:
    """A scheduler with an option for its order."""
    return Recipe(target, order, {"solver_order": order, **more}, form=form)


def _noisy(order: int) -> Recipe:
    """The stochastic multistep DPM-Solver++."""
    return replace(_of("DPMSolverMultistepScheduler", order, {**_NOISY, **_BOTH}), stochastic=True)


def _sa(order: int) -> Recipe:
    """The SA-Solver, with predictor and corrector of one order."""
    orders = {"predictor_order": order, "corrector_order": order}
    more = {**orders, **_FULL}
    return Recipe("SASolverScheduler", order, more, stochastic=True, eta=same, form=Preserving)


def _staged(target: str, form: type[Preserving], noisy: bool = False) -> Recipe:
    """A method with two stages."""
    return Recipe(target, 2, evaluations=2, stochastic=noisy, form=form)


DIFFUSERS: Mapping[str, Recipe] = MappingProxyType(
    {
        "ddim": Recipe("DDIMScheduler", 1, _FREE, stochastic=True, eta=same, form=Chain),
        "ddpm": Recipe("DDPMScheduler", 1, _FREE, stochastic=True, form=Chain),
        "plms": Recipe("PNDMScheduler", 2, {"skip_prk_steps": True}, form=Multistep, further=1),
        "pndm": Recipe("PNDMScheduler", 2, form=RungeKutta, further=9, fewest=3),
        "ipndm": Recipe("IPNDMScheduler", 4, form=Angular),
        "dpm-multistep-2": _of("DPMSolverMultistepScheduler", 2, _BOTH),
        "dpm-multistep-3": _of("DPMSolverMultistepScheduler", 3, _BOTH),
        "dpm-multistep-2-sde": _noisy(2),
        "dpm-multistep-3-sde": _noisy(3),
        "dpm-singlestep-2": _of("DPMSolverSinglestepScheduler", 2, _LAST),
        "dpm-singlestep-3": _of("DPMSolverSinglestepScheduler", 3, _LAST),
        "dpm-sde": replace(_staged("DPMSolverSDEScheduler", Tree, noisy=True), module=_TREE),
        "unipc-2": _of("UniPCMultistepScheduler", 2, _BOTH),
        "unipc-3": _of("UniPCMultistepScheduler", 3, _BOTH),
        "deis-2": _of("DEISMultistepScheduler", 2, _FULL),
        "deis-3": _of("DEISMultistepScheduler", 3, _FULL),
        "sa-solver-2": _sa(2),
        "sa-solver-3": _sa(3),
        "edm-dpm-multistep-2": _of("EDMDPMSolverMultistepScheduler", 2, _BOTH, EDM),
        "edm-dpm-multistep-3": _of("EDMDPMSolverMultistepScheduler", 3, _BOTH, EDM),
        "cosine-dpm-multistep-2": replace(
            _of("CosineDPMSolverMultistepScheduler", 2, _BOTH, EDMTree), stochastic=True
        ),
        "edm-euler": Recipe("EDMEulerScheduler", 1, form=EDM),
        "euler": Recipe("EulerDiscreteScheduler", 1, form=Exploding),
        "heun": _staged("HeunDiscreteScheduler", Twice),
        "lms": Recipe("LMSDiscreteScheduler", 4, form=Exploding),
        "euler-ancestral": Recipe(
            "EulerAncestralDiscreteScheduler", 1, stochastic=True, form=Noise
        ),
        "kdpm2": _staged("KDPM2DiscreteScheduler", HalfWay),
        "kdpm2-ancestral": _staged("KDPM2AncestralDiscreteScheduler", Ancestral, noisy=True),
        "flow-match-euler": Recipe("FlowMatchEulerDiscreteScheduler", 1, form=Straight),
        "flow-match-heun": _staged("FlowMatchHeunDiscreteScheduler", StraightTwice),
        "score-sde-ve": Recipe("ScoreSdeVeScheduler", 1, stochastic=True, form=SongVE),
        "score-sde-vp": Recipe(
            "ScoreSdeVpScheduler", 1, stochastic=True, form=SongVP, module=_SONG_VP
        ),
    }
)
"""The schedulers of diffusers that are offered."""


@dataclass(frozen=True)
class DiffusersSampler(Borrowed):
    """A scheduler of diffusers; any linear SDE."""

    recipes: ClassVar[Mapping[str, Recipe]] = DIFFUSERS
    library: ClassVar[str] = "diffusers"
    differentiable: ClassVar[bool] = True
    exact: ClassVar[bool] = False

    sampler: str = option("dpm-multistep-2", help="which scheduler: " + ", ".join(DIFFUSERS))

    def _times(self, t: float, s: float, sde: LinearSDE) -> Sequence[float]:
        own: Sequence[float] | None = self.recipe.form.times(t, s, sde, self.steps)
        return super()._times(t, s, sde) if own is None else own

    def _prepared(self, passage: Passage) -> Callable[[Tensor], Tensor]:
        module = imported(self.recipe.module or "diffusers", "foreign/diffusers", "diffusers")
        target = getattr(module, self.recipe.target)
        form: Preserving = self.recipe.form(passage)
        arguments = {**form.arguments(), **self.recipe.arguments}
        more: dict[str, Any] = {}
        if self.sampler.startswith("sa-solver"):
            arguments["tau_func"] = lambda label: passage.level
        if self.sampler.startswith("dpm-singlestep"):
            # The library would change it itself, and warn.
            arguments["lower_order_final"] = self.steps % arguments["solver_order"] != 0
        if self.sampler == "ddim":
            more["eta"] = passage.level
        scheduler = target(**arguments)

        def carry(x: Tensor) -> Tensor:
            form.set_up(scheduler, x)
            state = form.factor(form.node(0)) * x
            for call, label in enumerate(form.labels(scheduler)):
                place = form.place(call)
                form.ask(scheduler, label, state)
                clean = passage.denoised(state / form.factor(place), place.time)
                output = form.output(scheduler, clean, state, place)
                state = form.step(scheduler, output, label, state, **more)
            return state.to(x.dtype) / form.factor(form.node(-1))

        return carry
