"""The predictors of Song et al.: conformance, closed forms, orders on all SDEs."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from bundled import BRIEF, checks_of, sampled_checks_of
from common import FALSE_ALARM, GaussianScore, normal
from probing import Script, gentle, order_and_limit
from scipy import stats

from sdeplug import (
    VPSDE,
    Corrected,
    Denoise,
    Leg,
    LogSNR,
    OnGrid,
    PerSampleNoise,
    Pipeline,
    ReverseSDE,
    Run,
    SharedNoise,
    Uniform,
)
from sdeplug.targets import Gaussian, eight_gaussians
from sdeplug.testing import (
    CHECKS,
    exact_law,
    marginal_law,
    parametrize_with_checks,
    relative_error,
)
from sdeplug_ode import AdamsBashforth, Heun
from sdeplug_song import (
    Ancestral,
    AnnealedLangevin,
    EulerMaruyama,
    Hold,
    Langevin,
    ReverseDiffusion,
)

close = torch.testing.assert_close


@parametrize_with_checks(
    [
        EulerMaruyama(),
        Ancestral(),
        Langevin(),
        AnnealedLangevin(),
        Corrected(ReverseDiffusion(), Langevin(), sweeps=2, before=True),
    ],
    fast=True,
)
def test_conformance(check):
    check()


@checks_of(
    [
        ReverseDiffusion(),
        Ancestral(large_variance=True),
        Langevin(snr=0.05, steps=3),
        Langevin(reference_steps=100),
        AnnealedLangevin(snr=0.7, steps=2),
        AnnealedLangevin(reference_steps=100),
        Corrected(EulerMaruyama(), AnnealedLangevin()),
        OnGrid(Corrected(Heun(), Langevin()), Uniform(3)),
    ],
    kept=BRIEF,
)
def test_conformance_of_the_others(check):
    check()


NO_LAW = {"check_proof": "it claims no order, or no consistency"}


@parametrize_with_checks([Hold(), Denoise()], expected_failures=NO_LAW, fast=True)
def test_conformance_of_what_promises_no_law(check):
    check()


@checks_of(
    [
        EulerMaruyama(reference_steps=100),
        ReverseDiffusion(reference_steps=100),
        Langevin(batch_mean=True),
        Langevin(batch_mean=True, steps=2, reference_steps=100),
        Corrected(Hold(), AnnealedLangevin(), sweeps=3),
        Corrected(AdamsBashforth(3), Langevin(batch_mean=True)),
    ],
    kept=BRIEF,
    expected_failures=NO_LAW,
)
def test_conformance_of_others_that_promise_no_law(check):
    check()


@pytest.mark.slow
@sampled_checks_of([EulerMaruyama()], kept=CHECKS)
def test_conformance_by_sampling(check):
    check()


@pytest.mark.slow
@sampled_checks_of([AnnealedLangevin()])
def test_conformance_of_a_corrector_by_sampling(check):
    check()


@pytest.mark.slow
@sampled_checks_of([ReverseDiffusion(), Ancestral(), Langevin()])
def test_conformance_of_the_others_by_sampling(check):
    check()


@parametrize_with_checks(
    [Ancestral(reference_steps=100), Ancestral(large_variance=True, reference_steps=100)],
    expected_failures={
        "check_stochasticity": "the tables are those of stochasticity 1",
        "check_proof": "no order is claimed of a chain that no grid refines",
    },
    fast=True,
)
def test_conformance_of_the_discrete_chain(check):
    check()


# Ancestral steps in closed form


def test_an_ancestral_step_samples_the_posterior_of_a_point_mass(any_sde):
    """p(x_s | x_t, x_0) by Bayes' rule from p(x_s | x_0) and p(x_t | x_s)."""
    sde, x, z = gentle(any_sde), normal(6, 3), normal(6, 3, seed=1)
    point = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
    reverse = ReverseSDE(sde, GaussianScore(sde, point, 0.0))
    for late, early in ((1.0, 0.7), (0.6, 0.3), (0.2, 0.05)):
        t, s = late * sde.T, early * sde.T
        now, then = sde.at(t), sde.at(s)
        scale = now.alpha / then.alpha
        variance = now.sigma**2 - (scale * then.sigma) ** 2
        precision = then.sigma**-2 + scale**2 / variance
        mean = (then.alpha * point / then.sigma**2 + scale * x / variance) / precision
        got = Ancestral().integrate(reverse, x, t, s, Run(Script([z])))
        close(got, mean + precision**-0.5 * z, rtol=1e-10, atol=1e-10 * float(mean.abs().max()))


