"""Errors on ever finer grids: what is extrapolated, when more grids are asked for, what is told."""

from __future__ import annotations

import pytest
import torch

from sdeplug.testing.exact.convergence import (
    STEPS,
    WrongLimit,
    demand_order_and_limit,
    extrapolated,
    observed,
    on_finer_grids,
    rms,
)
from sdeplug.testing.findings import CheckFailed, Curve


def of(*terms):
    """Number of steps to an error that is a sum of terms (coefficient, power of the step)."""
    one = torch.tensor([1.0, -0.5], dtype=torch.float64)
    return lambda steps: sum(factor * steps**-power for factor, power in terms) * one


def judged(error, order):
    counts, errors = on_finer_grids(error, order)
    curve = Curve("a grid", tuple(counts), tuple(map(rms, errors)))
    demand_order_and_limit(errors, order, curve)
    return counts


@pytest.mark.parametrize("order", [1, 2, 3])
def test_two_powers_are_taken_away_from_three_grids(order):
    error = of((3e-3, 0), (5.0, order), (70.0, order + 1))
    left = extrapolated([error(steps) for steps in STEPS], order)
    torch.testing.assert_close(left, error(10**12), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(("order", "terms"), [(1, ((0.5, 1), (9.0, 2))), (2, ((4.0, 2),))])
def test_three_grids_suffice_where_errors_fall_as_they_should(order, terms):
    assert judged(of(*terms), order) == list(STEPS)


def test_an_order_that_is_hidden_by_higher_ones_is_extrapolated():
    curve = Curve("", (), tuple(rms(of((1.0, 2), (-20.0, 3))(steps)) for steps in STEPS))
    assert observed(curve) > 1.9
    fading = Curve("", (), tuple(rms(of((1.0, 2), (1e-2, 1))(steps)) for steps in STEPS))
    assert observed(fading) < 1.85  # a lower one shows more and more: nothing to hope for


def test_finer_grids_are_asked_for_as_long_as_the_limit_comes_closer():
    assert len(judged(of((0.5, 1), (3e3, 4)), 1)) > len(STEPS)


@pytest.mark.parametrize(("order", "limit"), [(1, 1e-3), (2, 3e-4), (4, 3e-5)])
def test_a_wrong_limit_is_told_after_one_more_grid(order, limit):
    error, asked = of((limit, 0), (2.0, order), (9.0, order + 1)), []

    def counted(steps):
        asked.append(steps)
        return error(steps)

    with pytest.raises(WrongLimit, match="the limit is wrong"):
        judged(counted, order)
    assert asked == [*STEPS, 2 * STEPS[-1]]


def test_a_lower_order_is_no_wrong_limit():
    with pytest.raises(CheckFailed, match="order 1, claimed 2") as failure:
        judged(of((0.5, 1), (1.0, 2)), 2)
    assert not isinstance(failure.value, WrongLimit)


def test_a_limit_that_is_wrong_is_not_excused_by_a_fall_before_it():
    """Its error falls much from the first three grids to the next, and then stays."""
    with pytest.raises(WrongLimit):
        judged(of((8e-4, 0), (0.5, 1), (4e3, 4)), 1)
