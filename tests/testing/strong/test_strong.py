"""Tests of the strong-order checks."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
import torch
from wrong import Claiming, Wrong

from sdeplug import VESDE, VPSDE, Claims, Integrator, LogSNR, ReverseSDE, Run, SharedNoise
from sdeplug.testing import CheckFailed, NotApplicable
from sdeplug.testing.bench import SPECTRUM, gaussian, gaussian_score
from sdeplug.testing.exact import marginal_law
from sdeplug.testing.strong.paths import Paths, check_strong_limit, check_strong_order
from sdeplug_ode import Heun
from sdeplug_song import Ancestral, AnnealedLangevin, EulerMaruyama, ReverseDiffusion

RIGHT = [EulerMaruyama(), ReverseDiffusion(), Ancestral(), Ancestral(large_variance=True)]


@pytest.mark.parametrize("solver", RIGHT, ids=repr)
def test_right_claims_pass(solver):
    for check in (check_strong_order, check_strong_limit):
        finding = check(solver)
        assert "1 claimed" in finding.text
        assert len(finding.curves) == 3


@dataclass(frozen=True)
class Fresh(Integrator):
    """Euler-Maruyama whose noise is in law right, but turned over in every other step."""

    claims = Claims(order=1, strong_order=1, evaluations=1)

    def integrate(self, reverse, x, t, s, run):
        return self.begin(reverse, run)(x, t, s)

    def begin(self, reverse, run):
        signs = []

        def advance(x, t, s):
            signs.append(-signs[-1] if signs else 1.0)
            scale = signs[-1] * math.sqrt(t - s) * reverse.diffusion(t)
            return x - (t - s) * reverse.drift(x, t) + scale * run.noise.normal(x)

        return advance


def test_other_paths_fail():
    with pytest.raises(CheckFailed, match="its own limit"):
        check_strong_order(Fresh())
    with pytest.raises(CheckFailed, match="exact solution"):
        check_strong_limit(Fresh())


@pytest.mark.parametrize("wrong", [Wrong(noise=1.1), Wrong(drift=0.5), Wrong(score=0.9)], ids=repr)
def test_a_wrong_limit_fails_though_it_is_one(wrong):
    check_strong_order(wrong)
    with pytest.raises(CheckFailed, match="exact solution"):
        check_strong_limit(wrong)


def test_a_rate_that_is_not_there_fails():
    claims = replace(EulerMaruyama().claims, strong_order=1.5)
    for check in (check_strong_order, check_strong_limit):
        with pytest.raises(CheckFailed, match=r"1\.5 claimed"):
            check(Claiming(EulerMaruyama(), claims))


@dataclass(frozen=True)
class Twice(Integrator):
    """Draws a second time in one step."""

    claims = Claims(order=1, strong_order=1)

    def integrate(self, reverse, x, t, s, run):
        z = (run.noise.normal(x) + run.noise.normal(x)) / math.sqrt(2.0)
        return x - (t - s) * reverse.drift(x, t) + math.sqrt(t - s) * reverse.diffusion(t) * z


def test_two_draws_in_a_step_have_no_path():
    with pytest.raises(CheckFailed, match="more than once"):
        check_strong_order(Twice())


@dataclass(frozen=True)
class Increments(Integrator):
    """Euler-Maruyama by halves, whose noise is asked of a Brownian path."""

    claims = Claims(order=1, strong_order=1)

    def integrate(self, reverse, x, t, s, run):
        path, middle = run.noise.brownian(x, t, s), 0.5 * (t + s)
        for late, early in ((t, middle), (middle, s)):
            noise = path.increment(late, early)  # the other way round: -W is a path as well
            x = x - (late - early) * reverse.drift(x, late) + reverse.diffusion(late) * noise
        return x


def test_a_path_that_is_asked_between_the_steps():
    check_strong_order(Increments())
    check_strong_limit(Increments())
    by_steps, by_halves = (Paths(each, VPSDE(), 1.0) for each in (EulerMaruyama(), Increments()))
    assert by_halves.exact()[-1] < 0.8 * by_steps.exact()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("sde", [VPSDE(), pytest.param(VESDE(), marks=pytest.mark.thorough)])
def test_the_distance_is_that_of_simulated_paths(sde):
    """Against fine Euler-Maruyama on the increments of one path, drawn at random."""
    fine, coarse, rows = 2048, 32, 2000
    times = torch.tensor(LogSNR(fine).times(sde.T, sde.eps, sde), dtype=torch.float64)
    reverse, noise = ReverseSDE(sde, gaussian_score(sde)), SharedNoise(0)
    start, end = (marginal_law(gaussian(), sde, t) for t in (sde.T, sde.eps))
    like = torch.empty(rows, len(SPECTRUM), dtype=torch.float64)
    exact = noise.normal(like) * start.covariance.diagonal().sqrt() + start.mean
    sampled, sums, begin = exact.clone(), torch.zeros_like(like), float(times[0])

    class Given(SharedNoise):
        def normal(self, like):
            return self.told

    given, step = Given(0), EulerMaruyama()
    for k, (late, early) in enumerate(zip(times[:-1].tolist(), times[1:].tolist(), strict=True), 1):
        given.told = noise.normal(like)
        sums += math.sqrt(late - early) * given.told
        exact = step.integrate(reverse, exact, late, early, Run(given))
        if k % (fine // coarse) == 0:
            given.told = sums / math.sqrt(begin - early)
            sampled = step.integrate(reverse, sampled, begin, early, Run(given))
            sums, begin = torch.zeros_like(like), early
    unit = end.covariance.diagonal()
    found = float(((sampled - exact).square() / unit).mean().sqrt())
    assert found == pytest.approx(Paths(step, sde, 1.0, (coarse, 2 * coarse)).exact()[0], rel=0.05)


def test_what_does_not_apply_says_why():
    for solver, reason in ((Heun(), "no strong order"), (AnnealedLangevin(), "corrector")):
        with pytest.raises(NotApplicable, match=reason):
            check_strong_order(solver)