def test_an_ancestral_step_without_noise_is_ddim(any_sde):
    """arXiv 2010.02502, equation 13: the same noise at another level, whatever the score."""
    sde, x = gentle(any_sde), normal(6, 3)
    reverse = ReverseSDE(sde, lambda x, t: torch.sin(3.0 * x) - x, 0.0)
    for late, early in ((1.0, 0.7), (0.6, 0.3), (0.2, 0.05)):
        t, s = late * sde.T, early * sde.T
        now, then = sde.at(t), sde.at(s)
        noise = -now.sigma * (torch.sin(3.0 * x) - x)
        wanted = then.alpha * (x - now.sigma * noise) / now.alpha + then.sigma * noise
        got = Ancestral().integrate(reverse, x, t, s, Run(Script([])))
        close(got, wanted, rtol=1e-10, atol=1e-10 * float((now.sigma * noise).abs().max()))


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0, lambda t: 0.2 + 0.5 * t])
@pytest.mark.parametrize("steps", [1, 7])
def test_ancestral_sampling_of_a_point_mass_is_exact(any_sde, steps, level):
    target = Gaussian([0.5, -1.0], std=0.0)
    start, wanted = (marginal_law(target, any_sde, t) for t in (any_sde.T, any_sde.eps))
    reverse = ReverseSDE(any_sde, target.score(any_sde), level)
    by = OnGrid(Ancestral(), LogSNR(steps))
    law = exact_law(lambda x, run: by.integrate(reverse, x, any_sde.T, any_sde.eps, run), start)
    # The mean is what is left when numbers of the size of the prior have cancelled.
    size = max(any_sde.at(any_sde.T).sigma / any_sde.at(any_sde.T).alpha, 1.0)
    error = relative_error(law, wanted).abs()
    assert float(error[:2].max()) < 1e-9
    assert float(error[2:].max()) * wanted.covariance[0, 0].sqrt() < 1e-13 * size


def test_the_large_variance_is_that_of_the_transition(any_sde):
    x, z = normal(4, 2), normal(4, 2, seed=1)
    t, s = 0.8 * any_sde.T, 0.7 * any_sde.T
    reverse = ReverseSDE(any_sde, lambda x, t: -x, 0.6)
    noisy, mean = (
        Ancestral(large_variance=True).integrate(reverse, x, t, s, Run(Script([draw])))
        for draw in (z, 0.0 * z)
    )
    now, then = any_sde.at(t), any_sde.at(s)
    variance = now.sigma**2 - (now.alpha / then.alpha * then.sigma) ** 2
    close(noisy - mean, 0.6 * math.sqrt(variance) * z, rtol=1e-9, atol=1e-9)


# All solvers on all SDEs

PREDICTORS = [EulerMaruyama(), ReverseDiffusion(), Ancestral(), Ancestral(large_variance=True)]
CORRECTORS = [Langevin(), Langevin(steps=2, batch_mean=True), AnnealedLangevin()]
SAMPLERS = [*PREDICTORS, *(Corrected(ReverseDiffusion(), each) for each in CORRECTORS)]


@pytest.mark.thorough
@pytest.mark.parametrize("by", SAMPLERS)
def test_every_shape_and_dtype_on_every_sde(any_sde, by):
    sde = gentle(any_sde)
    reverse, sampler = ReverseSDE(sde, GaussianScore(sde)), OnGrid(by, LogSNR(30))

    def sampled(*shape, dtype=torch.float64):
        noise = PerSampleNoise(0, range(4))
        x = sde.prior((4, *shape), noise, torch.float64).to(dtype)
        return sampler.integrate(reverse, x, sde.T, sde.eps, Run(noise))

    flat = sampled(8)
    for shape in ((2, 4), (1, 2, 4), (2, 1, 2, 2)):
        close(sampled(*shape).flatten(1), flat, rtol=1e-9, atol=1e-9)
    single = sampled(8, dtype=torch.float32)
    assert single.dtype == torch.float32
    close(single.double(), flat, rtol=0.0, atol=3e-6)


LIMITS = {0.0: 6e-3, 0.5: 1e-2, 1.0: 2e-3}  # of the error extrapolated from 64 (or 128) steps on


@pytest.mark.parametrize("level", LIMITS)
@pytest.mark.parametrize("predictor", PREDICTORS)
@pytest.mark.thorough
def test_weak_order(any_sde, predictor, level):
    steps = 64 if level else 128
    order, limit = order_and_limit(predictor, gentle(any_sde), "log-snr", level, steps)
    assert order > 0.9
    assert limit < LIMITS[level]


