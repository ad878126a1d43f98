"""Samplers of other libraries: the adapters without them, and what they do where they are."""

from __future__ import annotations

import math
import re
import subprocess
import sys

import pytest
import torch
from common import GaussianScore, normal
from foreign.borrow import CLASSES, MODULES, QUIET

import sdeplug as sp
from sdeplug import VESDE, VPSDE, MissingExtraError, PerSampleNoise, ReverseSDE, Silence
from sdeplug_foreign import DiffusersSampler
from sdeplug_foreign.borrowed import Passage
from sdeplug_foreign.forms import Exploding, Straight
from sdeplug_foreign.from_k_diffusion import append_dims
from sdeplug_foreign.noise import Replaced

# What diffusers 0.42 does with its own tables under NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")


# Without the libraries


@pytest.mark.thorough
def test_listing_and_building_import_no_library():
    code = (
        "import sys, sdeplug as sp\n"
        "from sdeplug.registry import registry\n"
        "names = set(registry().solvers())\n"
        "for each in ('diffusers', 'k-diffusion', 'azula'):\n"
        "    assert 'foreign/' + each in names, names\n"
        "    sp.solver('foreign/' + each, steps=3).claims\n"
        "loaded = {name.split('.')[0] for name in sys.modules}\n"
        "assert not loaded & {'diffusers', 'k_diffusion', '_sdeplug_k_diffusion', 'azula'}\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("library", CLASSES)
def test_without_the_library_it_is_said_how_to_install_it(library, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == MODULES[library]]:
        monkeypatch.delitem(sys.modules, name)
    for name in (MODULES[library], f"{MODULES[library]}.sample", "k_diffusion.sampling"):
        monkeypatch.setitem(sys.modules, name, None)
    sde = VPSDE()
    extra = "" if library == "k-diffusion" else library
    words = f'"sdeplug[{extra}]"' if extra else f"--no-deps {library}"
    with pytest.raises(MissingExtraError, match=re.escape(f"pip install {words}.")) as caught:
        CLASSES[library]().integrate(
            ReverseSDE(sde, GaussianScore(sde)), normal(2, 3), 1.0, 1e-3, QUIET
        )
    assert caught.value.extra == extra
    assert f"foreign/{library}" in str(caught.value)


@pytest.mark.parametrize(
    ("library", "typo", "near"),
    [("k-diffusion", "dpmpp_m2", "dpmpp_2m"), ("azula", "zeab2", "zeab-2"),
     ("diffusers", "unipc", "unipc-2")],
)  # fmt: skip
def test_a_typo_names_what_is_near(library, typo, near):
    with pytest.raises(sp.ArgumentError, match=f"Did you mean .*'{near}'"):
        sp.solver(f"foreign/{library}", sampler=typo)
    with pytest.raises(sp.ArgumentError, match="Did you mean 'karras'"):
        CLASSES[library](spacing="karas")
    with pytest.raises(sp.ArgumentError, match="at least 1"):
        CLASSES[library](steps=0)


@pytest.mark.parametrize("library", CLASSES)
def test_claims_follow_the_sampler(library):
    cls = CLASSES[library]
    for sampler, recipe in cls.recipes.items():
        claims = cls(sampler).claims
        assert claims.stochastic == recipe.stochastic
        assert claims.order == recipe.order
        numbered = "-" in sampler and sampler[-1].isdigit()
        assert not numbered or claims.order == int(sampler[-1])
        assert claims.evaluations == 32 * recipe.evaluations + recipe.further
        assert claims.level == (1.0 if recipe.stochastic and recipe.eta is None else None)
        assert claims.needs is sp.LinearSDE
        assert not cls(sampler).needs_grid


def test_draws_are_replaced_and_nothing_else():
    """Torch's generators stay where they are, a model keeps its own randomness."""
    before = torch.get_rng_state()
    like = torch.empty(3, 2, dtype=torch.float64)
    replaced = Replaced(PerSampleNoise(0, range(3)))
    expected = PerSampleNoise(0, range(3))
    with replaced:
        one, other = torch.randn(3, 2, dtype=torch.float64), torch.randn_like(like)
        assert torch.equal(torch.zeros_like(like), 0.0 * one)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one, expected.normal(like))
    assert torch.equal(other, expected.normal(like))
    torch.manual_seed(5)
    own = torch.randn(4)
    torch.manual_seed(5)
    with replaced, replaced.asleep():
        assert torch.equal(torch.randn(4), own)
    torch.set_rng_state(before)


def passage(sde, steps=6):
    times = tuple(sp.LogSNR(steps).times(sde.T, sde.eps, sde))
    ratios = tuple(sde.at(time).sigma / sde.at(time).alpha for time in times)
    reverse = ReverseSDE(sde, GaussianScore(sde))
    return Passage(reverse, times, ratios, Silence(), 1.0, torch.float64, Replaced(Silence()))


@pytest.mark.parametrize("sde", [VPSDE(), VESDE(), sp.EDMSDE(), sp.SubVPSDE()])
def test_times_of_noise_ratios(sde):
    """A node has its own time, to the bit; between nodes it is found; never outside the span."""
    way = passage(sde)
    for time, ratio in zip(way.times, way.ratios, strict=True):
        assert way.time_of(ratio) == time
        assert way.time_of(ratio * (1.0 + 1e-15)) == time
    middle = way.time_of(math.sqrt(way.ratios[2] * way.ratios[3]))
    assert way.times[3] < middle < way.times[2]
    found = sde.at(middle)
    assert found.sigma / found.alpha == pytest.approx(math.sqrt(way.ratios[2] * way.ratios[3]))
    assert way.time_of(2.0 * way.ratios[0]) == way.times[0]
    assert way.time_of(0.5 * way.ratios[-1]) == way.times[-1]


FORMS = dict.fromkeys(recipe.form for recipe in DiffusersSampler.recipes.values())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sde", [VPSDE(), VESDE(), sp.SubVPSDE()])
def test_a_state_is_scaled_as_a_scheduler_keeps_it(form, sde):
    """Mean and noise of the scaled state are (alpha', sigma') of the schedule it is kept as."""
    way = passage(sde)
    made = form(way)
    for number, time in enumerate(way.times):
        marginal, ratio = sde.at(time), way.ratios[number]
        factor = made.factor(made.node(number))
        if issubclass(form, Straight):
            scale = 1.0 / (1.0 + ratio)
        else:
            scale = 1.0 if issubclass(form, Exploding) else 1.0 / math.sqrt(1.0 + ratio**2)
        kept = (marginal.alpha * factor, marginal.sigma * factor)
        assert kept == pytest.approx((scale, scale * ratio))


@pytest.mark.parametrize("form", FORMS)
def test_an_evaluation_is_at_one_place(form):
    """The time that the model is asked for is that of the noise ratio that it is told."""
    made = form(passage(VPSDE()))
    for place in map(made.place, range(7)):
        found = VPSDE().at(place.time)
        assert found.sigma / found.alpha == pytest.approx(place.ratio)


@pytest.mark.parametrize("shape", [(), (3,), (3, 1)])
def test_append_dims(shape):
    x = torch.zeros(shape)
    assert append_dims(x, 4).shape == shape + (1,) * (4 - len(shape))
