"""Tests of the exact tier: laws against closed forms, and solvers that are subtly wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import pytest
import torch
from common import normal
from hypothesis import given
from hypothesis import strategies as st
from wrong import Claiming, Wrong

from sdeplug import (
    VESDE,
    VPSDE,
    Claims,
    Corrected,
    Corrector,
    Denoise,
    Integrator,
    Karras,
    Leg,
    LogSNR,
    OnGrid,
    Pipeline,
    ReverseSDE,
    Run,
    SharedNoise,
    Uniform,
)
from sdeplug.noise import Silence
from sdeplug.testing import (
    Affinity,
    CheckFailed,
    Law,
    NotApplicable,
    affinity,
    counted_columns,
    exact_law,
    exact_spectrum,
    marginal_law,
    paired_laws,
    relative_error,
    through,
)
from sdeplug.testing.bench import carried, gaussian, gaussian_score, rotated
from sdeplug.testing.exact import (
    check_affinity,
    check_constant,
    check_corrector_bias,
    check_corrector_invariance,
    check_floor,
    check_marginals,
    check_own_tolerance,
    check_rotation,
)
from sdeplug.testing.exact.convergence import STEPS
from sdeplug_ode import AdamsBashforth, Euler, Heun
from sdeplug_song import (
    Ancestral,
    AnnealedLangevin,
    EulerMaruyama,
    Hold,
    Langevin,
    ReverseDiffusion,
)

VP = VPSDE()
ONE = Claims(order=1, evaluations=1)


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


# --- right solvers pass ----------------------------------------------------------------------

RIGHT = [
    EulerMaruyama(),
    Ancestral(large_variance=True),
    Heun(),
    AdamsBashforth(3),
]


@pytest.mark.parametrize("solver", RIGHT, ids=repr)
def test_right_solvers_pass(solver):
    finding = check_marginals(solver)
    assert len(finding.curves) >= 7
    assert len({curve.label for curve in finding.curves}) >= 5  # SDEs
    assert f"{solver.claims.order:g} claimed" in finding.text
    assert "variance 0.0001" in finding.text
    check_rotation(solver)
    assert check_affinity(solver).text == "affine"
    if solver.claims.stochastic:
        check_constant(solver)


@pytest.mark.parametrize(
    "solver", [OnGrid(Heun(), Karras(10)), OnGrid(EulerMaruyama(), LogSNR(10))], ids=repr
)
def test_a_grid_of_its_own_is_refined(solver):
    finding = check_marginals(solver)
    assert {curve.steps[:3] for curve in finding.curves} == {STEPS}


@pytest.mark.parametrize("corrector", [AnnealedLangevin(), AnnealedLangevin(0.05, steps=2)])
@pytest.mark.thorough
def test_predictor_correctors_stay_within_their_floor(corrector):
    check_floor(Corrected(ReverseDiffusion(), corrector))
    check_floor(Corrected(Ancestral(), corrector, before=True))
    check_corrector_invariance(corrector)
    check_corrector_bias(corrector)


@pytest.mark.thorough
@pytest.mark.slow
def test_composites_within_composites():
    inner = OnGrid(EulerMaruyama(), Uniform(2))
    check_floor(Corrected(inner, AnnealedLangevin()))
    check_floor(OnGrid(Corrected(Ancestral(), AnnealedLangevin()), Karras(10)))


# --- wrong solvers fail ----------------------------------------------------------------------


def test_the_mutant_is_right_without_its_faults():
    check_marginals(Wrong())
    check_constant(Wrong())


@pytest.mark.parametrize(
    "wrong",
    [Wrong(drift=0.5), Wrong(noise=1.01), Wrong(noise=1.001), Wrong(noise=0.999), Wrong(score=0.5)],
    ids=repr,
)
def test_a_wrong_limit_fails(wrong):
    with pytest.raises(CheckFailed, match=r"limit|order") as failure:
        check_marginals(wrong)
    assert failure.value.curves


def test_a_score_of_the_step_before_fails_by_its_constant():
    check_marginals(Wrong(late=True))  # it is consistent, and of order 1
    with pytest.raises(CheckFailed, match="earlier or later step"):
        check_constant(Wrong(late=True))


@dataclass(frozen=True)
class Loud(Integrator):
    """A right solver whose noise is a little too loud."""

    solver: Integrator
    factor: float = 1.001
    claims = ONE

    def integrate(self, reverse, x, t, s, run):
        mean = self.solver.integrate(reverse, x, t, s, Run(Silence()))
        return mean + self.factor * (self.solver.integrate(reverse, x, t, s, run) - mean)


@pytest.mark.parametrize("solver", [Ancestral(), ReverseDiffusion()])
def test_noise_that_is_too_loud_fails(solver):
    with pytest.raises(CheckFailed, match=r"limit|order"):
        check_marginals(Loud(solver))


@pytest.mark.parametrize(
    "wrong",
    [
        Claiming(Euler(), Claims(order=2)),
        Claiming(Heun(), Claims(order=3)),
        Claiming(AdamsBashforth(3), Claims(order=4)),
        Claiming(EulerMaruyama(), Claims(order=2)),
    ],
    ids=repr,
)
def test_an_order_that_is_not_there_fails(wrong):
    with pytest.raises(CheckFailed):
        check_marginals(wrong)


@pytest.mark.parametrize("snr", [0.05, 0.16])
def test_a_hidden_corrector_is_seen(snr):
    wrong = Claiming(Corrected(ReverseDiffusion(), AnnealedLangevin(snr)), ONE)
    with pytest.raises(CheckFailed):
        check_marginals(wrong)


def test_a_floor_that_is_too_low_fails():
    inner = Corrected(ReverseDiffusion(), AnnealedLangevin())
    with pytest.raises(CheckFailed, match="its floor"):
        check_floor(Claiming(inner, replace(inner.claims, floor=0.5 * inner.claims.floor)))


@dataclass(frozen=True)
class WrongLangevin(Corrector):
    """Langevin steps whose noise has a wrong size."""

    snr: float = 0.16
    noise: float = math.sqrt(2.0)
    claims = AnnealedLangevin().claims

    def correct(self, reverse, x, t, run):
        length = 2.0 * (self.snr * reverse.forward.at(t).sigma) ** 2
        step = self.noise * math.sqrt(length)
        return x + length * reverse.score(x, t) + step * run.noise.normal(x)


def test_a_corrector_that_moves_p_t_fails():
    check_corrector_invariance(WrongLangevin())
    check_corrector_bias(WrongLangevin())
    for noise in (1.0, 1.01 * math.sqrt(2.0)):
        with pytest.raises(CheckFailed, match="over its floor"):
            check_corrector_invariance(WrongLangevin(noise=noise))
        with pytest.raises(CheckFailed, match="not to a quarter"):
            check_corrector_bias(WrongLangevin(noise=noise))


# --- affinity and the paired probe -----------------------------------------------------------

PAPER = Langevin(batch_mean=True)


@pytest.mark.parametrize(
    ("by", "wanted"),
    [
        (OnGrid(EulerMaruyama(), LogSNR(8)), Affinity.AFFINE),
        (OnGrid(Corrected(EulerMaruyama(), PAPER), LogSNR(8)), Affinity.PAIRED),
        (OnGrid(Corrected(EulerMaruyama(), Langevin()), LogSNR(8)), Affinity.NONE),
    ],
    ids=["affine", "paired", "none"],
)
def test_the_class_of_a_sampler(by, wanted):
    reverse = ReverseSDE(VP, gaussian_score(VP))
    assert affinity(partial(carried, by, reverse, VP.eps), 5) is wanted


def test_claims_of_affinity_are_checked():
    lying = Claiming(Corrected(EulerMaruyama(), PAPER), replace(ONE, floor=math.inf))
    with pytest.raises(CheckFailed, match="claim affine=False"):
        check_affinity(lying)
    modest = Claiming(EulerMaruyama(), replace(ONE, affine=False))
    assert "which it does not claim" in check_affinity(modest).text
    assert check_affinity(PAPER).text == Affinity.PAIRED.value
    assert check_affinity(Langevin()).text == Affinity.NONE.value
    check_affinity(Denoise())


@pytest.mark.parametrize("apart", [True, False])
def test_the_paired_probe_agrees_with_impulses(apart):
    by = OnGrid(Corrected(Ancestral(), AnnealedLangevin()), LogSNR(12))
    sampler = partial(carried, by, ReverseSDE(VP, gaussian_score(VP)), VP.eps)
    start = marginal_law(gaussian(), VP, VP.T)
    wanted = exact_law(sampler, start)
    for law in paired_laws(sampler, start, rows=64, apart=apart):
        torch.testing.assert_close(law.mean, wanted.mean, rtol=0, atol=1e-10)
        torch.testing.assert_close(law.covariance, wanted.covariance, rtol=0, atol=1e-10)


def test_the_paired_probe_agrees_with_samples():
    by = OnGrid(Corrected(ReverseDiffusion(), PAPER), LogSNR(16))
    reverse, n = ReverseSDE(VP, gaussian_score(VP)), 32768
    start = marginal_law(gaussian(), VP, VP.T)
    laws = paired_laws(partial(carried, by, reverse, VP.eps), start, apart=True)
    stds = torch.stack([law.covariance.diagonal().sqrt() for law in laws])
    scatter = stds.std(0) / stds.mean(0)
    assert float(scatter.max()) < 3e-3
    x = start.mean + normal(n, 5, seed=5) * start.covariance.diagonal().sqrt()
    with torch.no_grad():
        y = by.integrate(reverse, x, VP.T, VP.eps, Run(SharedNoise(9)))
    gap = (y.std(0) / stds.mean(0) - 1.0).abs()
    assert bool(gap.lt(5.0 / math.sqrt(2 * n) + 5.0 * scatter).all())


def test_the_paper_rule_is_judged_in_pairs():
    finding = check_floor(Corrected(ReverseDiffusion(), PAPER))
    assert "from seed to seed" in finding.text
    assert "from seed to seed" in check_corrector_invariance(PAPER).text
    check_corrector_bias(PAPER)


@dataclass(frozen=True)
class Controlled(Integrator):
    """Heun steps of a length that follows the error of the whole batch."""

    tolerance: float = 1e-3
    factor: float = 1.0
    claims = Claims(stochastic=False, affine=False, couples_batch=True)

    def integrate(self, reverse, x, t, s, run):
        h = 0.01 * (t - s)
        while t > s:
            h = min(h, t - s)
            early = s if h == t - s else t - h
            first = reverse.flow(x, t)
            second = reverse.flow(x - h * first, early)
            error = 0.5 * h * float(((second - first) / (1.0 + x.abs())).square().mean().sqrt())
            if error <= self.tolerance:
                x, t = x - self.factor * 0.5 * h * (first + second), early
            h *= min(2.0, max(0.3, 0.9 * math.sqrt(self.tolerance / max(error, 1e-12))))
        return x


@dataclass(frozen=True)
class Clipped(Integrator):
    """Euler-Maruyama whose states stay in a box."""

    box: float = 1.0
    claims = Claims(order=1, affine=False, evaluations=1)

    def integrate(self, reverse, x, t, s, run):
        return EulerMaruyama().integrate(reverse, x, t, s, run).clamp(-self.box, self.box)


def test_a_modest_claim_does_not_hide_a_solver_from_its_exact_law():
    wide = Clipped(box=math.inf)
    assert "does not claim" in check_affinity(wide).text
    assert "order" in check_marginals(wide).text


def test_a_solver_that_chooses_its_steps_is_judged_in_pairs():
    assert "off by" in check_own_tolerance(Controlled()).text
    assert check_affinity(Controlled()).text == Affinity.PAIRED.value
    with pytest.raises(CheckFailed, match="p_eps is off"):
        check_own_tolerance(Controlled(factor=0.95))


# --- what does not apply is told -------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "solver", "reason"),
    [
        (check_marginals, AnnealedLangevin(), "corrector"),
        (check_marginals, Clipped(), "not affine"),
        (check_rotation, Corrected(Ancestral(), Langevin()), "not affine"),
        (check_marginals, Corrected(Ancestral(), AnnealedLangevin()), "declares a bias"),
        (check_marginals, Denoise(), "no order"),
        (check_constant, Heun(), "order 1"),
        (check_rotation, Denoise(), "jumps"),
        (check_floor, Corrected(Ancestral(), Langevin()), "from row to row"),
        (check_floor, EulerMaruyama(), "consistent"),
        (check_floor, Hold(), "no order"),
        (check_own_tolerance, EulerMaruyama(), "affine"),
        (check_own_tolerance, Corrected(Ancestral(), Langevin()), "from row to row"),
        (check_corrector_invariance, Langevin(), "from row to row"),
        (check_corrector_invariance, Heun(), "integrator"),
        (check_corrector_bias, Langevin(), "from row to row"),
    ],
    ids=lambda each: each.__name__ if callable(each) else None,
)
def test_what_does_not_apply_says_why(check, solver, reason):
    with pytest.raises(NotApplicable, match=reason):
        check(solver)
