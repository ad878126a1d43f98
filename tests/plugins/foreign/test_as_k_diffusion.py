"""Integrators as functions of k-diffusion, against the formulas that its samplers follow."""

from __future__ import annotations

import copy
import inspect
import itertools
import math
from importlib.util import find_spec

import pytest
import torch

import sdeplug as sp
from sdeplug_foreign import as_k_diffusion
from sdeplug_foreign.from_k_diffusion import sampling

close = torch.testing.assert_close
SIGMAS = torch.tensor([14.6, 6.0, 2.5, 1.0, 0.4, 0.1, 0.0], dtype=torch.float64)
PLACE = torch.tensor([0.3, -0.8, 1.5], dtype=torch.float64)


def model(x, sigma, shift=0.0):
    """A denoiser that is not linear, with a condition."""
    assert sigma.shape == x.shape[:1]
    assert sigma.dtype == x.dtype
    level = sigma[:, None]
    return (torch.tanh(x + shift) + level * PLACE.to(x)) / (1.0 + level)


def start(rows=4):
    generator = torch.Generator().manual_seed(3)
    return SIGMAS[0] * torch.randn(rows, 3, dtype=torch.float64, generator=generator)


def euler(x, sigmas):
    """Karras et al., algorithm 2, without churn."""
    for high, low in itertools.pairwise(sigmas):
        denoised = model(x, high.expand(len(x)))
        x = x + (low - high) * (x - denoised) / high
    return x


def two_m(x, sigmas):
    """Lu et al., arXiv 2211.01095, algorithm 2, with alpha = 1."""
    before = None
    for k, (high, low) in enumerate(itertools.pairwise(sigmas)):
        denoised = model(x, high.expand(len(x)))
        aimed = denoised
        if before is not None and low > 0.0:
            ratio = math.log(sigmas[k - 1] / high) / math.log(high / low)
            aimed = denoised + (denoised - before) / (2.0 * ratio)
        x = low / high * x + (1.0 - low / high) * aimed
        before = denoised
    return x


def ancestral(x, sigmas, generator, eta):
    """Euler to less than the next level, and noise back to it."""
    for high, low in itertools.pairwise(sigmas):
        denoised = model(x, high.expand(len(x)))
        up = min(low, eta * low * torch.sqrt(1.0 - (low / high) ** 2))
        down = torch.sqrt(low**2 - up**2)
        x = x + (down - high) * (x - denoised) / high
        if low > 0.0:
            x = x + up * torch.randn(x.shape, dtype=x.dtype, generator=generator)
    return x


@pytest.mark.parametrize("last", [None, -1])
@pytest.mark.parametrize(
    ("name", "formula"), [("exponential/ddim", euler), ("exponential/dpmpp-2m", two_m)]
)
def test_methods_without_noise_are_those_of_k_diffusion(name, formula, last):
    """With the denoising at the end, and without."""
    sampler = as_k_diffusion(name, stochasticity=0.0)
    close(sampler(model, start(), SIGMAS[:last]), formula(start(), SIGMAS[:last]))


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_ancestral_steps_are_those_of_k_diffusion_under_one_seed(eta):
    one, other = (torch.Generator().manual_seed(5) for _ in range(2))
    sampler = as_k_diffusion("song/ancestral", stochasticity=eta, generator=one)
    close(sampler(model, start(), SIGMAS), ancestral(start(), SIGMAS, other, eta))


@pytest.mark.parametrize("target", ["sample_euler", "sample_dpmpp_2m", "sample_euler_ancestral"])
def test_they_are_what_the_library_gives(target):
    if find_spec("k_diffusion") is None:
        pytest.skip("k-diffusion is not installed")
    theirs = getattr(sampling(), target)
    names = {"sample_euler": "ddim", "sample_dpmpp_2m": "dpmpp-2m"}
    name = f"exponential/{names[target]}" if target in names else "song/ancestral"
    sampler = as_k_diffusion(name, stochasticity=float(target not in names))
    seen = {"ours": [], "theirs": []}
    results = []
    for word, each in (("ours", sampler), ("theirs", theirs)):
        with torch.random.fork_rng():
            torch.manual_seed(2)
            more = {"extra_args": {"shift": 0.4}, "callback": seen[word].append, "disable": True}
            results.append(each(model, start(), SIGMAS, **more))
    close(*results)
    for one, other in zip(seen["ours"], seen["theirs"], strict=True):
        assert one.keys() == other.keys()
        close(one, other, check_dtype=False)


def test_torchs_own_generator_is_used_where_none_is_given():
    results = []
    with torch.random.fork_rng():
        for _ in range(2):
            torch.manual_seed(7)
            results.append(as_k_diffusion("song/ancestral")(model, start(), SIGMAS))
    close(*results, rtol=0.0, atol=0.0)


@pytest.mark.parametrize("name", ["exponential/exp-rk3", "exponential/unipc", "ode/heun"])
def test_the_callback_sees_each_step_before_it_is_made(name):
    """Solvers with several stages too: x is the state, and what the model says of it."""
    seen = []
    sampler = as_k_diffusion(sp.solver(name), stochasticity=0.0)
    sampler(model, start(), SIGMAS, {"shift": 0.2}, seen.append)
    assert [each["i"] for each in seen] == list(range(6))
    close(torch.stack([each["sigma"] for each in seen]), SIGMAS[:-1])
    for each in seen:
        levels = each["sigma"].expand(4)
        close(each["denoised"], model(each["x"], levels, shift=0.2))
    close(seen[0]["x"], start())


def test_a_solver_that_steps_by_itself_goes_the_whole_way():
    exact = as_k_diffusion("exponential/dpmpp-2m", stochasticity=0.0)(
        model, start(), torch.logspace(math.log10(14.6), -1, 400, dtype=torch.float64)
    )
    sampler = as_k_diffusion(sp.solver("adaptive/row-dopri5", rtol=1e-6), stochasticity=0.0)
    close(sampler(model, start(), [14.6, 0.1]), exact, rtol=1e-3, atol=1e-3)


def test_dtypes_and_two_calls_of_one_function():
    sampler = as_k_diffusion("exponential/dpmpp-2m", stochasticity=0.0)
    twin = copy.deepcopy(sampler)
    expected = sampler(model, start(), SIGMAS)
    for each in (sampler, twin):
        close(each(model, start(), SIGMAS), expected, rtol=0.0, atol=0.0)
    single = sampler(model, start().float(), SIGMAS.float())
    assert single.dtype == torch.float32
    close(single.double(), expected, rtol=1e-5, atol=1e-5)
    half = sampler(model, start().half(), SIGMAS.half())
    assert half.dtype == torch.float16
    close(half.double(), expected, rtol=2e-2, atol=2e-2)


def test_the_signature_is_that_of_k_diffusion():
    found = inspect.signature(as_k_diffusion("ode/euler")).parameters
    assert list(found) == ["model", "x", "sigmas", "extra_args", "callback", "disable"]
    assert [found[name].default for name in list(found)[3:]] == [None, None, None]


@pytest.mark.parametrize(
    "sigmas", [[1.0, 2.0], [1.0, 1.0], [], [0.0], [2.0, -1.0], [math.nan, 1.0], [math.inf, 1.0]]
)
def test_levels_that_do_not_fall_are_refused(sigmas):
    with pytest.raises(sp.ArgumentError, match="falling noise levels"):
        as_k_diffusion("ode/euler")(model, start(), sigmas)


def test_what_is_no_integrator_is_refused():
    with pytest.raises(sp.ArgumentError, match="integrator"):
        as_k_diffusion(sp.solver("song/langevin"))
