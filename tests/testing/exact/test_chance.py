"""Errors with chance in them: which are told of, which are not, and how often in vain."""

from __future__ import annotations

import pytest
import torch

from sdeplug.testing import CheckFailed, Unproven
from sdeplug.testing.exact.chance import LIMIT, MOST, in_the_limit

STEPS = 16


def errors(limit=0.0, first=0.0, second=0.0, scatter=0.0, asked=None):
    """Errors of a sampler of order 1, in four numbers, of which the first is not right."""

    def error(steps, seed):
        if asked is not None:
            asked.append(steps)
        chance = torch.Generator().manual_seed(seed + 10_007 * steps)
        off = torch.randn(4, generator=chance, dtype=torch.float64) * scatter
        off += first / steps + second / steps**2
        off[0] += limit
        return off

    return error


def told(error):
    return f"the first is off by {float(error[0]):.3f}"


def test_what_is_free_of_chance_is_measured_four_times():
    asked = []
    found = in_the_limit(errors(1e-3, 0.5, 1.0, asked=asked), 1.0, STEPS, told)
    assert asked == [16, 32, 64] * 4
    assert found.limit[0] == pytest.approx(1e-3)
    assert found.limit[1:].abs().max() < 1e-12
    assert found.possibly == pytest.approx(1e-3)


def test_two_powers_of_the_step_are_no_error_and_a_third_asks_for_finer_grids():
    def third(steps, seed):
        return errors(0.0, 2.0, 5.0)(steps, seed) + 5e3 / steps**3

    found = in_the_limit(third, 1.0, STEPS, told)
    assert found.steps[0] > STEPS
    assert found.limit.abs().max() < LIMIT


def test_an_error_that_stays_has_failed_on_two_grids():
    asked = []
    with pytest.raises(CheckFailed, match=r"the first is off by 0\.010, give or take") as failure:
        in_the_limit(errors(0.01, 0.5, asked=asked), 1.0, STEPS, told)
    assert max(asked) == 8 * STEPS
    assert failure.value.curves[0].steps == (32, 64, 128)


def test_chance_is_averaged_away_as_far_as_it_takes():
    asked = []
    found = in_the_limit(errors(scatter=5e-3, asked=asked), 1.0, STEPS, told)
    assert 12 < len(asked) <= 192
    assert found.possibly <= MOST
    with pytest.raises(CheckFailed):
        in_the_limit(errors(0.02, scatter=5e-3), 1.0, STEPS, told)


def test_chance_that_hides_too_much_leaves_it_unproven():
    with pytest.raises(Unproven, match="chance hides errors of up to"):
        in_the_limit(errors(scatter=0.05), 1.0, STEPS, told)
    with pytest.raises(CheckFailed):
        in_the_limit(errors(0.5, scatter=0.05), 1.0, STEPS, told)


@pytest.mark.parametrize("run", range(8))
def test_no_error_of_more_than_one_per_cent_has_passed(run):
    """Chance is of a size that leaves many in the open: neither failed nor passed."""

    def error(steps, seed):
        return errors(1.05 * MOST, scatter=0.012)(steps, seed + 1000 * run)

    with pytest.raises((CheckFailed, Unproven)):
        in_the_limit(error, 1.0, STEPS, told)


def test_no_more_is_asked_when_it_is_below_one_per_cent_for_certain():
    asked = []
    found = in_the_limit(errors(scatter=3e-3, asked=asked), 1.0, STEPS, told)
    assert len(asked) < 3 * 64
    assert 0.4 * MOST < found.possibly <= MOST


def test_no_number_has_failed_at_once():
    asked = []
    with pytest.raises(CheckFailed, match="not finite"):
        in_the_limit(errors(float("nan"), asked=asked), 1.0, STEPS, told)
    assert len(asked) == 3


def test_false_alarms_are_rare():
    """An error at the limit is found too large on three grids for one in a thousand seeds."""
    alarms = 0
    for run in range(60):

        def error(steps, seed, run=run):
            return errors(LIMIT, scatter=2e-3)(steps, seed + 1000 * run)

        alarms += in_the_limit(error, 1.0, STEPS, told).steps[0] != STEPS
    assert alarms <= 1
