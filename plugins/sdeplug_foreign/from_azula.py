r"""Samplers of azula, which know any :math:`\alpha` and :math:`\sigma`.

Its schedules are functions of a time in [0, 1] that samplers step through evenly.  Here that time
counts the steps of the grid: k / steps is the k-th node from below, and alpha and sigma there are
those of the SDE, in float64.  No time between two nodes is ever asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from sdeplug import option
from sdeplug_foreign.borrowed import Borrowed, Passage, Recipe, imported, numbers, same, squared

AZULA: Mapping[str, Recipe] = MappingProxyType(
    {
        "ddpm": Recipe("DDPMSampler", 1, stochastic=True),
        "ddim": Recipe("DDIMSampler", 1, stochastic=True, eta=squared),
        "ito": Recipe("ItoSampler", 1, stochastic=True, eta=same),
        "pc": Recipe("PCSampler", 1, evaluations=2, stochastic=True),
        "euler": Recipe("EulerSampler", 1),
        "heun": Recipe("HeunSampler", 2, evaluations=2),
        "zab-2": Recipe("zABSampler", 2, {"order": 2}),
        "zab-3": Recipe("zABSampler", 3, {"order": 3}),
        "vab-2": Recipe("vABSampler", 2, {"order": 2}),
        "vab-3": Recipe("vABSampler", 3, {"order": 3}),
        "zeab-2": Recipe("zEABSampler", 2, {"order": 2}),
        "zeab-3": Recipe("zEABSampler", 3, {"order": 3}),
        "xeab-2": Recipe("xEABSampler", 2, {"order": 2}),
        "xeab-3": Recipe("xEABSampler", 3, {"order": 3}),
        "reab-2": Recipe("REABSampler", 2, {"order": 2}),
        "reab-3": Recipe("REABSampler", 3, {"order": 3}),
    }
)
"""The samplers of azula that are offered."""


@dataclass(frozen=True)
class AzulaSampler(Borrowed):
    """A sampler of azula; any linear SDE."""

    recipes: ClassVar[Mapping[str, Recipe]] = AZULA
    library: ClassVar[str] = "azula"

    sampler: str = option("xeab-2", help="which sampler: " + ", ".join(AZULA))

    def _prepared(self, passage: Passage) -> Callable[[Tensor], Tensor]:
        module = imported("azula.sample", "foreign/azula", "azula")
        more = dict(self.recipe.arguments)
        if self.recipe.eta is not None:
            more["eta"] = self.recipe.eta(passage.level)
        made = getattr(module, self.recipe.target)(
            _denoiser(passage), steps=self.steps, silent=True, dtype=torch.float64, **more
        )

        def carry(x: Tensor) -> Tensor:
            out: Tensor = made(x)
            return out

        return carry


def _denoiser(passage: Passage) -> Any:
    """A denoiser of azula that asks the score model, with the schedule of the SDE."""
    from azula.denoise import Denoiser, DiracPosterior
    from azula.noise import Schedule

    steps = len(passage.times) - 1
    marginals = [passage.reverse.linear.at(time) for time in passage.times]
    alphas = numbers([each.alpha for each in marginals])
    sigmas = numbers([each.sigma for each in marginals])

    def node(t: Tensor) -> Tensor:
        return ((1.0 - t) * steps).round().long()

    class Tabulated(Schedule):  # type: ignore[misc]
        def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
            k = node(t)
            return alphas.to(t.device)[k], sigmas.to(t.device)[k]

    class Asking(Denoiser):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.schedule = Tabulated()

        def forward(self, x_t: Tensor, t: Tensor) -> Any:
            return DiracPosterior(mean=passage.denoised(x_t, passage.times[int(node(t))]))

    return Asking()
