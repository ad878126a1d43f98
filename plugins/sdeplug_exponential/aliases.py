"""What other libraries call the solvers of this plugin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from sdeplug import Alias

_DDIM = Alias("exponential/ddim", same=True)
_HEUN = Alias("exponential/edm-heun", same=True, note="brings its own grid, that of Karras et al.")
_2M = Alias("exponential/dpmpp-2m", same=True)
_2M_SDE = Alias("exponential/dpmpp-2m-sde", same=True, note="eta is the stochasticity squared")
_UNIPC = Alias("exponential/unipc", {"order": 2}, same=True)
_LOWERED = "the order is not lowered before the end"
_UNIPC_3 = Alias("exponential/unipc", {"order": 3}, note=_LOWERED)
_DEIS = Alias("exponential/deis", {"order": 2}, same=True)
_SA = Alias("exponential/sa-solver", note="tau is the stochasticity")
_ER = Alias("exponential/er-sde", note="its integrals are exact")
_RESTART = Alias("exponential/restart", note="brings its own grid; theirs depends on the steps")

ALIASES: Mapping[str, Alias] = MappingProxyType(
    {
        **Alias.of(
            "diffusers",
            {
                "DDIMScheduler": replace(_DDIM, note="with eta = 0; for others song/ancestral"),
                "EulerDiscreteScheduler": _DDIM,
                "EDMEulerScheduler": _DDIM,
                "HeunDiscreteScheduler": _HEUN,
                "DPMSolverMultistepScheduler": _2M,
                "EDMDPMSolverMultistepScheduler": _2M,
                "CosineDPMSolverMultistepScheduler": replace(_2M_SDE, note="at stochasticity 1"),
                "UniPCMultistepScheduler": _UNIPC,
                "DEISMultistepScheduler": _DEIS,
                "SASolverScheduler": _SA,
            },
        ),
        **Alias.of(
            "k-diffusion",
            {
                "sample_euler": _DDIM,
                "sample_heun": _HEUN,
                "sample_dpmpp_2m": _2M,
                "sample_dpmpp_2m_sde": _2M_SDE,
            },
        ),
        **Alias.of(
            "ComfyUI",
            {
                "euler": _DDIM,
                "ddim": _DDIM,
                "heun": _HEUN,
                "dpmpp_2m": _2M,
                "dpmpp_2m_sde": _2M_SDE,
                "uni_pc": replace(_UNIPC_3, note=f"theirs has B_1; {_LOWERED}"),
                "uni_pc_bh2": _UNIPC_3,
                "deis": Alias("exponential/deis", {"order": 3}, note="smooth in the log of sigma"),
                "er_sde": _ER,
                "sa_solver": replace(_SA, note="of order 3 and 4 there, tau on a part of time"),
            },
        ),
        **Alias.of("A1111", {"Restart": _RESTART}),
    }
)
"""Names from elsewhere; :func:`sdeplug.hookspec` ``sdeplug_aliases`` offers them."""
