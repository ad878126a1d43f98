"""Names that say that they are the same: whole runs of both, on one grid with the same draws."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch
from common import GaussianScore, normal

import sdeplug as sp
from sdeplug import PerSampleNoise, ReverseSDE, Run
from sdeplug.registry import grid, registry
from sdeplug_foreign import DiffusersSampler, KDiffusionSampler

pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")

ADAPTERS = {"diffusers": DiffusersSampler, "k-diffusion": KDiffusionSampler}
MODULES = {"diffusers": "diffusers", "k-diffusion": "k_diffusion"}
STEPS = 6
SAME = {
    name: entry
    for name, entry in registry().aliases().items()
    if entry.obj.same and entry.obj.kind == "solvers" and not name.startswith("foreign/")
}


def theirs(entry):
    """The adapter, and what it calls the sampler: of order 2, where there are several."""
    adapter = ADAPTERS[entry.obj.library]
    found = [key for key, recipe in adapter.recipes.items() if recipe.target == entry.short]
    return adapter, next((key for key in found if key.endswith("-2")), found[0])


@pytest.mark.parametrize("name", [n for n, e in SAME.items() if e.obj.library in ADAPTERS])
def test_what_is_called_the_same_is_the_same(name):
    entry = SAME[name]
    library = entry.obj.library
    if find_spec(MODULES[library]) is None:
        pytest.skip(f"{library} is not installed")
    adapter, sampler = theirs(entry)
    by = sp.solver(entry.obj.name, **entry.obj.options)
    own = not by.needs_grid
    sde, spacing = sp.VPSDE(), "karras" if own else "log-snr"
    if entry.short.startswith("FlowMatch"):
        sde = pytest.importorskip("sdeplug_diffusers").StraightSDE(T=0.999)
    if entry.short == "ScoreSdeVeScheduler":
        sde = sp.VESDE()
    if entry.short == "ScoreSdeVpScheduler":
        spacing = "uniform"
    borrowed = adapter(sampler, steps=STEPS, spacing=spacing)
    ours = (
        sp.solver(entry.obj.name, steps=STEPS) if own else sp.OnGrid(by, grid(spacing, steps=STEPS))
    )
    level = 0.0 if entry.short == "DDIMScheduler" else 1.0  # its eta, as the note says
    reverse, x = ReverseSDE(sde, GaussianScore(sde), level), sde.prior_std * normal(3, 2)
    runs = (
        each.integrate(reverse, x, sde.T, sde.eps, Run(PerSampleNoise(0, range(3))))
        for each in (borrowed, ours)
    )
    rounding = 2e-5 if library == "diffusers" else 1e-9  # some schedulers round to float32
    torch.testing.assert_close(*runs, rtol=rounding, atol=rounding)


ON_THEIR_FORMULA = {  # in the tests of sdeplug_exponential
    "seeds_2", "seeds_3", "exp_heun_2_x0", "exp_heun_2_x0_sde", "res_multistep", "DPM++ 2M SDE Heun"
}  # fmt: skip


def test_comfyui_calls_by_the_name_that_the_functions_of_k_diffusion_have():
    for name, entry in SAME.items():
        if entry.obj.library not in ADAPTERS and entry.short not in ON_THEIR_FORMULA:
            known = {e.obj.written for e in SAME.values() if e.obj.library == "k-diffusion"}
            assert entry.obj.written in known, name
