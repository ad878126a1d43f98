"""Samplers for few steps: the published updates, their memory, and what they cost."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from common import GaussianScore, normal

from sdeplug import (
    VPSDE,
    AnalyticFirst,
    ArgumentError,
    At,
    Counted,
    Karras,
    Leg,
    LogSNR,
    OnGrid,
    Pipeline,
    ReverseSDE,
    Run,
    Silence,
)
from sdeplug.testing import exact_spectrum, marginal_law, relative_error
from sdeplug.testing.bench import alternating, gaussian, gaussian_score
from sdeplug_exponential import DDIM, DEIS, FDDIM, IPNDM, GradientEstimation

close = torch.testing.assert_close
QUIET = Run(Silence())
SDE = VPSDE()
TIMES = alternating(9, SDE.T, 0.01, SDE).times(SDE.T, 0.01, SDE)
X = normal(4, 3)
BASHFORTH = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)


def bent(x, t):
    """A score that is not affine."""
    return -x - 0.3 * torch.sin(2.0 * x + t[:, None])


def ours(by, times=TIMES, score=bent, x=X):
    reverse = ReverseSDE(SDE, score, 1.0)  # they follow the flow, whatever the stochasticity
    return OnGrid(by, At(tuple(times[1:-1]))).integrate(reverse, x, times[0], times[-1], QUIET)


class Levels:
    """y = x / alpha, r = sigma / alpha and the noise that the model sees, as papers have them."""

    def __init__(self, times=TIMES):
        at = [SDE.at(t) for t in times]
        self.times, self.alpha = times, [each.alpha for each in at]
        self.sigma = [each.sigma for each in at]
        self.r = [s / a for s, a in zip(self.sigma, self.alpha, strict=True)]
        self.y = X / self.alpha[0]

    def noise(self, y, n):
        t = torch.full((4,), self.times[n], dtype=torch.float64)
        return -self.sigma[n] * bent(self.alpha[n] * y, t)


def fixed(rows):
    """y' = y + (r' - r) sum_j c_j d_j, the first steps with fewer d."""
    levels, known = Levels(), []
    y = levels.y
    for n in range(len(levels.times) - 1):
        known = [levels.noise(y, n), *known][: len(rows)]
        slope = sum(c * d for c, d in zip(rows[len(known) - 1], known, strict=True))
        y = y + (levels.r[n + 1] - levels.r[n]) * slope
    return levels.alpha[-1] * y


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_ipndm_is_the_published_update(order):
    close(ours(IPNDM(order)), fixed(BASHFORTH[:order]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("gamma", [2.0, 1.3])
def test_gradient_estimation_is_the_published_update(gamma):
    wanted = fixed(((1.0,), (gamma, 1.0 - gamma)))
    close(ours(GradientEstimation(gamma)), wanted, rtol=1e-12, atol=1e-12)


def test_gradient_estimation_has_ddim_and_ipndm_in_it():
    close(ours(GradientEstimation(1.0)), ours(DDIM()), rtol=1e-11, atol=1e-11)
    close(ours(GradientEstimation(1.5)), ours(IPNDM(2)), rtol=1e-13, atol=1e-13)
    assert GradientEstimation().gamma == 2.0


def forward(order):
    """F-DPM-Solver in the variables of the authors' code: alpha-bar, and the noise predicted.

    The noise is a polynomial in log(alpha / sigma); integrals by a recursion.
    """
    levels, known = Levels(), []
    x = X
    lam = [-math.log(r) for r in levels.r]
    known.append(levels.noise(levels.y, 0))
    for n in range(len(lam) - 1):
        count = min(n + 1, order)
        places = torch.tensor([lam[n - k] - lam[n] for k in range(count)], dtype=torch.float64)
        powers = torch.stack([places**k for k in range(count)], 1)
        slopes = torch.linalg.solve(powers, torch.stack(known[:count]).reshape(count, -1))
        h, phi = lam[n + 1] - lam[n], []
        for k in range(count):
            phi.append((k * phi[-1] if k else 1.0) - h**k * math.exp(-h))
        total = (torch.tensor(phi, dtype=torch.float64) @ slopes).reshape(x.shape)
        bar, old = levels.alpha[n + 1], levels.alpha[n]
        guess = bar / old * x - bar * levels.r[n] * total
        d = levels.noise(guess / bar, n + 1)
        data = (guess - levels.sigma[n + 1] * d) / bar
        ratio = levels.sigma[n + 1] / levels.sigma[n]
        x = ratio * x - (ratio * old - bar) * data
        known = [d, *known]
    return x


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_f_ddim_is_the_published_update(order):
    close(ours(FDDIM(order)), forward(order), rtol=1e-10, atol=1e-10)


def test_the_leading_errors_of_ddim_and_f_ddim_have_opposite_signs():
    """On a Gaussian of variance 1/4, where both are known to be of first order: what one lacks,
    the other has too much of."""
    reverse = ReverseSDE(SDE, gaussian_score(SDE), 0.0)
    start, end = (marginal_law(gaussian(), SDE, t) for t in (SDE.T, SDE.eps))

    def error(by, steps):
        grid = OnGrid(by, LogSNR(steps))
        law = exact_spectrum(lambda x, run: grid.integrate(reverse, x, SDE.T, SDE.eps, run), start)
        return relative_error(law, end)

    one, other = error(DDIM(), 400), error(FDDIM(), 400)
    close(other, -one, rtol=0.1, atol=1e-4)
    for by, coarse in ((DDIM(), one), (FDDIM(), other)):
        close(error(by, 800), 0.5 * coarse, rtol=0.05, atol=1e-5)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_ipndm_is_of_order_two_where_steps_change_little_and_of_order_one_elsewhere(order):
    reverse = ReverseSDE(SDE, gaussian_score(SDE), 0.0)
    start, end = (marginal_law(gaussian(), SDE, t) for t in (SDE.T, SDE.eps))

    def error(grid):
        by = OnGrid(IPNDM(order), grid)
        law = exact_spectrum(lambda x, run: by.integrate(reverse, x, SDE.T, SDE.eps, run), start)
        return float(relative_error(law, end).square().mean().sqrt())

    smooth = [error(LogSNR(steps)) for steps in (300, 600)]
    rough = [error(alternating(steps, SDE.T, SDE.eps, SDE)) for steps in (300, 600)]
    assert math.log2(smooth[0] / smooth[1]) > 1.85
    assert 0.8 < math.log2(rough[0] / rough[1]) < 1.3


FIXED = [IPNDM(), IPNDM(2), GradientEstimation()]


def counted(by, times, end):
    score = Counted(bent)
    out = ours(by, [*times, end], score)
    return out, score.nfe


@pytest.mark.parametrize(("by", "before"), [*((each, 0) for each in FIXED), (FDDIM(), 1)])
def test_one_evaluation_a_step_and_the_memory_ends_with_the_run(by, before):
    out, nfe = counted(by, TIMES[:-1], TIMES[-1])
    assert nfe == len(TIMES) - 1 + before
    assert torch.equal(ours(by), out)


@pytest.mark.parametrize("by", [*FIXED, FDDIM(), FDDIM(3)], ids=repr)
def test_two_runs_at_once_do_not_share_memory_and_a_moved_state_starts_afresh(by):
    reverse = ReverseSDE(SDE, bent)
    one, other = by.begin(reverse, QUIET), by.begin(reverse, QUIET)
    x, z = X, X + 1.0
    for late, early in pairwise(TIMES[:6]):
        x, z = one(x, late, early), other(z, late, early)
    assert torch.equal(x, ours(by, TIMES[:6]))
    moved = one(x + 0.1, TIMES[5], TIMES[6])
    assert torch.equal(moved, by.integrate(reverse, x + 0.1, TIMES[5], TIMES[6], QUIET))


@pytest.mark.parametrize("by", FIXED, ids=repr)
def test_a_step_to_no_noise_is_the_denoised_state(by):
    reverse = ReverseSDE(SDE, bent)
    wanted = reverse.denoised(ours(by), TIMES[-1])
    close(ours(by, [*TIMES, 0.0]), wanted, rtol=1e-12, atol=1e-12)


def test_the_last_data_that_f_ddim_saw_are_the_sample_and_cost_nothing():
    seen = []

    def score(x, t):
        seen.append((x.clone(), float(t[0])))
        return bent(x, t)

    out = ours(FDDIM(), [*TIMES, 0.0], score)
    (guess, t), at = seen[-1], SDE.at(TIMES[-1])
    assert (len(seen), t) == (len(TIMES), TIMES[-1])
    score_there = bent(guess, torch.full((4,), t, dtype=torch.float64))
    close(out, (guess + at.sigma**2 * score_there) / at.alpha, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("by", "end"), [(IPNDM(2), 7), (FDDIM(), 7)])
def test_an_analytic_first_step_is_an_evaluation_less(by, end):
    score = AnalyticFirst(GaussianScore(SDE), SDE, 0.4, 0.5)
    legs = (Leg(SDE.eps, OnGrid(by, Karras(7))),)
    nfe = [
        Pipeline(ReverseSDE(SDE, model, 0.0), legs).sample((2, 3), seed=0).nfe
        for model in (score.score_model, score)
    ]
    assert nfe == [end + (by == FDDIM()), end - (by != FDDIM())]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("by", [IPNDM(3), GradientEstimation(), FDDIM(2), DEIS(2)], ids=repr)
def test_a_model_may_write_its_answers_into_one_tensor(by, dtype):
    kept = torch.empty(4, 3, dtype=dtype)

    def thrifty(x, t):
        return kept.copy_(bent(x, t))

    x = X.to(dtype)
    before = x.clone()
    assert torch.equal(ours(by, score=thrifty, x=x), ours(by, x=x))
    assert torch.equal(x, before)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: IPNDM(5), "order = 5.*at most 4"),
        (lambda: IPNDM(0), "order = 0.*at least 1"),
        (lambda: GradientEstimation(0.5), "gamma = 0.5.*at least 1"),
        (lambda: FDDIM(5), "predictor = 5.*at most 4"),
    ],
)
def test_other_options_are_refused(make, words):
    with pytest.raises(ArgumentError, match=words):
        make()
