"""The predictors of Song et al. on all SDEs: shapes, orders and laws."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from common import FALSE_ALARM, GaussianScore, normal
from probing import Script, gentle, order_and_limit
from scipy import stats

from sdeplug import (
    VPSDE,
    Corrected,
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
from sdeplug.targets import eight_gaussians
from sdeplug_song import (
    Ancestral,
    AnnealedLangevin,
    EulerMaruyama,
    Hold,
    Langevin,
    ReverseDiffusion,
)

close = torch.testing.assert_close
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
