r"""Samplers of k-diffusion, which know a state by :math:`y = x/\alpha` and
:math:`q = \sigma/\alpha`.

The library's functions are called as they are, with the noise ratios of the grid for ``sigmas``.
The ratios end at q(s), not at 0, so that the last step is one like the others.

Karras et al., arXiv 2206.00364 (``heun``, ``euler``); Lu et al., arXiv 2206.00927 (``dpm_2``) and
2211.01095 (``dpmpp``).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType, ModuleType
from typing import ClassVar

import torch
from torch import Tensor

from sdeplug import MissingExtraError, option
from sdeplug_foreign.borrowed import Borrowed, Passage, Recipe, same, squared
from sdeplug_foreign.increments import increments

_PRIVATE = "_sdeplug_k_diffusion"


def _staged(target: str) -> Recipe:
    """A method with noise and two stages."""
    return Recipe(target, 2, evaluations=2, stochastic=True, eta=same)


K_DIFFUSION: Mapping[str, Recipe] = MappingProxyType(
    {
        "euler": Recipe("sample_euler", 1, idle=True),
        "heun": Recipe("sample_heun", 2, evaluations=2, idle=True),
        "dpm_2": Recipe("sample_dpm_2", 2, evaluations=2, idle=True),
        "lms": Recipe("sample_lms", 4),
        "lms-3": Recipe("sample_lms", 3, {"order": 3}),
        "dpmpp_2m": Recipe("sample_dpmpp_2m", 2),
        "euler_ancestral": Recipe("sample_euler_ancestral", 1, stochastic=True, eta=same),
        "dpm_2_ancestral": _staged("sample_dpm_2_ancestral"),
        "dpmpp_2s_ancestral": _staged("sample_dpmpp_2s_ancestral"),
        "dpmpp_sde": _staged("sample_dpmpp_sde"),
        "dpmpp_2m_sde": Recipe("sample_dpmpp_2m_sde", 2, stochastic=True, eta=squared),
        "dpmpp_3m_sde": Recipe("sample_dpmpp_3m_sde", 3, stochastic=True, eta=squared),
    }
)
"""The samplers of k-diffusion that are offered."""


@dataclass(frozen=True)
class KDiffusionSampler(Borrowed):
    """A sampling function of k-diffusion; any linear SDE.

    Its noise is one Brownian path in q for each sample: steps and their stages see increments of
    it, as with the Brownian tree of the library.
    """

    recipes: ClassVar[Mapping[str, Recipe]] = K_DIFFUSION
    library: ClassVar[str] = "k-diffusion"

    sampler: str = option("dpmpp_2m", help="which sampler: " + ", ".join(K_DIFFUSION))

    def _prepared(self, passage: Passage) -> Callable[[Tensor], Tensor]:
        function = getattr(sampling(), self.recipe.target)

        def model(y: Tensor, sigma: Tensor) -> Tensor:
            return passage.clean(y, passage.time_of(float(sigma[0])))

        def carry(x: Tensor) -> Tensor:
            y = x / passage.alpha(passage.times[0])
            sigmas = torch.tensor(passage.ratios, dtype=x.dtype, device=x.device)
            more = dict(self.recipe.arguments)
            if self.recipe.eta is not None:
                eta = self.recipe.eta(passage.level)
                more |= {"eta": eta, "noise_sampler": increments(passage, x)}
            out: Tensor = function(model, y, sigmas, disable=True, **more)
            return passage.alpha(passage.times[-1]) * out

        return carry


def sampling() -> ModuleType:
    """The module ``k_diffusion.sampling``, without the training code around it.

    The package imports all of its parts at once, some of which need ``clip`` and ``wandb``, and
    its ``utils`` needs ``torchvision``.  Here the file with the samplers is imported alone, under
    another package name; the one helper that it takes from ``utils``, :func:`append_dims`, is
    provided.

    Raises:
        MissingExtraError: if k-diffusion, or what its samplers import, is not installed.
    """
    whole = sys.modules.get("k_diffusion.sampling")
    if whole is not None:
        return whole
    try:
        spec = find_spec("k_diffusion")
        if spec is None or not spec.submodule_search_locations:
            raise ModuleNotFoundError("No module named 'k_diffusion'", name="k-diffusion")
        if _PRIVATE not in sys.modules:
            sys.modules[_PRIVATE] = _package(list(spec.submodule_search_locations))
        return import_module(f"{_PRIVATE}.sampling")
    except ModuleNotFoundError as error:
        needed = (error.name or "k-diffusion").partition(".")[0]
        raise MissingExtraError("foreign/k-diffusion", needed, "") from error


def _package(folders: list[str]) -> ModuleType:
    """A package with the files of k-diffusion, and ``utils`` with the one helper."""
    package, utils = ModuleType(_PRIVATE), ModuleType(f"{_PRIVATE}.utils")
    package.__path__ = folders
    vars(utils)["append_dims"] = append_dims
    vars(package)["utils"] = sys.modules[utils.__name__] = utils
    return package


def append_dims(x: Tensor, ndim: int) -> Tensor:
    """x with axes of length 1 behind its own, ``ndim`` in all."""
    return x[(...,) + (None,) * (ndim - x.ndim)]
