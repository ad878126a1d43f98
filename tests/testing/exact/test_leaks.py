"""Leaks: the rate at which a wrong solver leaves the marginals is the one that theory says."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch

import sdeplug as sp
from sdeplug.testing import CheckFailed, NotApplicable
from sdeplug.testing.bench import SPECTRUM
from sdeplug.testing.drawn import DrawnSDE
from sdeplug.testing.exact.everywhere import (
    CHECKS,
    Ramp,
    check_levels,
    check_schedules,
    check_step_numbers,
)
from sdeplug.testing.exact.leaks import LEAK, Watched, places
from sdeplug.testing.exact.words import largest
from sdeplug.testing.mutants import EQUIVALENT, spoil
from sdeplug.testing.mutants.heard import Scaled
from sdeplug.testing.mutants.joined import Step, When
from sdeplug.testing.mutants.promises import Promise
from sdeplug.testing.mutants.right import (
    CLASSICAL,
    HEUN,
    AdamsBashforth,
    EulerMaruyama,
    ExponentialEuler,
    ExponentialMidpoint,
    Langevin,
    RowLangevin,
    RungeKutta,
)
from sdeplug.testing.mutants.seen import ScoreTimes

STEPPING = (EulerMaruyama(), ExponentialEuler(), ExponentialMidpoint())
FLOWING = (RungeKutta(HEUN), RungeKutta(CLASSICAL), AdamsBashforth())
WATCHED = (*STEPPING, *FLOWING)
SDES = (sp.VPSDE(), DrawnSDE(7, 5.0, 0.1))
LEVELS = (1.0, 0.3, 2.0, Ramp(0.2, 1.8, 5.0))


def share_of_noise(place):
    """sigma^2 over the variances of p_t, axis by axis."""
    now = place.sde.at(place.t)
    variances = now.alpha**2 * torch.tensor(SPECTRUM, dtype=torch.float64) + now.sigma**2
    return now.sigma**2 / variances


@pytest.mark.parametrize("solver", WATCHED, ids=repr)
@pytest.mark.parametrize("sde", SDES, ids=repr)
def test_a_right_solver_does_not_leak(solver, sde):
    for level in LEVELS[:1] if solver in FLOWING else LEVELS:
        for place in places(sde, level, -2.0, 2.0):
            for steps in (1, 2, 5):
                assert float(Watched.of(solver).leak(place, steps).abs().max()) <= 0.3 * LEAK


@pytest.mark.parametrize("solver", STEPPING, ids=repr)
@pytest.mark.parametrize("sde", SDES, ids=repr)
@pytest.mark.parametrize("level", LEVELS, ids=str)
def test_noise_that_is_off_leaks_as_the_ito_formula_says(solver, sde, level):
    (place,) = places(sde, level, 1.0)
    l_squared = (level(place.t) if callable(level) else level) ** 2
    # dV = l^2 g^2 |dt|, and g^2 |dt| is sigma^2 for each nat of log-SNR.
    wanted = 0.5 * (1.1**2 - 1.0) * l_squared * share_of_noise(place)
    deviations, means = Watched.of(spoil(solver, Scaled(1.1))).leak(place, 2).chunk(2)
    assert torch.allclose(deviations, wanted, atol=0.3 * LEAK)
    assert float(means.abs().max()) <= 0.01 * LEAK


@pytest.mark.parametrize("solver", WATCHED, ids=repr)
def test_a_score_that_is_off_leaks_as_its_pull_says(solver):
    (place,) = places(SDES[1], 1.0, 1.0)
    pull = 0.5 if solver in FLOWING else 1.0  # (1 + l^2) / 2
    wanted = -0.02 * pull * share_of_noise(place)
    deviations, _ = Watched.of(spoil(solver, ScoreTimes(1.02))).leak(place, 2).chunk(2)
    assert torch.allclose(deviations, wanted, atol=0.3 * LEAK)


class Shifted(EulerMaruyama):
    """Its drift has a constant too much."""

    def _drift(self, reverse, x, t, s):
        return super()._drift(reverse, x, t, s) + 0.01 * reverse.diffusion(t) ** 2


def test_a_mean_that_goes_wrong_leaks_and_is_told():
    (place,) = places(SDES[0], 1.0, 1.0)
    told = largest(Watched.of(Shifted()).leak(place, 3))
    assert "the mean along the axis of variance 0.01 is off by" in told


def test_a_solver_that_makes_its_own_steps_leaks_in_the_limit_of_many():
    (place,) = places(SDES[0], 1.0, 1.0)
    for noiseless_last in (False, True):
        right, wrong = (
            Watched.of(sp.OnGrid(each, sp.LogSNR(16), noiseless_last)).leak(place, 1)
            for each in (EulerMaruyama(), spoil(EulerMaruyama(), Scaled(1.05)))
        )
        assert float(right.abs().max()) <= LEAK
        assert float(wrong.abs().max()) >= 5.0 * LEAK


@pytest.mark.parametrize("check", CHECKS, ids=lambda each: each.__name__)
@pytest.mark.parametrize("solver", WATCHED, ids=repr)
def test_right_solvers_pass_or_say_why_not(solver, check):
    left_alone = isinstance(solver, sp.FlowIntegrator) and check is check_levels
    with pytest.raises(NotApplicable) if left_alone else nullcontext():
        check(solver)


@pytest.mark.parametrize("variant", EQUIVALENT, ids=lambda each: each.name)
def test_equivalent_variants_are_not_accused(variant):
    for check in CHECKS:
        if variant.name == "two-point-noise":
            with pytest.raises(NotApplicable, match="not affine"):
                check(variant.solver)
        elif not (isinstance(variant.solver, sp.FlowIntegrator) and check is check_levels):
            check(variant.solver)


def test_a_corrector_is_held_to_its_floor_on_other_schedules():
    check_schedules(Langevin())
    with pytest.raises(CheckFailed, match="more than its floor"):
        check_schedules(spoil(Langevin(), Scaled(1.02)))


def test_a_bias_is_held_to_its_floor_on_other_schedules():
    check_schedules(sp.Corrected(EulerMaruyama(), Langevin()))
    with pytest.raises(CheckFailed, match="bias is over its floor"):
        check_schedules(sp.Corrected(spoil(EulerMaruyama(), Scaled(1.2)), Langevin()))


@pytest.mark.parametrize("solver", [RowLangevin(), sp.Denoise(), sp.solver("song/hold")], ids=repr)
@pytest.mark.parametrize("check", CHECKS, ids=lambda each: each.__name__)
def test_what_promises_no_law_at_an_end_is_left_alone(solver, check):
    with pytest.raises(NotApplicable):
        check(solver)


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 17])
@pytest.mark.parametrize("solver", [EulerMaruyama(), AdamsBashforth()], ids=repr)
def test_one_wrong_step_of_any_number_is_seen(solver, number):
    mistake = ScoreTimes(1.1)
    with pytest.raises(CheckFailed, match="steps"):
        check_step_numbers(spoil(solver, When(_Number(number), mistake)))


class _Number:
    """in one step."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, step: Step) -> bool:
        return step.number == self.number


@pytest.mark.parametrize("number", [31, 32, 37])
def test_a_lost_last_step_of_many_is_seen(number):
    def lost(step):
        """in the last."""
        return step.last and step.number == number

    with pytest.raises(CheckFailed, match="the number of steps matters"):
        check_step_numbers(spoil(RungeKutta(HEUN), When(lost, ScoreTimes(0.0))))


def test_a_fifth_of_a_per_cent_of_noise_is_seen_on_unknown_schedules_and_levels():
    wrong = spoil(EulerMaruyama(), Scaled(1.002))
    for check in (check_levels, check_schedules):
        with pytest.raises(CheckFailed, match="the standard deviation along the axis"):
            check(wrong)


def test_one_level_is_not_asked_at_others():
    alone = spoil(EulerMaruyama(), Promise("level", 0.5))
    with pytest.raises(NotApplicable, match=r"stochasticity 0\.5 alone"):
        check_levels(alone)
    check_schedules(alone)
