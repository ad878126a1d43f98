"""Names of other libraries whose method is here by their own code alone: these run it.

They need the library, and bring their own steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sdeplug import Alias


def _theirs(library: str, names: Mapping[str, str]) -> dict[str, Alias]:
    """Names that are given to samplers of a library, by what its adapter calls them."""
    note = f"runs the code of {library}, which must be installed"
    return {
        name: Alias(f"foreign/{library}", {"sampler": sampler}, same=True, note=note)
        for name, sampler in names.items()
    }


_DIFFUSERS = {
    "PNDMScheduler": "pndm",
    "IPNDMScheduler": "ipndm",
    "LMSDiscreteScheduler": "lms",
    "DPMSolverSinglestepScheduler": "dpm-singlestep-2",
    "DPMSolverSDEScheduler": "dpm-sde",
    "KDPM2DiscreteScheduler": "kdpm2",
    "KDPM2AncestralDiscreteScheduler": "kdpm2-ancestral",
}
_K_DIFFUSION = (
    "lms", "dpm_2", "dpm_2_ancestral", "dpmpp_2s_ancestral", "dpmpp_sde", "dpmpp_3m_sde"
)  # fmt: skip
_ON_GPU = {"dpmpp_sde_gpu": "dpmpp_sde", "dpmpp_3m_sde_gpu": "dpmpp_3m_sde"}
_A1111 = {"DPM2": "dpm_2", "DPM2 a": "dpm_2_ancestral", "DPM++ 2S a": "dpmpp_2s_ancestral"}

ALIASES: Mapping[str, Alias] = MappingProxyType(
    {
        **Alias.of("diffusers", _theirs("diffusers", _DIFFUSERS)),
        **Alias.of(
            "k-diffusion", _theirs("k-diffusion", {f"sample_{name}": name for name in _K_DIFFUSION})
        ),
        **Alias.of("ComfyUI", _theirs("k-diffusion", {name: name for name in _K_DIFFUSION})),
        **Alias.of("ComfyUI", _theirs("k-diffusion", _ON_GPU)),
        **Alias.of("A1111", _theirs("k-diffusion", _A1111)),
    }
)
"""Names from elsewhere."""
