"""Tests of the exact tier: laws against closed forms, and solvers that are subtly wrong."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from common import normal
from hypothesis import given
from hypothesis import strategies as st
from testing.exact.usual import VP

from sdeplug import (
    VESDE,
    Corrected,
    Denoise,
    Integrator,
    Leg,
    LogSNR,
    OnGrid,
    Pipeline,
    ReverseSDE,
    Run,
    SharedNoise,
)
from sdeplug.testing import (
    Law,
    counted_columns,
    exact_law,
    exact_spectrum,
    marginal_law,
    relative_error,
    through,
)
from sdeplug.testing.bench import carried, gaussian, gaussian_score, rotated
from sdeplug_ode import Heun
from sdeplug_song import (
    Ancestral,
    AnnealedLangevin,
    EulerMaruyama,
    ReverseDiffusion,
)


def law_over(by: Integrator, sde=VP, law=exact_spectrum, target=None, level=1.0) -> Law:
    target = target or gaussian()
    reverse = ReverseSDE(sde, target.score(sde), level)
    return law(partial(carried, by, reverse, sde.eps), marginal_law(target, sde, sde.T))


# --- laws in closed form ---------------------------------------------------------------------


def test_one_step_of_euler_maruyama_by_hand():
    t, s = 0.6, 0.5
    h, target = t - s, rotated()
    a, g = VP.at(t).drift_rate, VP.at(t).diffusion
    start = marginal_law(target, VP, t)
    precision = start.covariance.inverse()
    matrix = (1.0 - h * a) * torch.eye(5, dtype=torch.float64) - h * g**2 * precision
    offset = h * g**2 * precision @ start.mean
    reverse = ReverseSDE(VP, target.score(VP))
    law = exact_law(lambda x, run: EulerMaruyama().integrate(reverse, x, t, s, run), start)
    wanted = matrix @ start.covariance @ matrix.T + h * g**2 * torch.eye(5, dtype=torch.float64)
    torch.testing.assert_close(law.mean, matrix @ start.mean + offset, rtol=0, atol=1e-12)
    torch.testing.assert_close(law.covariance, wanted, rtol=0, atol=1e-12)


def test_an_autoregression_by_hand():
    """x' = r x + z, n times: variance (1 - r^(2 n)) / (1 - r^2) + r^(2 n)."""

    def sampler(x, run):
        for _ in range(50):
            x = 0.9 * x + run.noise.normal(x)
        return x

    start = Law(torch.zeros(1, dtype=torch.float64), torch.eye(1, dtype=torch.float64))
    wanted = (1.0 - 0.9**100) / (1.0 - 0.81) + 0.9**100
    for law in (exact_law, exact_spectrum):
        assert float(law(sampler, start).covariance) == pytest.approx(wanted, rel=1e-13)


def test_an_increment_that_is_used_twice_counts_once():
    def sampler(x, run):
        path = run.noise.brownian(x, 1.0, 0.0)
        whole, half = path.increment(0.0, 1.0), path.increment(0.5, 1.0)
        return x + whole + half  # variance 1 + (2^2 + 1) / 2

    start = Law(torch.zeros(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64))
    wanted = 3.5 * torch.eye(2, dtype=torch.float64)
    torch.testing.assert_close(exact_law(sampler, start).covariance, wanted)


marks = st.integers(0, 8).map(lambda k: k / 8.0)


@given(st.lists(st.tuples(marks, marks), max_size=6), st.integers(0, 2), st.integers(-2, 2))
def test_a_guess_of_the_draws_changes_no_law(asked, draws, off):
    """Increments in any order, in parts and over again; the variance by their overlaps."""

    def sampler(x, run):
        for _ in range(draws):
            x = x + run.noise.normal(x)
        path = run.noise.brownian(x, 1.0, 0.0)
        return x + sum(path.increment(u, v) for u, v in asked)

    edges = torch.arange(8, dtype=torch.float64) / 8.0
    covered = sum((edges >= u) & (edges < v) for u, v in asked) * 1.0 - sum(
        (edges >= v) & (edges < u) for u, v in asked
    )
    wanted = 1.0 + draws + (float((torch.as_tensor(covered) ** 2).sum()) / 8.0 if asked else 0.0)
    start = Law(torch.zeros(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64))
    right = counted_columns(sampler, 2)
    for columns in (None, right, max(right + off, 0)):
        law = exact_spectrum(sampler, start, columns)
        assert law.covariance.diagonal().tolist() == pytest.approx([wanted] * 2, rel=1e-12)


