"""Laws in half precision: a factor is seen, and who refuses such a state is not blamed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

import sdeplug as sp
from sdeplug.testing import CheckFailed, NotApplicable
from sdeplug.testing.contract.halves import (
    check_pipeline_in_half_precision,
    check_state_in_half_precision,
)
from sdeplug.testing.mutants import RIGHT, spoil
from sdeplug.testing.mutants.heard import Scaled
from sdeplug.testing.mutants.joined import When
from sdeplug.testing.mutants.right import EulerMaruyama, Langevin, RowLangevin
from sdeplug.testing.mutants.right_metropolis import Hamiltonian
from sdeplug.testing.mutants.seen import ScoreTimes
from sdeplug.testing.mutants.when import bfloat16, float16, half_score

STEPS = [each for each in RIGHT if isinstance(each, sp.Corrector) or each.needs_grid]


@dataclass(frozen=True)
class Refusing(EulerMaruyama):
    """It takes no state in float16."""

    def integrate(self, reverse, x, t, s, run):
        if x.dtype == torch.float16:
            raise sp.SolverError("float16 is too narrow.")
        return super().integrate(reverse, x, t, s, run)


@pytest.mark.parametrize("solver", STEPS, ids=repr)
def test_right_solvers_keep_their_noise_and_gain(solver):
    assert "off by at most" in check_state_in_half_precision(solver).text


@pytest.mark.parametrize("solver", [EulerMaruyama(), Langevin()], ids=repr)
@pytest.mark.parametrize(
    ("defect", "seen"),
    [
        (When(bfloat16, Scaled(1.02)), "torch.bfloat16 its noise is 1.02 times"),
        (When(float16, Scaled(0.98)), "torch.float16 its noise is 0.98 times"),
        (When(float16, ScoreTimes(0.9)), "torch.float16 its gain is 1."),
    ],
)
def test_two_per_cent_in_half_precision_are_seen(solver, defect, seen):
    with pytest.raises(CheckFailed, match=seen):
        check_state_in_half_precision(spoil(solver, defect))


def test_what_decides_by_rows_has_more_room():
    with pytest.raises(CheckFailed, match="its noise is 1\\.05 times"):
        check_state_in_half_precision(spoil(RowLangevin(), When(bfloat16, Scaled(1.05))))


def test_a_state_may_be_refused():
    assert check_state_in_half_precision(Refusing()).text.endswith("; it refuses float16")


def test_a_pipeline_is_judged_by_its_own():
    solver = spoil(EulerMaruyama(), When(half_score, Scaled(1.02)))
    check_state_in_half_precision(solver)
    with pytest.raises(CheckFailed, match="float16 are 1\\.02 times as wide"):
        check_pipeline_in_half_precision(solver)


def test_what_asks_as_often_as_it_has_to_follows_no_tolerance():
    """It saves an evaluation at times, and claims an order: it is judged, as sharply as others."""
    solver = sp.solver("exponential/f-ddim")
    assert solver.claims.evaluations is None
    assert "off by at most" in check_pipeline_in_half_precision(solver).text
    with pytest.raises(CheckFailed, match=r"float16 are 0\.\d+ times as wide"):
        check_pipeline_in_half_precision(spoil(solver, When(half_score, ScoreTimes(1.1))))


@pytest.mark.parametrize(
    ("check", "solver", "why"),
    [
        (check_state_in_half_precision, sp.solver("adaptive/row-tsit5"), "of its own making"),
        (check_pipeline_in_half_precision, sp.solver("adaptive/row-tsit5"), "a tolerance"),
        (check_state_in_half_precision, sp.Denoise(), "jumps"),
        (check_pipeline_in_half_precision, sp.Denoise(), "jumps"),
        (check_pipeline_in_half_precision, Langevin(), "a corrector"),
    ],
)
def test_what_is_not_judged_is_told(check, solver, why):
    with pytest.raises(NotApplicable, match=why):
        check(solver)


def test_roundings_that_hide_a_factor_are_told_of():
    """Eight leaps go nearly round in a circle: of the noise a small part is left."""
    seen = check_state_in_half_precision(Hamiltonian(0.8, 8)).text
    assert "its noise in torch.float16 on SubVPSDE" in seen
    with pytest.raises(CheckFailed, match=r"torch\.float16 its noise is 1\.2 times"):
        check_state_in_half_precision(spoil(Hamiltonian(0.8, 8), When(float16, Scaled(1.2))))
