"""Exponential solvers through the harness; those with their own grid; grids that are tuned."""

from __future__ import annotations

import math

import pytest
import torch
from bundled import BRIEF, SHARED, checks_of, sampled_checks_of
from common import GaussianScore, normal

from sdeplug import (
    EDMSDE,
    VESDE,
    VPSDE,
    ArgumentError,
    Claims,
    Focus,
    Karras,
    LinearSDE,
    LogSNR,
    NoiseSource,
    OnGrid,
    Quadratic,
    ReverseSDE,
    Run,
    SharedNoise,
    Silence,
    Uniform,
)
from sdeplug.registry import registry
from sdeplug.testing import (
    exact_spectrum,
    grid_errors,
    marginal_law,
    parametrize_with_checks,
    relative_error,
    tune_grid,
)
from sdeplug.testing.bench import gaussian, gaussian_score
from sdeplug_exponential import (
    ERSDE,
    Adams,
    Auto,
    DPMpp2M,
    EDMHeun,
    ExpHeun,
    ExpMidpoint,
    ExpRK,
    ExpRK3,
    Method,
    Restart,
    SASolver,
    UniPC,
)

close = torch.testing.assert_close
SOLVERS = [entry.obj() for entry in registry().solvers().values() if entry.plugin == "exponential"]
STAGED = [ExpMidpoint(), ExpHeun(), ExpRK3()]  # exp-rk is one of these, with its default
VARIANTS = [
    Adams(1, 0),
    Adams(4, 5),
    Adams(3, 3, knee=0.3),
    UniPC(2),
    SASolver(3, 4),
    ERSDE(1),
    EDMHeun(1),
]
OWN_GRIDS = [EDMHeun(), Auto(), Restart()]
ALL_ASKED = [Adams(), DPMpp2M()]  # the others share their loop
ASKED = [each for each in SOLVERS if each not in (*STAGED, ExpRK(), *OWN_GRIDS, *ALL_ASKED)]


@parametrize_with_checks(ALL_ASKED, fast=True)
def test_conformance(check):
    check()


@checks_of(ASKED, kept=BRIEF)
def test_conformance_of_their_kin(check):
    check()


@checks_of(OWN_GRIDS, kept=BRIEF)
def test_conformance_on_grids_of_their_own(check):
    check()


@pytest.mark.slow
@checks_of([ExpRK(Method.HOCHBRUCK_OSTERMANN)])
def test_conformance_of_stages(check):
    check()


@pytest.mark.slow
@checks_of(STAGED, kept=BRIEF, shared=SHARED)
def test_conformance_of_other_tableaus(check):
    check()


@pytest.mark.slow
@checks_of(VARIANTS, kept=())
def test_conformance_of_variants(check):
    check()


@pytest.mark.slow
@checks_of([EDMHeun(4, churn=4.0), Auto(5), Auto(8, 0.0)], kept=())
def test_conformance_of_variants_on_grids_of_their_own(check):
    check()


@pytest.mark.slow
@sampled_checks_of([Adams(), SASolver()])
def test_conformance_by_sampling(check):
    check()


def loud():
    return Run(SharedNoise(0))


def error(by, sde, level=1.0):
    """Root mean square relative error of the exact law at eps."""
    reverse = ReverseSDE(sde, gaussian_score(sde), level)
    start, end = (marginal_law(gaussian(), sde, t) for t in (sde.T, sde.eps))
    law = exact_spectrum(lambda x, run: by.integrate(reverse, x, sde.T, sde.eps, run), start)
    return float(relative_error(law, end).square().mean().sqrt())


@pytest.mark.parametrize("level", [1.0, 0.0])
def test_with_pece_the_weak_order_is_two_with_noise_and_three_without(level):
    by = Adams(3, 4, pece=True)
    coarse, fine = (error(OnGrid(by, LogSNR(n)), VPSDE(), level) for n in (32, 64))
    assert math.log2(coarse / fine) > (1.8 if level else 2.8)


# Heun along q


class Listed(NoiseSource):
    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def normal(self, like):
        return self.numbers.pop(0).to(like.dtype)


