"""Sizes: what depends on how many numbers there are is seen, in every size that is tried."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
import torch

import sdeplug as sp
from sdeplug.testing import CheckFailed, NotApplicable
from sdeplug.testing.contract.sizes import check_sizes
from sdeplug.testing.mutants import EQUIVALENT, RIGHT, spoil
from sdeplug.testing.mutants.defect import Defect
from sdeplug.testing.mutants.heard import Scaled
from sdeplug.testing.mutants.joined import When
from sdeplug.testing.mutants.right import EulerMaruyama, Langevin, RowLangevin
from sdeplug.testing.mutants.right_steps import RowHeun
from sdeplug.testing.mutants.seen import ScoreTimes

TWO_POINT = next(each.solver for each in EQUIVALENT if each.name == "two-point-noise")


# A step whose time is drawn has one for all numbers of a row.
DRAWN = [each for each in RIGHT if each.claims.randomised and isinstance(each, sp.Integrator)]
JUDGED = [each for each in RIGHT if each not in DRAWN]


@pytest.mark.parametrize("solver", DRAWN, ids=repr)
def test_what_draws_a_time_for_a_row_is_not_judged(solver):
    with pytest.raises(NotApplicable, match="such as a time"):
        check_sizes(solver)


@pytest.mark.parametrize("solver", [*JUDGED, TWO_POINT, sp.solver("adaptive/row-adams")], ids=repr)
def test_right_solvers_pass(solver):
    check_sizes(solver)


@pytest.mark.parametrize("low", [1, 2, 6, 16, 100, 1000, 15_000, 50_000])
def test_what_is_large_in_many_dimensions_is_seen(low):
    def dimensions(step):
        """in more dimensions."""
        return step.dimension > low

    cases = [(EulerMaruyama(), Scaled(1.0001)), (TWO_POINT, ScoreTimes(1.0001))]
    for solver, mistake in cases if low > 10 else cases[:1]:
        with pytest.raises(CheckFailed, match="same numbers with the same noise"):
            check_sizes(spoil(solver, When(dimensions, mistake)))


@pytest.mark.parametrize("low", [1, 10, 60, 1000, 9_000])
def test_a_score_that_is_small_in_large_batches_is_seen(low):
    def batches(step):
        """in more rows."""
        return len(step.x) > low

    for solver in (EulerMaruyama(), Langevin()):
        with pytest.raises(CheckFailed, match="same numbers with the same noise"):
            check_sizes(spoil(solver, When(batches, ScoreTimes(0.9999))))


@pytest.mark.parametrize(
    "solver",
    [
        RowLangevin(),
        pytest.param(
            sp.solver("adaptive/row-improved-euler"),
            marks=[pytest.mark.slow, pytest.mark.thorough],
        ),
    ],
    ids=["langevin", "euler"],
)
def test_large_noise_is_seen_where_the_steps_follow_the_row(solver):
    """By chance, so that it has to be larger; the seeds are fixed."""

    def huge(step):
        """in more than a thousand dimensions."""
        return step.dimension > 1000

    with pytest.raises(CheckFailed, match=r"standard deviation of all numbers.*\+0\."):
        check_sizes(spoil(solver, When(huge, Scaled(1.2))))


@dataclass(frozen=True)
class Sometimes(Defect):
    """Noise in half of all rows, by chance, times the root of 2: right in the mean over rows."""

    factor: float = 1.0

    def heard(self, noise):
        return _Sometimes(noise, self.factor)

    def promised(self, claims):
        return replace(claims, affine=False, strong_order=None)


class _Sometimes(sp.NoiseSource):
    def __init__(self, source, factor):
        self.source, self.factor = source, factor

    def normal(self, like):
        z, number = (self.source.normal(each) for each in (like, like[:, :1]))
        return self.factor * math.sqrt(2.0) * torch.where(number > 0.0, z, 0.0)


def test_what_all_numbers_of_a_row_have_in_common_is_told_from_a_mistake():
    assert check_sizes(spoil(EulerMaruyama(), Sometimes())).text.endswith("(3000, 3)")

    def many(step):
        """in more than two dimensions, but not in four."""
        return step.dimension == 3

    with pytest.raises(CheckFailed, match=r"\(3000, 3\)"):
        check_sizes(spoil(spoil(EulerMaruyama(), Sometimes()), When(many, Scaled(1.2))))


def test_what_keeps_no_law_is_left_alone():
    with pytest.raises(NotApplicable):
        check_sizes(sp.solver("song/langevin", batch_mean=True))


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("row-adams", 1.0),
        ("row-adams", 0.992),
        pytest.param("row-improved-euler", 1.0, marks=pytest.mark.slow),
        pytest.param("row-improved-euler", 1.008, marks=pytest.mark.slow),
    ],
)
def test_what_a_floor_and_chance_hide_is_seen_without_chance(name, factor):
    solver = spoil(sp.solver(f"adaptive/{name}"), Scaled(factor))
    if factor == 1.0:
        assert check_sizes(solver).text.endswith("without chance")
        return
    with pytest.raises(CheckFailed, match=r"0\.004 at most is right"):
        check_sizes(solver)


@dataclass(frozen=True)
class Hidden(sp.Integrator):
    """A solver whose tolerance is no option."""

    claims = RowHeun.claims

    def integrate(self, reverse, x, t, s, run):
        return RowHeun(0.3).integrate(reverse, x, t, s, run)


@dataclass(frozen=True)
class Unfelt(RowHeun):
    """A tolerance that makes no difference where it is loose."""

    tolerance: float = sp.option(0.3, help="of a step", gt=0.0)

    def integrate(self, reverse, x, t, s, run):
        by = RowHeun(0.3 if self.tolerance > 0.01 else 0.005)
        return by.integrate(reverse, x, t, s, run)


def test_a_tolerance_that_is_not_felt_yet_is_made_tighter_still():
    assert "without chance" in check_sizes(Unfelt()).text


def test_what_cannot_be_made_tighter_is_not_said_to_be_wrong():
    assert "without chance" in check_sizes(RowHeun(0.3)).text
    assert "without chance" not in check_sizes(Hidden()).text
