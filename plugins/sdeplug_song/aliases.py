"""What other libraries call the solvers of this plugin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from sdeplug import Alias

_ANCESTRAL = Alias("song/ancestral", same=True, note="eta is the stochasticity")
_DDPM = replace(_ANCESTRAL, note="at stochasticity 1")

ALIASES: Mapping[str, Alias] = MappingProxyType(
    {
        **Alias.of(
            "diffusers",
            {
                "DDPMScheduler": _DDPM,
                "EulerAncestralDiscreteScheduler": _DDPM,
                "ScoreSdeVeScheduler": Alias(
                    "song/reverse-diffusion",
                    same=True,
                    note="its predictor",
                ),
                "ScoreSdeVpScheduler": Alias("song/euler-maruyama", same=True),
            },
        ),
        **Alias.of("k-diffusion", {"sample_euler_ancestral": _ANCESTRAL}),
        **Alias.of("ComfyUI", {"euler_ancestral": _ANCESTRAL, "ddpm": replace(_DDPM, same=False)}),
        **Alias.of("A1111", {"Euler a": _ANCESTRAL}),
    }
)
"""Names from elsewhere."""
