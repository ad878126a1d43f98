"""What rounds to float32 inside is affine to that rounding: its law is measured, not let off."""

from __future__ import annotations

import math

import pytest
import torch

from sdeplug.testing import CHECKS, Affinity, CheckFailed, affinity
from sdeplug.testing.exact import rounding
from sdeplug.testing.exact.affine import EXACT, ROUNDED, check_affinity
from sdeplug.testing.exact.everywhere import check_schedules
from sdeplug.testing.mutants import EQUIVALENT, spoil
from sdeplug.testing.mutants.heard import Rounded, Scaled
from sdeplug.testing.mutants.joined import Both
from sdeplug.testing.mutants.right import EulerMaruyama, ExponentialEuler, RowLangevin

BY_NAME = {check.__name__: check for check in CHECKS}
TWO_POINT = next(each.solver for each in EQUIVALENT if each.name == "two-point-noise")


@pytest.mark.parametrize(
    ("bits", "found"),
    [(52, Affinity.AFFINE), (35, Affinity.AFFINE), (23, Affinity.ROUNDED), (10, Affinity.NONE)],
)
def test_a_sampler_is_classed_by_how_far_superposition_fails(bits, found):
    def sampler(x, run):
        y = 2.0 * x + 0.3 * run.noise.normal(x)
        step = 2.0 ** (torch.frexp(y).exponent - bits)
        return (y / step).round() * step

    assert affinity(sampler, 3) is found


def test_a_solver_is_rounded_only_where_it_is():
    rounded = spoil(EulerMaruyama(), Rounded())
    assert rounding(EulerMaruyama()) == EXACT
    assert rounding(rounded) == ROUNDED
    assert rounding(TWO_POINT) == rounding(RowLangevin()) == math.inf
    assert check_affinity(rounded).text.startswith(Affinity.ROUNDED.value)


@pytest.mark.parametrize("name", ["check_rotation", "check_coordinates", "check_levels"])
@pytest.mark.parametrize("solver", [EulerMaruyama(), ExponentialEuler()], ids=repr)
def test_a_right_solver_that_rounds_passes(solver, name):
    BY_NAME[name](spoil(solver, Rounded()))


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("name", ["check_marginals", "check_strong_order", "check_constant"])
def test_a_right_solver_that_rounds_passes_whole_runs(name):
    BY_NAME[name](spoil(EulerMaruyama(), Rounded()))


def test_a_fifth_of_a_per_cent_is_seen_through_the_rounding():
    wrong = spoil(EulerMaruyama(), Both(Rounded(), Scaled(1.002)))
    with pytest.raises(CheckFailed, match="standard deviation"):
        check_schedules(wrong)
