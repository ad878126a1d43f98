"""Leaks of what draws more than noise: right solvers have none, and one per cent is seen."""

from __future__ import annotations

import pytest
import torch

from sdeplug import Corrected
from sdeplug.testing import CheckFailed, NotApplicable
from sdeplug.testing.exact.arrays import Arrays, array_moments
from sdeplug.testing.exact.randomised import check_randomised_leaks
from sdeplug.testing.mutants import drawn, spoil
from sdeplug.testing.mutants.heard import Scaled
from sdeplug.testing.mutants.right import EulerMaruyama
from sdeplug.testing.mutants.right_metropolis import AdjustedLangevin
from sdeplug.testing.mutants.right_random import RandomisedMidpoint, RandomSubsteps
from sdeplug.testing.mutants.seen import ScoreTimes


def scaled_by_chance(x, run):
    """The noise is as large as a number that is drawn: products of three numbers in the square."""
    size = torch.special.ndtr(run.noise.normal(x))
    return x + 0.01 * size * run.noise.normal(x)


def test_a_mirrored_array_leaves_no_product_of_x_and_noise():
    right = 1.0 + 1e-4 / 3.0  # the mean square of a uniform number is a third
    errors = [
        abs(array_moments(scaled_by_chance, 0.5, 1.0, Arrays(64, 3, mirrored=mirrored))[1] - right)
        for mirrored in (False, True)
    ]
    assert errors[0] > 1e-5
    assert errors[1] < 1e-7


def test_a_mirrored_array_has_each_row_twice():
    noise = Arrays(16, mirrored=True)
    x, z = noise.next_column(), noise.next_column()
    assert torch.equal(x[:256], -x[256:])
    assert torch.equal(z[:256], z[256:])


@pytest.mark.parametrize("solver", [RandomisedMidpoint(), RandomSubsteps()], ids=repr)
def test_right_solvers_leak_nothing(solver):
    assert check_randomised_leaks(solver).text.endswith("at 3 places")


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        (spoil(RandomisedMidpoint(), Scaled(1.01)), "0.25 is 0.6 % too large"),
        (spoil(RandomSubsteps(), ScoreTimes(0.99)), "0.25 is 0.56"),
        (drawn.CountOfTheNoise(), "the mean along the axis"),
    ],
    ids=["noise", "score", "count"],
)
def test_one_per_cent_is_seen(solver, words):
    with pytest.raises(CheckFailed, match=words):
        check_randomised_leaks(solver)


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        (EulerMaruyama(), "noise alone"),
        (AdjustedLangevin(), "it is a corrector"),
        (Corrected(EulerMaruyama(), AdjustedLangevin()), "a corrector is at work"),
    ],
    ids=["plain", "corrector", "corrected"],
)
def test_others_are_judged_elsewhere(solver, words):
    with pytest.raises(NotApplicable, match=words):
        check_randomised_leaks(solver)
