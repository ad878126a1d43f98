"""Samplers of other libraries: their laws, and those that are ours too."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch
from bundled import BRIEF, checks_of
from common import GaussianScore, normal
from foreign.borrow import CLASSES, MODULES, QUIET

import sdeplug as sp
from sdeplug import VESDE, VPSDE, PerSampleNoise, ReverseSDE, Run
from sdeplug.testing import (
    Law,
    exact_spectrum,
    parametrize_with_checks,
)
from sdeplug_foreign import AzulaSampler, DiffusersSampler, KDiffusionSampler
from sdeplug_foreign.borrowed import SPACINGS

# What diffusers 0.42 does with its own tables under NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")
close = torch.testing.assert_close
ALL = [(library, sampler) for library, cls in CLASSES.items() for sampler in cls.recipes]


def needed(library):
    """Skip unless the library is installed."""
    if find_spec(MODULES[library]) is None:
        pytest.skip(f"{library} is not installed")
    if library == "k-diffusion":
        pytest.importorskip("tqdm")


def built(library, sampler, **options):
    needed(library)
    return CLASSES[library](sampler, **options)


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