def test_a_right_guess_saves_a_run():
    runs = []

    def sampler(x, run):
        runs.append(len(x))
        return x + run.noise.normal(x) + run.noise.brownian(x, 1.0, 0.0).increment(0.0, 1.0)

    start = Law(torch.zeros(1, dtype=torch.float64), torch.eye(1, dtype=torch.float64))
    exact_spectrum(sampler, start)
    exact_spectrum(sampler, start, counted_columns(sampler, 1))
    assert runs == [1, 4, 1, 4]
    exact_spectrum(sampler, start, 2)
    exact_spectrum(sampler, start, 3)
    assert runs[4:] == [4, 5, 1, 4]


@pytest.mark.parametrize("sde", [VP, VESDE()])
@pytest.mark.parametrize("by", [Ancestral(), Corrected(ReverseDiffusion(), AnnealedLangevin())])
def test_spectrum_and_full_law_agree(by, sde):
    full, apart = (
        law_over(OnGrid(by, LogSNR(12)), sde, each) for each in (exact_law, exact_spectrum)
    )
    torch.testing.assert_close(full.mean, apart.mean, rtol=0, atol=1e-12)
    torch.testing.assert_close(full.covariance, apart.covariance, rtol=0, atol=1e-12)


def test_the_law_is_that_of_samples():
    by = OnGrid(ReverseDiffusion(), LogSNR(8))
    law, n = law_over(by), 40000
    reverse, noise = ReverseSDE(VP, gaussian_score(VP)), SharedNoise(0)
    start = marginal_law(gaussian(), VP, VP.T)
    x = start.mean + normal(n, 5, seed=5) * start.covariance.diagonal().sqrt()
    with torch.no_grad():
        y = by.integrate(reverse, x, VP.T, VP.eps, Run(noise))
    std = law.covariance.diagonal().sqrt()
    assert bool((y.mean(0) - law.mean).abs().lt(5.0 * std / math.sqrt(n)).all())
    assert bool((y.std(0) / std - 1.0).abs().lt(5.0 / math.sqrt(2 * n)).all())


def test_exact_laws_repeat_to_the_last_bit():
    first, again = (law_over(OnGrid(EulerMaruyama(), LogSNR(32))) for _ in range(2))
    assert torch.equal(first.covariance, again.covariance)
    assert torch.equal(first.mean, again.mean)


def test_a_split_pipeline_has_the_right_limit():
    """Half the way by Euler-Maruyama, then the flow by Heun: order 1 to p_eps."""
    target = gaussian()
    errors = []
    for steps in (64, 128, 256):
        legs = (
            Leg(0.3, OnGrid(EulerMaruyama(), LogSNR(steps))),
            Leg(VP.eps, OnGrid(Heun(), LogSNR(steps))),
        )
        sampler = through(Pipeline(ReverseSDE(VP, target.score(VP)), legs))
        law = exact_spectrum(sampler, marginal_law(target, VP, VP.T))
        errors.append(relative_error(law, marginal_law(target, VP, VP.eps)))
    assert float((2.0 * errors[-1] - errors[-2]).abs().max()) < 5e-4
    assert 0.9 < math.log2(float(errors[-2].norm() / errors[-1].norm())) < 1.2


def test_denoise_has_the_law_of_the_posterior_mean():
    target = gaussian()
    reverse = ReverseSDE(VP, target.score(VP))
    start = marginal_law(target, VP, VP.eps)
    law = exact_law(lambda x, run: Denoise().integrate(reverse, x, VP.eps, 0.0, run), start)
    variance, now = target.covariance.diagonal(), VP.at(VP.eps)
    gain = now.alpha * variance / (now.alpha**2 * variance + now.sigma**2)
    wanted = gain**2 * start.covariance.diagonal()
    torch.testing.assert_close(law.covariance.diagonal(), wanted)
    torch.testing.assert_close(law.mean, target.mean)
