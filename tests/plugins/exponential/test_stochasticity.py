"""The exponential multistep family: a stochasticity that varies, and rounding."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from common import GaussianScore, normal
from exponential.family import NOISY, QUIET, Levels

from sdeplug import (
    VESDE,
    VPSDE,
    FromNoise,
    LogSNR,
    OnGrid,
    ReverseSDE,
    Run,
    SharedNoise,
)
from sdeplug.targets import Empirical, Gaussian
from sdeplug.testing import exact_spectrum, marginal_law, relative_error
from sdeplug.testing.bench import gaussian_score
from sdeplug_exponential import (
    ERSDE,
    Adams,
    ERStochasticity,
    ExpMidpoint,
    ExpRK3,
    SASolver,
    UniPC,
)
from sdeplug_exponential.multistep import mean_square_level

close = torch.testing.assert_close
PRECISE = [
    Adams(4, 4, knee=0.04),
    Adams(2, 2, mean_slope=True),
    Adams(2, 2, noise_prediction=True),
    UniPC(3),
    ERSDE(),
    ExpRK3(),
]


# Stochasticity


def waved(t):
    return 0.7 + 0.6 * math.sin(5.0 * t)


@pytest.mark.parametrize("by", NOISY)
@pytest.mark.parametrize("level", [1.0, 0.4, waved])
@pytest.mark.parametrize("sde", [VPSDE(), VESDE()])
def test_for_a_point_of_data_the_law_is_exact_in_a_few_steps(by, level, sde):
    """D is constant there: what is left is the noise, and its weights must be exact."""
    point = Empirical(torch.tensor([[0.3, -1.2]], dtype=torch.float64))
    reverse = ReverseSDE(sde, point.score(sde), level)

    def sampler(x, run):
        return OnGrid(by, LogSNR(5)).integrate(reverse, x, sde.T, sde.eps, run)

    law = exact_spectrum(sampler, marginal_law(point, sde, sde.T))
    error = relative_error(law, marginal_law(point, sde, sde.eps))
    assert float(error.abs().max()) < 1e-9


def test_a_function_that_is_constant_is_a_number():
    sde, x = VPSDE(), normal(3, 2)
    one, other = (
        OnGrid(Adams(), LogSNR(9)).integrate(
            ReverseSDE(sde, GaussianScore(sde), level), x, 1.0, 1e-3, Run(SharedNoise(0))
        )
        for level in (0.6, lambda t: 0.6)
    )
    close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("sde", [VPSDE(), VESDE()])
def test_the_mean_square_of_a_stochasticity(sde):
    """Against a fine sum over log(alpha / sigma)."""
    times = list(LogSNR(20).times(sde.T, sde.eps, sde))
    reverse = ReverseSDE(sde, lambda x, t: -x, waved)
    for t, s in pairwise(times):
        fine = torch.linspace(t, s, 2001, dtype=torch.float64)
        lam = 0.5 * sde.log_snr(fine)
        squares = torch.tensor([waved(float(u)) ** 2 for u in fine], dtype=torch.float64)
        wanted = float(torch.trapezoid(squares, lam) / (lam[-1] - lam[0]))
        assert mean_square_level(reverse, t, s) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("by", [Adams(), SASolver(), ERSDE(2), ExpMidpoint()])
def test_order_two_with_a_stochasticity_that_varies(by):
    sde, target = VPSDE(), Gaussian(torch.tensor([0.5, -1.0]), torch.diag(torch.tensor([0.1, 2.0])))
    reverse = ReverseSDE(sde, target.score(sde), waved)
    start, end = (marginal_law(target, sde, t) for t in (sde.T, sde.eps))
    errors = []
    for steps in (128, 256):

        def sampler(x, run, steps=steps):
            return OnGrid(by, LogSNR(steps)).integrate(reverse, x, sde.T, sde.eps, run)

        errors.append(float(relative_error(exact_spectrum(sampler, start), end).norm()))
    assert math.log2(errors[0] / errors[1]) > 1.8


# ER-SDE


@pytest.mark.parametrize("level", [1.0, math.sqrt(0.5)])
def test_er_sde_is_the_published_update_for_the_same_noise(level):
    """arXiv 2309.06169 with its noise functions q^2 and q^1.5, integrated in closed form."""
    levels, power = Levels(level=level), 1.0 + level**2
    x, known, q = levels.x, [], [math.exp(-lam) for lam in levels.lam]

    def primitive(u, k):
        return math.log(u) if k == -1.0 else u ** (k + 1.0) / (k + 1.0)

    for n in range(len(q) - 1):
        known.append(levels.model(x, n))
        r = (q[n + 1] / q[n]) ** power
        y = r * x / levels.alpha[n] + (1.0 - r) * known[-1]
        first, second = (
            q[n + 1] ** power * (primitive(q[n], k - power) - primitive(q[n + 1], k - power))
            for k in (0.0, 1.0)
        )
        if n > 0:
            d0 = (known[-1] - known[-2]) / (q[n] - q[n - 1])
            y = y + (q[n + 1] - q[n] + first) * d0
        if n > 1:
            d1 = (known[-2] - known[-3]) / (q[n - 1] - q[n - 2])
            curve = 2.0 * (d0 - d1) / (q[n] - q[n - 2])
            y = y + ((q[n + 1] - q[n]) ** 2 / 2.0 + second - q[n] * first) * curve
        y = y + math.sqrt(q[n + 1] ** 2 - r**2 * q[n] ** 2) * levels.noise[n]
        x = levels.alpha[n + 1] * y
    close(levels.ours(ERSDE(3)), x, rtol=1e-9, atol=1e-9)


def phi(q):
    return q * (torch.exp(q**0.3) + 10.0)


def test_the_stochasticity_of_er_sde_is_that_of_its_noise_function():
    sde = VPSDE()
    level = ERStochasticity(sde)
    for t in (1e-3, 0.1, 0.5, 1.0):
        q = torch.tensor(
            math.exp(-0.5 * sde.at(t).log_snr), dtype=torch.float64, requires_grad=True
        )
        (slope,) = torch.autograd.grad(phi(q).log(), q)
        assert level(t) ** 2 == pytest.approx(float(slope * q.detach()) - 1.0, rel=1e-9)


# Precision


def in_three_precisions(by, sde, exact, half, x):
    """Ends of the flow in float64, in float32, and there with a network in half precision."""
    onto = OnGrid(by, LogSNR(40, 0.8))
    runs = {}
    for name, score, dtype in (
        ("double", exact, torch.float64),
        ("single", exact, torch.float32),
        ("half", FromNoise(half, sde), torch.float32),
    ):
        reverse = ReverseSDE(sde, score, 0.0)
        runs[name] = onto.integrate(reverse, x.to(dtype), sde.T, sde.eps, QUIET).double()
    return runs


@pytest.mark.parametrize("sde", [VPSDE(), VESDE()])
@pytest.mark.parametrize("by", PRECISE)
def test_float32_and_half_precision_lose_no_more_than_rounding(sde, by):
    """Data of standard deviation 0.5 with a state in float32 or a model in half precision."""
    exact = GaussianScore(sde)

    def half(x, t):
        """A network that predicts the noise in half precision."""
        sigma = sde.sigma(t.double())[:, None]
        return (-sigma * exact.in_float64(x, t)).half().to(x.dtype)

    x = sde.prior((256, 2), SharedNoise(0), torch.float64)
    runs = in_three_precisions(by, sde, exact, half, x)
    assert float((runs["single"] - runs["double"]).abs().max()) < 4e-6
    # Half precision rounds the noise by 2^-12, in units of the noise: few of these at the scale
    # of the data.
    assert float((runs["half"] - runs["double"]).abs().max()) < 4e-3
    assert float((runs["half"] - runs["double"]).square().mean().sqrt()) < 8e-4


@pytest.mark.parametrize("sde", [VPSDE(), VESDE()])
@pytest.mark.parametrize("by", PRECISE)
def test_near_eps_no_more_than_rounding_is_lost(sde, by):
    """Data of standard deviation 0.01 around -1, 0 and 1, which end as narrow as sigma is there.

    A state or data prediction in half precision anywhere would be off by 2^-12 of 1; a noise
    prediction in half precision is off by 2^-12 of the width.
    """
    exact = gaussian_score(sde, (1e-4, 1e-4, 1e-4))

    def half(x, t):
        sigma = sde.sigma(t.double())[:, None]
        return (-sigma * exact(x.double(), t)).half().to(x.dtype)

    x = sde.prior((256, 3), SharedNoise(0), torch.float64)
    runs = in_three_precisions(by, sde, exact, half, x)
    width = runs["double"].std(0).mean()
    assert 0.005 < width < 0.03
    assert float((runs["single"] - runs["double"]).abs().max()) < 16 * 2.0**-24
    assert float((runs["half"] - runs["double"]).square().mean().sqrt()) < 2.0**-11 * width
