"""Samplers of other libraries: the adapters without them, and what they do where they are."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch
from bundled import BRIEF, checks_of
from common import GaussianScore, normal

import sdeplug as sp
from sdeplug import VESDE, VPSDE, MissingExtraError, PerSampleNoise, ReverseSDE, Run, Silence
from sdeplug.testing import (
    Law,
    exact_spectrum,
    parametrize_with_checks,
)
from sdeplug_foreign import AzulaSampler, DiffusersSampler, KDiffusionSampler
from sdeplug_foreign.borrowed import SPACINGS, Passage
from sdeplug_foreign.forms import Exploding, Straight
from sdeplug_foreign.from_k_diffusion import append_dims
from sdeplug_foreign.noise import Replaced

# What diffusers 0.42 does with its own tables under NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")

close = torch.testing.assert_close
CLASSES = {"diffusers": DiffusersSampler, "k-diffusion": KDiffusionSampler, "azula": AzulaSampler}
MODULES = {"diffusers": "diffusers", "k-diffusion": "k_diffusion", "azula": "azula"}
ALL = [(library, sampler) for library, cls in CLASSES.items() for sampler in cls.recipes]
QUIET = Run(Silence())


def needed(library):
    """Skip unless the library is installed."""
    if find_spec(MODULES[library]) is None:
        pytest.skip(f"{library} is not installed")
    if library == "k-diffusion":
        pytest.importorskip("tqdm")


def built(library, sampler, **options):
    needed(library)
    return CLASSES[library](sampler, **options)


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


# With the libraries

# That their laws converge, and at which order, is asked of each row of the page of the field.


@pytest.mark.parametrize(("library", "sampler"), ALL)
@pytest.mark.thorough
def test_contract(library, sampler):
    """Shape, dtype, input, generator, seed, batch and the times of the score."""
    by, sde, times = built(library, sampler, steps=5), VPSDE(), []
    score = GaussianScore(sde)

    def watched(x, t):
        times.extend(t.tolist())
        return score(x, t)

    reverse = ReverseSDE(sde, watched)
    before = torch.get_rng_state()
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        x = normal(3, 2, 4).to(dtype)
        kept = x.clone()

        def carried(rows, x=x):
            run = Run(PerSampleNoise(7, rows))
            return by.integrate(reverse, x[rows], 0.9, 0.1, run)

        out = carried([0, 1, 2])
        assert out.shape == x.shape
        assert out.dtype == dtype
        assert torch.equal(x, kept)
        assert torch.equal(out, carried([0, 1, 2]))
        close(carried([2, 0])[1], out[0])
        assert bool(out.isfinite().all())
    assert torch.equal(torch.get_rng_state(), before)
    assert min(times) >= 0.1 - 1e-7  # single precision at the door of the model
    assert max(times) <= 0.9 + 1e-7
    assert {0.9, 0.1} & {round(time, 6) for time in times}


class Counting(sp.NoiseSource):
    """Counts what is drawn."""

    def __init__(self):
        self.draws = 0

    def normal(self, like):
        self.draws += 1
        return torch.zeros_like(like)


@pytest.mark.parametrize(
    ("library", "sampler"),
    [pytest.param(*each, marks=pytest.mark.thorough if "kdpm2" in each[1] else ()) for each in ALL],
)
def test_noise_is_drawn_where_it_is_claimed(library, sampler):
    by, sde = built(library, sampler, steps=4), VPSDE()
    recipe = by.recipe
    for level in (1.0, 0.5, 0.0):
        reverse, noise = ReverseSDE(sde, GaussianScore(sde), level), Counting()
        if recipe.stochastic and recipe.eta is None and level != 1.0:
            with pytest.raises(sp.ArgumentError, match="stochasticity"):
                by.integrate(reverse, normal(2, 3), 1.0, 0.1, Run(noise))
        else:
            by.integrate(reverse, normal(2, 3), 1.0, 0.1, Run(noise))
            assert (noise.draws > 0) == (recipe.stochastic and level > 0.0)


@pytest.mark.parametrize("level", [0.5, 1.0])
@pytest.mark.parametrize(
    ("library", "sampler"),
    [(library, sampler) for library, sampler in ALL if CLASSES[library].recipes[sampler].eta],
)
def test_the_noise_of_a_short_step_is_that_of_the_stochasticity(library, sampler, level):
    sde, still = VPSDE(), Law(torch.zeros(1).double(), torch.zeros(1, 1).double())
    reverse = ReverseSDE(sde, GaussianScore(sde), level)
    ours, theirs = (
        exact_spectrum(lambda x, run, by=by: by.integrate(reverse, x, 0.5, 0.499, run), still)
        for by in (sp.solver("song/ancestral"), built(library, sampler, steps=1))
    )
    close(theirs.covariance, ours.covariance, rtol=0.05, atol=0.0)


def test_a_stochasticity_in_time_is_refused():
    reverse = ReverseSDE(VPSDE(), GaussianScore(VPSDE()), lambda t: t)
    with pytest.raises(sp.ArgumentError, match="Split the run into legs"):
        AzulaSampler("ddim").integrate(reverse, normal(2, 3), 1.0, 0.1, QUIET)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("sde", [VPSDE(), VESDE()])
@pytest.mark.parametrize(
    ("library", "sampler"),
    [("azula", "ddim"), ("diffusers", "ddim"), ("k-diffusion", "euler_ancestral"),
     ("diffusers", "ddpm"), ("azula", "ddpm"), ("diffusers", "euler-ancestral")],
)  # fmt: skip
def test_ancestral_samplers_of_all_libraries_are_ours(library, sampler, sde, spacing):
    """One step is song/ancestral: the same posterior, drawn with the same noise."""
    by = built(library, sampler, steps=1, spacing=spacing)
    reverse, x = ReverseSDE(sde, GaussianScore(sde)), normal(4, 3)
    t, s = 0.6, 0.45
    ours, theirs = (
        each.integrate(reverse, x, t, s, Run(PerSampleNoise(0, range(4))))
        for each in (sp.solver("song/ancestral"), by)
    )
    rounding = 1e-5 if sampler == "euler-ancestral" else 1e-10
    close(theirs, ours, rtol=rounding, atol=rounding)


@pytest.mark.parametrize("sde", [VPSDE(), VESDE()])
@pytest.mark.parametrize(
    ("sampler", "ours"),
    [(("azula", "ito"), "sde-dpm"), (("azula", "zeab-2"), "deis:2"),
     (("diffusers", "deis-2"), "deis:2"), (("k-diffusion", "dpmpp_2m"), "dpmpp-2m"),
     (("k-diffusion", "dpmpp_2m_sde"), "dpmpp-2m-sde")],
)  # fmt: skip
def test_members_of_our_family_that_others_have_too(sampler, ours, sde):
    """Whole runs on one grid, with the same noise."""
    name, _, order = ours.partition(":")
    by = sp.solver(f"exponential/{name}", **({"order": int(order)} if order else {}))
    reverse, x = ReverseSDE(sde, GaussianScore(sde)), sde.prior_std * normal(4, 3)
    one, other = (
        each.integrate(reverse, x, sde.T, sde.eps, Run(PerSampleNoise(0, range(4))))
        for each in (built(*sampler, steps=9), sp.OnGrid(by, sp.LogSNR(9)))
    )
    rounding = 1e-5 if sampler[0] == "diffusers" else 1e-9  # it rounds the state to float32
    close(one, other, rtol=rounding, atol=rounding)


NARROW = VPSDE(beta_min=0.5, beta_max=10.0)


def straight():
    return pytest.importorskip("sdeplug_diffusers").StraightSDE(T=0.999)


@pytest.mark.parametrize(
    ("sampler", "ours", "sde", "grid"),
    [("score-sde-ve", "song/reverse-diffusion", VESDE(), sp.LogSNR(9)),
     ("score-sde-vp", "song/euler-maruyama", VPSDE(), sp.Uniform(9)),
     ("score-sde-vp", "song/euler-maruyama", NARROW, sp.Uniform(9)),
     ("cosine-dpm-multistep-2", "exponential/dpmpp-2m-sde", VPSDE(), sp.LogSNR(9)),
     ("flow-match-euler", "ode/euler", straight, sp.LogSNR(9)),
     ("flow-match-heun", "ode/heun", straight, sp.LogSNR(9)),
     ("edm-euler", "exponential/ddim", VESDE(), sp.LogSNR(9))],
)  # fmt: skip
def test_schedulers_that_are_solvers_of_ours(sampler, ours, sde, grid):
    """Whole runs on one grid, with the same noise."""
    needed("diffusers")
    sde = sde() if sde is straight else sde
    reverse, x = ReverseSDE(sde, GaussianScore(sde)), sde.prior_std * normal(4, 3)
    one, other = (
        each.integrate(reverse, x, sde.T, sde.eps, Run(PerSampleNoise(0, range(4))))
        for each in (built("diffusers", sampler, steps=9), sp.OnGrid(sp.solver(ours), grid))
    )
    rounding = 1e-12 if DiffusersSampler.recipes[sampler].stochastic else 1e-6  # as above
    close(one, other, rtol=rounding, atol=rounding)


def test_a_scheduler_says_what_it_lacks():
    with pytest.raises(sp.ArgumentError, match="at least 3 for pndm"):
        DiffusersSampler("pndm", steps=2)


@pytest.mark.parametrize("sde", [VPSDE(), VESDE(), sp.EDMSDE(), sp.SubVPSDE()])
@pytest.mark.parametrize(
    ("one", "other"),
    [(("diffusers", "dpm-multistep-2"), ("k-diffusion", "dpmpp_2m")),
     (("diffusers", "edm-dpm-multistep-2"), ("k-diffusion", "dpmpp_2m")),
     (("diffusers", "kdpm2"), ("k-diffusion", "dpm_2")),
     (("diffusers", "edm-euler"), ("azula", "euler")),
     (("diffusers", "heun"), ("azula", "heun")), (("k-diffusion", "heun"), ("azula", "heun")),
     (("diffusers", "euler"), ("azula", "euler"))],
)  # fmt: skip
def test_one_method_in_two_libraries_is_one_method(one, other, sde):
    """The same result through two parametrisations of the state and of time."""
    reverse, x = ReverseSDE(sde, GaussianScore(sde)), sde.prior_std * normal(4, 3)
    results = [built(*each, steps=9).integrate(reverse, x, sde.T, sde.eps, QUIET)
               for each in (one, other)]  # fmt: skip
    close(*results, rtol=1e-5, atol=1e-5)  # diffusers rounds the state to float32


def present(solvers):
    return [each for each in solvers if find_spec(MODULES[each.library]) is not None]


KARRAS_LIKE = present([KDiffusionSampler(steps=4), AzulaSampler("ddim", steps=4)])
HUGGING = present([DiffusersSampler("ddim", steps=4)])

if KARRAS_LIKE:

    @pytest.mark.slow
    @parametrize_with_checks(KARRAS_LIKE, fast=True)
    @pytest.mark.thorough
    def test_conformance_without_gradients(check):
        check()


if HUGGING:

    @pytest.mark.slow
    @checks_of(HUGGING, kept=BRIEF)
    def test_conformance(check):
        check()
