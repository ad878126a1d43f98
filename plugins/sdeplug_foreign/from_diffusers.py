r"""Schedulers of diffusers, whose own formulas run on the noise ratios of any grid.

A scheduler holds tables of its training schedule.  After it is built they are replaced by the
exact values at the nodes of the grid, in float64: ``sigmas`` are :math:`q = \sigma/\alpha`, and
``alphas_cumprod`` are :math:`1 / (1 + q^2)`.  So there are no discrete training times, and the
last step ends at s like any other.  Most schedulers keep the state of the variance-preserving
SDE of the same q, :math:`x / (\alpha \sqrt{1 + q^2})`; those of Karras et al. keep
:math:`x / \alpha`.  Some of them round the state to float32 in each step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar

from torch import Tensor

from sdeplug import option
from sdeplug_foreign.borrowed import Borrowed, Passage, Recipe, imported, numbers, same

# The last step, which ends above q = 0, is one like the others.
_FULL = {"lower_order_final": False}
_LAST = {"final_sigmas_type": "sigma_min"}
_BOTH = {**_FULL, **_LAST}

_NOISY = {"algorithm_type": "sde-dpmsolver++"}


def _of(target: str, order: int, more: Mapping[str, Any], form: str = "") -> Recipe:
    """A scheduler with an option for its order."""
    return Recipe(target, order, {"solver_order": order, **more}, form=form)


def _noisy(order: int) -> Recipe:
    """The stochastic multistep DPM-Solver++."""
    return replace(_of("DPMSolverMultistepScheduler", order, {**_NOISY, **_BOTH}), stochastic=True)


def _sa(order: int) -> Recipe:
    """The SA-Solver, with predictor and corrector of one order."""
    orders = {"predictor_order": order, "corrector_order": order}
    return Recipe("SASolverScheduler", order, {**orders, **_FULL}, stochastic=True, eta=same)


DIFFUSERS: Mapping[str, Recipe] = MappingProxyType(
    {
        "ddim": Recipe(
            "DDIMScheduler", 1, {"clip_sample": False}, stochastic=True, eta=same, form="chain"
        ),
        "ddpm": Recipe("DDPMScheduler", 1, {"clip_sample": False}, stochastic=True, form="chain"),
        "dpm-multistep-2": _of("DPMSolverMultistepScheduler", 2, _BOTH),
        "dpm-multistep-3": _of("DPMSolverMultistepScheduler", 3, _BOTH),
        "dpm-multistep-2-sde": _noisy(2),
        "dpm-multistep-3-sde": _noisy(3),
        "dpm-singlestep-2": _of("DPMSolverSinglestepScheduler", 2, _LAST),
        "dpm-singlestep-3": _of("DPMSolverSinglestepScheduler", 3, _LAST),
        "unipc-2": _of("UniPCMultistepScheduler", 2, _BOTH),
        "unipc-3": _of("UniPCMultistepScheduler", 3, _BOTH),
        "deis-2": _of("DEISMultistepScheduler", 2, _FULL),
        "deis-3": _of("DEISMultistepScheduler", 3, _FULL),
        "sa-solver-2": _sa(2),
        "sa-solver-3": _sa(3),
        "edm-dpm-multistep-2": _of("EDMDPMSolverMultistepScheduler", 2, _BOTH, "edm"),
        "edm-dpm-multistep-3": _of("EDMDPMSolverMultistepScheduler", 3, _BOTH, "edm"),
        "euler": Recipe("EulerDiscreteScheduler", 1, form="exploding"),
        "heun": Recipe("HeunDiscreteScheduler", 2, evaluations=2, form="twice"),
        "lms": Recipe("LMSDiscreteScheduler", 4, form="exploding"),
        "euler-ancestral": Recipe(
            "EulerAncestralDiscreteScheduler", 1, stochastic=True, form="noise"
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

    def _prepared(self, passage: Passage) -> Callable[[Tensor], Tensor]:
        module = imported("diffusers", "foreign/diffusers", "diffusers")
        form = FORMS[self.recipe.form](passage)
        arguments = {**form.arguments(), **self.recipe.arguments}
        more: dict[str, Any] = {}
        if self.sampler.startswith("sa-solver"):
            arguments["tau_func"] = lambda label: passage.level
        if self.sampler.startswith("dpm-singlestep"):
            # The library would change it itself, and warn.
            arguments["lower_order_final"] = self.steps % arguments["solver_order"] != 0
        if self.sampler == "ddim":
            more["eta"] = passage.level
        scheduler = getattr(module, self.recipe.target)(**arguments)
        form.set_up(scheduler)

        def carry(x: Tensor) -> Tensor:
            state = form.factor(0) * x
            for call, label in enumerate(form.labels(scheduler)):
                node = form.node(call)
                scheduler.scale_model_input(state, label)
                clean = passage.denoised(state / form.factor(node), passage.times[node])
                output = form.output(scheduler, clean, state, node)
                state = scheduler.step(output, label, state, **more).prev_sample
            return state.to(x.dtype) / form.factor(-1)

        return carry


class Preserving:
    """The state is kept as that of the variance-preserving SDE; tables are ``sigmas``."""

    def __init__(self, passage: Passage) -> None:
        self.passage = passage
        self.steps = len(passage.times) - 1

    @property
    def training_steps(self) -> int:
        """How many training times a scheduler is built with, before its tables are replaced."""
        return max(1000, 2 * self.steps)

    def arguments(self) -> dict[str, Any]:
        """What the scheduler is built with."""
        return {"num_train_timesteps": self.training_steps, "prediction_type": "sample"}

    def set_up(self, scheduler: Any) -> None:
        """Put the tables of the grid in."""
        scheduler.set_timesteps(self.steps)
        scheduler.sigmas = numbers(self.passage.ratios)
        scheduler.timesteps = numbers(range(self.steps))
        scheduler.set_begin_index(0)

    def labels(self, scheduler: Any) -> Any:
        """What stands for the time in each call of ``step``."""
        return scheduler.timesteps

    def node(self, call: int) -> int:
        """The node of the grid at which a call wants the model."""
        return call

    def factor(self, node: int) -> float:
        """State over x at a node."""
        time, ratio = self.passage.times[node], self.passage.ratios[node]
        return 1.0 / (self.passage.alpha(time) * math.sqrt(1.0 + ratio**2))

    def output(self, scheduler: Any, clean: Tensor, state: Tensor, node: int) -> Tensor:
        """The model output that says that the data are ``clean``."""
        return clean


class Chain(Preserving):
    """A Markov chain: its table is ``alphas_cumprod``, one entry for each node, from below."""

    @property
    def training_steps(self) -> int:
        """One for each node."""
        return self.steps + 1

    def set_up(self, scheduler: Any) -> None:
        """Put the table of the grid in."""
        scheduler.alphas_cumprod = numbers([1 / (1 + q**2) for q in self.passage.ratios[::-1]])
        scheduler.set_timesteps(self.steps + 1)

    def labels(self, scheduler: Any) -> Any:
        """The entries of the table, from above; the lowest is where it ends."""
        return scheduler.timesteps[:-1]


class Exploding(Preserving):
    """The state is kept as x / alpha."""

    def factor(self, node: int) -> float:
        """State over x at a node."""
        return 1.0 / self.passage.alpha(self.passage.times[node])


class Noise(Exploding):
    """Likewise, for a scheduler that understands predicted noise only."""

    def arguments(self) -> dict[str, Any]:
        """What the scheduler is built with."""
        return {"num_train_timesteps": self.training_steps, "prediction_type": "epsilon"}

    def output(self, scheduler: Any, clean: Tensor, state: Tensor, node: int) -> Tensor:
        """The noise that is left when the data are ``clean``."""
        return (state - clean) / self.passage.ratios[node]


class Twice(Exploding):
    """Two calls for each step: at its start, and where the first one leads."""

    def set_up(self, scheduler: Any) -> None:
        """Put the tables of the grid in, inner nodes twice."""
        super().set_up(scheduler)
        first, *rest = self.passage.ratios
        scheduler.sigmas = numbers([first, *(q for q in rest for _ in range(2))])
        scheduler.timesteps = numbers(range(2 * self.steps))

    def node(self, call: int) -> int:
        """The node of the grid at which a call wants the model."""
        return (call + 1) // 2


class EDM(Exploding):
    """The state is kept as x / alpha; the model output is that of an EDM network."""

    def arguments(self) -> dict[str, Any]:
        """What the scheduler is built with."""
        return {"num_train_timesteps": self.training_steps}

    def output(self, scheduler: Any, clean: Tensor, state: Tensor, node: int) -> Tensor:
        """The raw network output; Karras et al., arXiv 2206.00364, equation 7, solved for F."""
        sigma, data = self.passage.ratios[node], float(scheduler.config.sigma_data)
        total = sigma**2 + data**2
        return (clean - data**2 / total * state) * (math.sqrt(total) / (sigma * data))


FORMS: Mapping[str, Callable[[Passage], Preserving]] = {
    "": Preserving,
    "chain": Chain,
    "exploding": Exploding,
    "noise": Noise,
    "twice": Twice,
    "edm": EDM,
}
"""How a scheduler keeps its state and its tables."""
