"""The predictors of Song et al.: conformance, closed forms, orders on all SDEs."""

from __future__ import annotations

import math

import pytest
import torch
from bundled import BRIEF, checks_of, sampled_checks_of
from common import GaussianScore, normal
from probing import Script, gentle

from sdeplug import (
    Corrected,
    Denoise,
    LogSNR,
    OnGrid,
    ReverseSDE,
    Run,
    Uniform,
)
from sdeplug.targets import Gaussian
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
