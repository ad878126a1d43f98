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
_ORDERS = {"predictor": 3, "corrector": 4}
_STOCHASTIC = Alias(
    "exponential/adams",
    _ORDERS,
    note="eta is the stochasticity, on a part of time there; the order is not lowered at the end",
)
_ER = Alias("exponential/er-sde", note="its integrals are exact")
_RESTART = Alias("exponential/restart", note="brings its own grid; theirs depends on the steps")
_FLOW = "at stochasticity 0"
_NOISY = "at stochasticity 1; eta is its square"
_TWO_VALUES = Alias("exponential/adams", {"predictor": 2, "corrector": 0}, same=True)


def _tableau(method: str, note: str = _FLOW, same: bool = False) -> Alias:
    """An exponential Runge-Kutta method."""
    return Alias("exponential/exp-rk", {"method": method}, same=same, note=note)


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
                "STORKScheduler": Alias(
                    "exponential/stork", {"method": "rock4"}, note="theirs begins with half steps"
                ),
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
                "dpmpp_2m_sde_gpu": _2M_SDE,
                "uni_pc": replace(_UNIPC_3, note=f"theirs has B_1; {_LOWERED}"),
                "uni_pc_bh2": _UNIPC_3,
                "deis": Alias("exponential/deis", {"order": 3}, note="smooth in the log of sigma"),
                "er_sde": _ER,
                "ipndm": Alias("exponential/ipndm", {"order": 4}, note="of order 4 there"),
                "gradient_estimation": Alias("exponential/gradient-estimation", note="gamma is 2"),
                "sa_solver": _STOCHASTIC,
                "sa_solver_pece": replace(
                    _STOCHASTIC, options={**_STOCHASTIC.options, "pece": True}
                ),
            },
        ),
        **Alias.of(
            "ComfyUI",
            {
                "seeds_2": _tableau("seeds-2", _NOISY, same=True),
                "seeds_3": Alias("exponential/exp-rk3", same=True, note=_NOISY),
                "exp_heun_2_x0": Alias("exponential/exp-heun", same=True, note=_FLOW),
                "exp_heun_2_x0_sde": Alias("exponential/exp-heun", same=True, note=_NOISY),
                "res_multistep": replace(_TWO_VALUES, note=_FLOW),
            },
        ),
        **Alias.of(
            "RES4LYF",
            {
                "res_2m": replace(_TWO_VALUES, note=_FLOW, same=False),
                "res_3m": Alias("exponential/adams", {"predictor": 3, "corrector": 0}, note=_FLOW),
                "res_2s": _tableau("res-2s"),
                "res_2s_stable": _tableau("etdrk2"),
                "res_3s": _tableau("res-3s"),
                "res_3s_alt": _tableau("seeds-3"),
                "res_3s_cox_matthews": _tableau("etdrk3"),
                "res_4s_cox_matthews": _tableau("etdrk4"),
                "res_4s_krogstad": _tableau("krogstad"),
                "res_4s_strehmel_weiner": _tableau("strehmel-weiner"),
                "res_5s": _tableau("hochbruck-ostermann"),
            },
        ),
        **Alias.of(
            "A1111",
            {"DPM++ 2M SDE Heun": replace(_TWO_VALUES, note=_NOISY), "Restart": _RESTART},
        ),
    }
)
"""Names from elsewhere."""
