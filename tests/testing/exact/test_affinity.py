"""The exact tier: affinity, the paired probe, and what does not apply."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import pytest
import torch
from common import normal
from testing.exact.usual import ONE, VP
from wrong import Claiming

from sdeplug import (
    Claims,
    Corrected,
    Denoise,
    Integrator,
    LogSNR,
    OnGrid,
    ReverseSDE,
    Run,
    SharedNoise,
)
from sdeplug.testing import (
    Affinity,
    CheckFailed,
    NotApplicable,
    affinity,
    exact_law,
    marginal_law,
    paired_laws,
)
from sdeplug.testing.bench import carried, gaussian, gaussian_score
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
from sdeplug_ode import Heun
from sdeplug_song import (
    Ancestral,
    AnnealedLangevin,
    EulerMaruyama,
    Hold,
    Langevin,
    ReverseDiffusion,
)

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
