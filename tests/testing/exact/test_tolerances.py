"""What follows a tolerance is judged by whether its errors do."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch

from sdeplug import Claims, Integrator, LogSNR, OnGrid, option
from sdeplug.solvers import tolerances, with_first_step, with_tolerances
from sdeplug.testing import CheckFailed, Outcome, Result, Unproven
from sdeplug.testing.claimed import follows_its_tolerance, in_few_steps, tighter
from sdeplug.testing.doors.proof import proven
from sdeplug.testing.exact import check_own_tolerance
from sdeplug.testing.exact.tolerances import demand_tolerance
from sdeplug.testing.mutants import spoil
from sdeplug.testing.mutants.promises import Promise
from sdeplug.testing.mutants.right import EulerMaruyama
from sdeplug.testing.mutants.right_kinds import AdaptiveHeun
from sdeplug.testing.mutants.seen import ScoreTimes


@dataclass(frozen=True)
class Following(Integrator):
    """It has the tolerances that are asked for, and nothing else."""

    rtol: float = option(1e-2, help="relative", gt=0.0)
    atol: float = option(4e-2, help="absolute", gt=0.0, le=0.2)
    other: float = 1.0
    claims = Claims(affine=False, couples_batch=True)

    def integrate(self, reverse, x, t, s, run):
        raise NotImplementedError


@dataclass(frozen=True)
class Nameless(Following):
    rtol: float | None = None
    atol: float | None = None


@dataclass(frozen=True)
class Beginning(Following):
    first_step: float | None = None


@dataclass(frozen=True)
class Biased(Following):
    @property
    def claims(self) -> Claims:
        return Claims(affine=False, couples_batch=True, floor=2.0 * self.rtol)


def measured(law, chance=0.0):
    """Errors of a law, the larger that of the mean, and the tolerances that they were asked at."""
    asked = []

    def errors(by):
        asked.append(by.rtol)
        return torch.tensor([0.0] * 9 + [-law(by.rtol)], dtype=torch.float64), chance

    return errors, asked


def test_an_error_that_falls_is_followed_until_it_is_small():
    errors, asked = measured(lambda tolerance: 3.0 * tolerance**0.5)
    assert demand_tolerance(Following(), errors, "VP") == pytest.approx(0.3 * 2.0**-6)
    assert asked == [1e-2 * 4.0**-k for k in range(7)]


def test_what_chance_adds_is_let_pass():
    errors, asked = measured(lambda tolerance: 0.008, chance=0.0011)
    assert demand_tolerance(Following(), errors, "VP") == pytest.approx(0.008)
    assert len(asked) == 1


@pytest.mark.parametrize("size", [0.0075, 0.5])
def test_an_error_that_stays_is_wrong_however_tight_the_tolerance(size):
    errors, asked = measured(lambda tolerance: size)
    with pytest.raises(CheckFailed, match=r"on VP, with tolerances 0\.25 times as large: the "):
        demand_tolerance(Following(1e-4, 1e-4), errors, "VP")
    assert len(asked) == 2


def test_a_law_that_is_no_number_is_not_followed():
    errors, asked = measured(lambda tolerance: math.nan)
    with pytest.raises(CheckFailed, match=r"on VP: the mean .* is nan"):
        demand_tolerance(Following(1e-4, 1e-4), errors, "VP")
    assert len(asked) == 1


def test_an_error_that_falls_too_slowly_is_not_followed_for_ever():
    errors, asked = measured(lambda tolerance: tolerance**0.18)
    with pytest.raises(CheckFailed, match=r"with tolerances 0\.00024 times as large"):
        demand_tolerance(Following(), errors, "VP")
    assert len(asked) == 7


def test_an_error_that_no_loose_tolerance_is_felt_by_is_followed_on():
    errors, _ = measured(lambda tolerance: 0.03 if tolerance > 1e-3 else 0.001)
    assert demand_tolerance(Following(), errors, "VP") == pytest.approx(0.001)


def test_an_error_that_stays_is_not_followed_for_ever_from_loose_tolerances():
    errors, asked = measured(lambda tolerance: 0.03)
    with pytest.raises(CheckFailed, match=r"with tolerances 0\.016 times as large"):
        demand_tolerance(Following(), errors, "VP")
    assert len(asked) == 4


def test_chance_may_be_another_one_for_each_error():
    chance = torch.tensor([0.0] * 9 + [0.01], dtype=torch.float64)
    errors, _ = measured(lambda tolerance: 0.015, chance)
    assert demand_tolerance(Following(), errors, "VP") == pytest.approx(0.015)
    errors, _ = measured(lambda tolerance: 0.015, chance.flip(0))
    with pytest.raises(CheckFailed):
        demand_tolerance(Following(), errors, "VP")


def test_without_a_tolerance_by_name_a_small_error_is_unproven_and_a_large_one_wrong():
    errors, asked = measured(lambda tolerance: 0.019)
    with pytest.raises(Unproven, match=r"off by 1\.9 % .* on VP: by its tolerance, or"):
        demand_tolerance(Nameless(), errors, "VP")
    assert asked == [None]
    errors, _ = measured(lambda tolerance: 0.021)
    with pytest.raises(CheckFailed, match="p_eps is off on VP: the mean"):
        demand_tolerance(Nameless(), errors, "VP")


def test_a_law_that_one_check_could_not_tell_is_unproven():
    told = Result("check_own_tolerance", Outcome.UNPROVEN, "off by 1 %")
    passed = Result("check_law_by_sampling", Outcome.PASSED, "")
    with pytest.raises(Unproven, match="check_own_tolerance: off by 1 %"):
        proven((told, passed))


def test_tolerances_are_scaled_together_in_solvers_in_solvers_too():
    by = OnGrid(Following(), LogSNR(3))
    assert tolerances(by) == (1e-2, 4e-2)
    assert with_tolerances(by, 0.5) == OnGrid(Following(5e-3, 2e-2), LogSNR(3))
    assert tighter(Following()) == Following(2.5e-3, 1e-2)
    assert tighter(Nameless()) is None
    assert tolerances(Nameless()) == ()


def test_a_first_step_is_set_in_solvers_in_solvers_too():
    by = OnGrid(Beginning(), LogSNR(3))
    assert with_first_step(by, 0.5) == OnGrid(Beginning(first_step=0.5), LogSNR(3))
    assert with_first_step(Following(), 0.5) == Following()


def test_a_bias_that_follows_a_tolerance_is_one_that_falls_with_it():
    assert follows_its_tolerance(Following())
    assert follows_its_tolerance(Biased())
    assert not follows_its_tolerance(spoil(Following(), Promise("floor", 0.1)))
    assert not follows_its_tolerance(spoil(Following(), Promise("floor", math.inf)))
    assert not follows_its_tolerance(spoil(Nameless(), Promise("floor", 0.1)))
    assert not follows_its_tolerance(EulerMaruyama())


def test_what_is_small_is_what_is_asked_for():
    errors, _ = measured(lambda tolerance: 0.005)
    with pytest.raises(CheckFailed, match=r"^it leaks at VP, .*, at most 0\.1% is right"):
        demand_tolerance(Following(), errors, "VP", small=1e-3, off="it leaks at")


def test_a_contract_is_tested_with_loose_tolerances_where_these_are_allowed():
    assert in_few_steps(Following()) == Following(2.5e-2, 0.1)
    assert in_few_steps(Following(0.1, 0.15)) == Following(0.1, 0.15)
    assert in_few_steps(Following(0.01, 1e-3)) == Following(0.1, 1e-2)
    assert in_few_steps(Nameless()) == Nameless()
    assert in_few_steps(EulerMaruyama()) == EulerMaruyama()


def test_a_mistake_of_a_fifth_of_a_per_cent_stays():
    with pytest.raises(CheckFailed, match=r"with tolerances 0\.25 times .* is 1\.\d+ % too small"):
        check_own_tolerance(spoil(AdaptiveHeun(), ScoreTimes(1.002)))
