"""Right solvers of unusual kinds are what they say, and the checks take them for it."""

from __future__ import annotations

import pytest
import torch

from sdeplug import (
    VPSDE,
    Corrected,
    LogSNR,
    NoiseSource,
    OnGrid,
    ReverseSDE,
    Run,
    SharedNoise,
    targets,
)
from sdeplug.testing import CheckFailed, NotApplicable
from sdeplug.testing.contract.halves import check_state_in_half_precision
from sdeplug.testing.contract.randomness import check_stochasticity
from sdeplug.testing.contract.sizes import check_sizes
from sdeplug.testing.contract.times import check_short_span
from sdeplug.testing.exact import check_corrector_invariance, check_own_tolerance
from sdeplug.testing.mutants import spoil, tolerances
from sdeplug.testing.mutants.heard import Scaled
from sdeplug.testing.mutants.joined import When
from sdeplug.testing.mutants.promises import Promise
from sdeplug.testing.mutants.right import EulerMaruyama
from sdeplug.testing.mutants.right_kinds import AdaptiveHeun, Underdamped
from sdeplug.testing.mutants.right_metropolis import (
    AdjustedLangevin,
    Hamiltonian,
    RandomWalk,
    at,
)
from sdeplug.testing.mutants.right_random import RandomisedMidpoint, RandomSubsteps, uniform
from sdeplug.testing.mutants.right_steps import OwnGrid, RowHeun
from sdeplug.testing.mutants.when import bfloat16
from sdeplug.testing.weak import check_nonlinear_order

SDE = VPSDE()
RANDOMISED = (
    RandomisedMidpoint(),
    RandomSubsteps(),
    Corrected(EulerMaruyama(), AdjustedLangevin()),
)


@pytest.mark.parametrize("solver", RANDOMISED, ids=repr)
def test_what_is_randomised_may_draw_at_stochasticity_0_if_it_says_so(solver):
    assert "as it claims" in check_stochasticity(solver).text
    with pytest.raises(CheckFailed, match="claim randomised=True"):
        check_stochasticity(spoil(solver, Promise("randomised", False)))


def test_who_says_to_be_randomised_and_is_not_is_told():
    with pytest.raises(CheckFailed, match="draws nothing at stochasticity 0"):
        check_stochasticity(spoil(EulerMaruyama(), Promise("randomised", True)))


def test_sweeps_make_a_predictor_randomised():
    assert not Corrected(EulerMaruyama(), Underdamped(), sweeps=0).claims.randomised
    assert Corrected(EulerMaruyama(), Underdamped()).claims.randomised


def test_a_corrector_without_a_bias_moves_the_state_over_a_short_span_too():
    with pytest.raises(NotApplicable, match="a corrector is at work"):
        check_short_span(Corrected(EulerMaruyama(), RandomWalk()))


def test_uniform_numbers_are_one_for_each_row_in_any_shape():
    x = torch.zeros(4000, 2, 3)
    share = uniform(SharedNoise(0), x)
    assert share.shape == (4000, 1, 1)
    assert share.dtype == torch.float64
    # Exactly uniform: mean 1/2 within 5 standard errors, and the largest of 4,000 near 1.
    assert float(share.mean()) == pytest.approx(0.5, abs=5.0 / (12.0 * 4000.0) ** 0.5)
    assert float(share.max()) > 0.99


@pytest.mark.parametrize("corrector", [RandomWalk(), AdjustedLangevin(), Hamiltonian()], ids=repr)
def test_the_ratio_is_that_of_the_densities(corrector):
    """The score along the line against log p of a mixture: at the size of a proposal."""
    target, t = targets.eight_gaussians(), 0.3
    reverse = ReverseSDE(SDE, target.score(SDE))
    x = target.sample(200, noise=SharedNoise(0), t=t, sde=SDE, dtype=torch.float64)
    here = at(reverse, x, t)
    there, _ = corrector._proposed(reverse, here, t, SharedNoise(1))
    forth, back = (
        corrector._ratio(reverse, *pair, t).flatten() for pair in ((here, there), (there, here))
    )
    wanted = target.log_prob(there.x, t, SDE) - target.log_prob(here.x, t, SDE)
    torch.testing.assert_close(forth, wanted, rtol=0, atol=2e-3)  # rounded by four nodes
    torch.testing.assert_close(forth, -back, rtol=0, atol=1e-12)


def test_the_proposals_of_mala_are_weighed_as_normal_densities():
    reverse, t, snr = ReverseSDE(SDE, lambda x, t: -x), 0.5, 0.4
    corrector, x = AdjustedLangevin(snr=snr), torch.randn(
        5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )  # fmt: skip
    here = at(reverse, x, t)
    there, odds = corrector._proposed(reverse, here, t, SharedNoise(0))
    length = 2.0 * (snr * SDE.at(t).sigma) ** 2
    spread = torch.tensor((2.0 * length) ** 0.5, dtype=torch.float64)

    def log_density(of, given):
        law = torch.distributions.Normal(given.x + length * given.score, spread)
        return law.log_prob(of.x).sum(1)

    wanted = log_density(here, there) - log_density(there, here)
    torch.testing.assert_close(odds.flatten(), wanted, rtol=0, atol=1e-12)