@pytest.mark.parametrize("churn", [0.0, 3.0, 40.0])
def test_edm_heun_is_the_published_algorithm(churn):
    """Karras et al., algorithm 2, with S_noise = 1; its first step has no churn here."""
    sde, steps = EDMSDE(), 9
    score = GaussianScore(sde)
    sigmas = Karras(steps).times(sde.T, sde.eps, sde)
    noise, x = [normal(4, 3, seed=k) for k in range(1, steps)], normal(4, 3) * sde.T
    by = EDMHeun(steps, churn=churn, low=0.05, high=50.0)
    ours = by.integrate(ReverseSDE(sde, score), x, sde.T, sde.eps, Run(Listed(*noise)))

    def slope(x, sigma):
        t = torch.full((len(x),), sigma, dtype=torch.float64)
        return (x - (x + sigma**2 * score.in_float64(x, t))) / sigma

    for i in range(steps):
        sigma, end = sigmas[i], sigmas[i + 1]
        if churn and i > 0 and 0.05 <= sigma <= 50.0:
            up = sigma * (1.0 + min(churn / steps, math.sqrt(2.0) - 1.0))
            up = min(up, sde.T)
            x, sigma = x + math.sqrt(up**2 - sigma**2) * noise.pop(0), up
        first = slope(x, sigma)
        guess = x + (end - sigma) * first
        x = x + (end - sigma) * 0.5 * (first + slope(guess, end))
    close(ours, x, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("sde", [VPSDE(), VESDE()])
@pytest.mark.parametrize("churn", [0.0, 5.0])
def test_edm_heun_is_of_order_two_in_its_steps(sde, churn):
    coarse, fine = (error(EDMHeun(n, churn=churn), sde) for n in (96, 192))
    assert math.log2(coarse / fine) > 1.8
    assert fine < 0.02


def test_restart_keeps_the_law():
    """With fine steps down again what is left is of order two in both."""
    coarse, fine = (error(Restart(n, inner=n // 4), VPSDE()) for n in (64, 128))
    assert math.log2(coarse / fine) > 1.8
    assert fine < 0.02


def test_restart_promises_an_order_where_its_steps_down_again_grow_too():
    """A number of them that stays leaves a bias; unsaid, they are an eighth of all steps."""
    assert Restart(17).claims == Claims(
        order=2, steps="steps", evaluations=2 * (17 + 2 * 3), needs=LinearSDE
    )
    few, many = (error(Restart(n, inner=3), VPSDE()) for n in (128, 256))
    assert few == pytest.approx(many, rel=0.1)
    assert Restart(17, inner=3).claims.order is None
    assert Restart(17, inner=3, times=0).claims.order == 2


def test_restarts_forget():
    """Samples that start alike and have noise of their own end apart, and more so with l."""
    sde = VPSDE()
    x = torch.zeros(500, 1, dtype=torch.float64)
    spreads = [
        float(
            Restart(20)
            .integrate(
                ReverseSDE(sde, GaussianScore(sde), level), x, 1.0, 1e-3, Run(SharedNoise(0))
            )
            .std()
        )
        for level in (0.0, 0.5, 1.0)
    ]
    assert spreads[0] < 1e-12
    assert 0.0 < spreads[1] < spreads[2]


def test_an_interval_is_not_empty():
    with pytest.raises(ArgumentError, match="above low"):
        Restart(low=0.5, high=0.4)


# Stages


@pytest.mark.parametrize(("by", "c"), [(ExpMidpoint(), (0.5,)), (ExpRK3(), (1 / 3, 2 / 3))])
def test_without_noise_the_stages_are_those_of_dpm_solver(by, c):
    """DPM-Solver-2 and -3 in data prediction, written with phi functions; one step."""
    sde, t, s, x = VPSDE(), 0.6, 0.3, normal(3, 2)

    def score(x, t):
        return -x - 0.3 * torch.sin(2.0 * x)

    reverse = ReverseSDE(sde, score, 0.0)
    ours = by.integrate(reverse, x, t, s, Run(Silence()))
    start, end = 0.5 * sde.at(t).log_snr, 0.5 * sde.at(s).log_snr
    h = end - start
    inner = [start + each * h for each in c]
    times = sde.time_at(2.0 * torch.tensor(inner, dtype=torch.float64)).tolist()

    def euler(part, time, extra=0.0):
        ratio = sde.at(time).sigma / sde.at(t).sigma
        grown = sde.at(time).alpha * -math.expm1(-part * h)
        return ratio * x + grown * data + sde.at(time).alpha * extra

    def rate(part):
        return 1.0 + math.expm1(-part * h) / (part * h)

    data = reverse.denoised(x, t)
    stage = reverse.denoised(euler(c[0], times[0]), times[0])
    if len(c) == 2:
        bend = rate(c[1]) * c[1] / c[0] * (stage - data)
        stage = reverse.denoised(euler(c[1], times[1], bend), times[1])
    close(ours, euler(1.0, s, rate(1.0) / c[-1] * (stage - data)), rtol=1e-9, atol=1e-9)


# Grids


@pytest.mark.parametrize("sde", [VPSDE(), VESDE()])
def test_a_tuned_grid_is_the_best_of_those_that_were_measured(sde):
    measured = grid_errors(DPMpp2M(), sde, 16)
    assert [value for _, value in measured] == sorted(value for _, value in measured)
    assert tune_grid(DPMpp2M(), sde, 16) == measured[0][0]
    assert measured[0][1] < 0.7 * dict(measured)[LogSNR(16)]
    assert {type(grid) for grid, _ in measured} == {Focus, Karras, LogSNR, Quadratic, Uniform}


def test_a_budget_is_one_of_evaluations():
    grid = tune_grid(ExpMidpoint(), VPSDE(), 9)
    assert grid.length == 4
    with pytest.raises(ArgumentError, match="nfe = 1: must be at least 2"):
        tune_grid(ExpMidpoint(), VPSDE(), 1)
