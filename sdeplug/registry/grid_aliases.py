"""What other programs call the grids of the core.

Most of them end with a step to sigma = 0.  ``same`` means the same levels before it: on the span
from their largest level to their least, in one step less than they count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from sdeplug.registry.aliases import Alias

_KARRAS = Alias("core/karras", same=True, kind="grids")
_LOG_SNR = Alias("core/log-snr", same=True, kind="grids")
_UNIFORM = Alias("core/uniform", kind="grids", note="theirs are whole levels of a table")
_BETA = Alias("core/beta", kind="grids", note="theirs are whole levels of a table")
_KL = Alias("core/kl-optimal", same=True, kind="grids")
_MOCHI = Alias("core/linear-quadratic", same=True, kind="grids", note="on a flow, down to 0")
_BONG = Alias("core/bong-tangent", same=True, kind="grids", note="on a flow, down to 0")
_AYS = Alias("core/align-your-steps", same=True, kind="grids", note="down to 0")
_XL = (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.38, 0.234, 0.113, 0.029)
_VIDEO = (700.0, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002)
_AYS_XL = replace(_AYS, options={"ratios": _XL})
_AYS_VIDEO = replace(_AYS, options={"ratios": _VIDEO})
_DIGITS = "down to 0; their table has more digits than the paper's"
_ONE_RHO = replace(_LOG_SNR, note="with rho = 1, as it is by default")

GRID_ALIASES: Mapping[str, Alias] = MappingProxyType(
    {
        **Alias.of(
            "diffusers",
            {
                "use_karras_sigmas": _KARRAS,
                "use_exponential_sigmas": _LOG_SNR,
                "use_lu_lambdas": _LOG_SNR,
                "StableDiffusionSigmas": _AYS,
                "StableDiffusionXLSigmas": _AYS_XL,
                "StableDiffusionVideoSigmas": _AYS_VIDEO,
            },
        ),
        **Alias.of(
            "k-diffusion",
            {
                "get_sigmas_karras": _KARRAS,
                "get_sigmas_exponential": _LOG_SNR,
                "get_sigmas_polyexponential": _ONE_RHO,
                "get_sigmas_vp": replace(_UNIFORM, same=True, note="on VPSDE()"),
            },
        ),
        **Alias.of(
            "ComfyUI",
            {
                "karras": _KARRAS,
                "exponential": _LOG_SNR,
                "polyexponential": _ONE_RHO,
                "simple": _UNIFORM,
                "normal": _UNIFORM,
                "sgm_uniform": _UNIFORM,
                "ddim_uniform": _UNIFORM,
                "beta": _BETA,
                "beta57": replace(_BETA, options={"a": 0.5, "b": 0.7}),
                "kl_optimal": _KL,
                "linear_quadratic": _MOCHI,
                "bong_tangent": _BONG,
                "AlignYourSteps SD1": replace(_AYS, same=False, note=_DIGITS),
                "AlignYourSteps SDXL": replace(_AYS_XL, same=False, note=_DIGITS),
                "AlignYourSteps SVD": _AYS_VIDEO,
            },
        ),
    }
)