@pytest.mark.parametrize("grid", ["karras", pytest.param("quadratic", marks=pytest.mark.thorough)])
def test_weak_order_on_other_grids(any_sde, grid):
    order, limit = order_and_limit(ReverseDiffusion(), gentle(any_sde), grid, 1.0, 128)
    assert order > 0.9
    assert limit < 4e-3


@pytest.mark.parametrize("level", [1.0, 0.5])
@pytest.mark.parametrize("predictor", PREDICTORS)
def test_strong_order_on_one_brownian_path(predictor, level):
    """Against the solution in closed form for Gaussian data, on the same path.

    y = x - alpha m solves dy = (a + k g^2 / V) y dt + l g dw backwards, with V the variance of p_t
    and k = (1 + l^2) / 2, so that y_s = F(s, t) y_t plus the integral of F(s, u) l g(u) dw(u),
    where F(s, t) = (V_s / V_t)^k (alpha_t / alpha_s)^(2 k - 1).
    """
    sde, mean, spread = VPSDE(), 0.4, 0.25
    t, s, fine = 1.0, 0.1, 2**13
    reverse = ReverseSDE(sde, GaussianScore(sde, mean, spread), level)
    z = normal(fine, 200, 2)
    h = (t - s) / fine
    start = normal(200, 2, seed=1)

    middles = t - h * (torch.arange(fine, dtype=torch.float64) + 0.5)
    times = torch.cat((torch.tensor([t, s], dtype=torch.float64), middles))
    alpha, sigma = sde.log_alpha(times).exp(), sde.sigma(times)
    variance, k = alpha**2 * spread + sigma**2, 0.5 * (1.0 + level**2)
    carried = (variance[1] / variance) ** k * (alpha / alpha[1]) ** (2.0 * k - 1.0)
    noise = torch.einsum("j,jbd->bd", carried[2:] * level * sde.diffusion(middles) * h**0.5, z)
    exact = alpha[1] * mean + carried[0] * (start - alpha[0] * mean) + noise

    def error(steps):
        summed = z.reshape(steps, -1, 200, 2).sum(1) / math.sqrt(fine // steps)
        by = OnGrid(predictor, Uniform(steps))
        got = by.integrate(reverse, start, t, s, Run(Script(summed)))
        return float((got - exact).square().mean().sqrt())

    errors = [error(steps) for steps in (32, 64, 128, 256, 512)]
    orders = [math.log2(coarse / finer) for coarse, finer in pairwise(errors)]
    assert min(orders) > predictor.claims.strong_order - 0.15
    assert errors[-1] < 0.1 * errors[0]


@pytest.mark.slow
def test_predictor_corrector_sampling_finds_the_weights_of_all_modes():
    """Chi-square of the mode counts: two independent stages, each with a false alarm in 1,000."""
    target, sde = eight_gaussians(), VPSDE()
    by = OnGrid(Corrected(ReverseDiffusion(), Langevin()), LogSNR(100))
    pipeline = Pipeline(ReverseSDE(sde, target.score(sde)), (Leg(sde.eps, by),))

    def samples(count, seed):
        return pipeline.sample((count, 2), seed=seed, dtype=torch.float64).x

    def p_value(x):
        modes = target.responsibilities(x, sde.eps, sde).argmax(1)
        return stats.chisquare(torch.bincount(modes, minlength=8).numpy()).pvalue

    x = samples(16384, seed=0)
    assert p_value(x) > 1e-3 or p_value(samples(4 * 16384, seed=1)) > 1e-3
    # The test has power: it sees that a sixth of one mode is missing.
    first = target.responsibilities(x, sde.eps, sde).argmax(1) == 0
    assert p_value(x[~first | (torch.arange(16384) % 6 > 0)]) < 1e-3
    # The modes are as wide as they should be, up to the bias that the corrector declares.
    whitened = target.whitened(x, target.responsibilities(x, sde.eps, sde).argmax(1), sde.eps, sde)
    width = float(whitened.square().mean().sqrt())
    sure = stats.norm.isf(0.5 * FALSE_ALARM) / math.sqrt(2 * whitened.numel())
    assert abs(width - 1.0) < by.claims.floor + 0.02 + sure


def test_noise_is_not_drawn_where_there_is_none():
    reverse = ReverseSDE(VPSDE(), lambda x, t: -x, 0.0)
    for predictor in PREDICTORS:
        predictor.integrate(reverse, normal(2, 2), 0.5, 0.4, Run(Script([])))


def test_hold_leaves_the_state_alone():
    x = normal(3, 2)
    reverse = ReverseSDE(VPSDE(), lambda x, t: -x)
    assert Hold().integrate(reverse, x, 0.5, 0.4, Run(SharedNoise(0))) is x