def test_leapfrog_steps_go_back_the_way_they_came():
    reverse, t = ReverseSDE(SDE, targets.eight_gaussians().score(SDE)), 0.4
    corrector = Hamiltonian()
    x = SharedNoise(0).normal(torch.empty(6, 2, dtype=torch.float64))
    here, momentum = at(reverse, x, t), SharedNoise(1).normal(x)
    there, after = corrector._leap(reverse, here, momentum, t, 0.1)
    back, before = corrector._leap(reverse, there, -after, t, 0.1)
    torch.testing.assert_close(back.x, x, rtol=0, atol=1e-12)
    torch.testing.assert_close(-before, momentum, rtol=0, atol=1e-12)


@pytest.mark.parametrize("steps", [1, 4])
def test_the_bias_of_underdamped_steps_is_its_floor(steps):
    """The narrowest direction has precision 1 / (sigma^2 + .), so that the floor is reached."""
    corrector = Underdamped(snr=0.3, steps=steps)
    text = check_corrector_invariance(corrector).text
    seen = float(text.split(" after one sweep, ")[1].split(" ")[0])
    assert 0.7 * corrector.claims.floor < seen <= corrector.claims.floor


def test_the_number_of_steps_of_a_row_is_not_that_of_its_neighbours():
    """Rows are evaluated as often as they take steps, and all of them arrive."""
    asked = []

    def score(x, t):
        asked.append(len(x))
        return -x

    x = torch.ones(300, 2, dtype=torch.float64)
    by = RandomSubsteps(most=3)
    by.integrate(ReverseSDE(SDE, score), x, 0.5, 0.4, Run(SharedNoise(0)))
    assert asked[0] == 300
    assert asked == sorted(asked, reverse=True)
    assert sum(asked) == pytest.approx(600, abs=5 * (300 * 2 / 3) ** 0.5)


def test_a_tolerance_that_is_loose_is_made_tighter():
    off = float(check_own_tolerance(AdaptiveHeun(tolerance=0.1)).text.removeprefix("off by "))
    assert 1e-3 < off < 7e-3


@pytest.mark.parametrize("corrector", [AdjustedLangevin(snr=0.8), RandomWalk(size=0.3)], ids=repr)
def test_rows_that_decide_otherwise_in_half_precision_are_not_off(corrector):
    assert check_state_in_half_precision(corrector).text
    with pytest.raises(CheckFailed, match="times that in float64"):
        check_state_in_half_precision(spoil(corrector, When(bfloat16, Scaled(1.5))))


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("right", [RandomisedMidpoint(), RandomSubsteps()], ids=repr)
def test_the_order_of_what_draws_a_time_is_measured_without_chance(right):
    """Three draws in a step: the quadrature has nodes for them.  Mutants of both fail it."""
    assert "observed" in check_nonlinear_order(right).text


@pytest.mark.parametrize("solver", [AdjustedLangevin(), Hamiltonian()], ids=repr)
def test_decisions_of_rows_do_not_follow_their_size(solver):
    assert "the standard deviation is off" in check_sizes(solver).text
    with pytest.raises(CheckFailed, match="standard deviation of all numbers"):
        check_sizes(spoil(solver, Scaled(1.1)))


def test_rows_take_steps_of_their_own_on_one_path():
    """A tolerance that is tighter has more steps; what a rejected step has seen comes again."""
    x = torch.ones(40, 2, dtype=torch.float64)
    reverse, steps = ReverseSDE(SDE, lambda x, t: -x), []
    for by in (RowHeun(tolerance=0.4), RowHeun(tolerance=0.1)):
        drawn = Counted(SharedNoise(0))
        y = by.integrate(reverse, x, 0.9, 0.1, Run(drawn))
        assert y.std() == pytest.approx(1.0, abs=0.4)
        steps.append(drawn.draws)
    assert steps[1] > 1.3 * steps[0] > 4


class Counted(NoiseSource):
    """Counts what is drawn."""

    def __init__(self, source):
        self.source, self.draws = source, 0

    def normal(self, like):
        self.draws += 1
        return self.source.normal(like)


def test_noise_that_is_drawn_anew_after_a_rejection_is_smaller():
    """Where the path is kept the variance is right, and where it is forgotten it is not."""
    x = SharedNoise(1).normal(torch.empty(4000, 1, dtype=torch.float64))
    reverse = ReverseSDE(SDE, lambda x, t: -x)  # of data that are N(0, 1): so is p_t
    right, wrong = (
        by.integrate(reverse, x, 0.5, 0.1, Run(SharedNoise(0))).var().item()
        for by in (RowHeun(), tolerances.NoiseDrawnAnew())
    )
    scatter = (2.0 / 4000.0) ** 0.5
    assert abs(right - 1.0) < 5.0 * scatter
    assert abs(wrong - 1.0) > 10.0 * scatter


def test_a_grid_of_its_own_is_that_grid():
    by, x = OwnGrid(EulerMaruyama(), steps=5), torch.ones(3, 2, dtype=torch.float64)
    reverse = ReverseSDE(SDE, lambda x, t: -x)
    own, other = (
        each.integrate(reverse, x, 0.8, 0.2, Run(SharedNoise(0)))
        for each in (by, OnGrid(EulerMaruyama(), LogSNR(5)))
    )
    assert torch.equal(own, other)
    assert by.claims.evaluations == 5
