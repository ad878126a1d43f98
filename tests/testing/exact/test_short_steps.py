"""Very many short steps: what does not vanish with the step is seen, however small it is."""

from __future__ import annotations

import pytest

import sdeplug as sp
from sdeplug import Corrected
from sdeplug.testing import CheckFailed, NotApplicable
from sdeplug.testing.exact.short_steps import check_many_short_steps
from sdeplug.testing.mutants import RIGHT, spoil
from sdeplug.testing.mutants.promises import Promise
from sdeplug.testing.mutants.right import EulerMaruyama, ExponentialMidpoint, Langevin
from sdeplug.testing.mutants.unsaid import Corrects, Shakes, Shrinks

STEPPERS = [
    each
    for each in RIGHT
    if isinstance(each, sp.Integrator) and each.needs_grid and each.claims.affine
]


@pytest.mark.parametrize("solver", STEPPERS, ids=repr)
def test_right_solvers_leave_the_law_to_1e_7(solver):
    told = check_many_short_steps(solver).text
    assert float(told.split()[2]) < 1e-7


@pytest.mark.parametrize("snr", [0.05, 0.16])
def test_a_corrector_stays_within_its_floor(snr):
    check_many_short_steps(Corrected(EulerMaruyama(), Langevin(snr=snr)))


@pytest.mark.parametrize("floor", [None, 0.011])
def test_a_floor_that_is_too_small_is_seen(floor):
    wrong = spoil(Corrected(EulerMaruyama(), Langevin()), Promise("floor", floor))
    with pytest.raises(CheckFailed, match=r"moved p_t by 0\.012"):
        check_many_short_steps(wrong)


@pytest.mark.parametrize("solver", [EulerMaruyama(), ExponentialMidpoint()], ids=repr)
@pytest.mark.parametrize("defect", [Corrects(0.005), Shakes(1e-4), Shrinks()], ids=repr)
def test_what_adds_up_is_seen(solver, defect):
    with pytest.raises(CheckFailed, match="does not vanish with its length"):
        check_many_short_steps(spoil(solver, defect))


@pytest.mark.parametrize(
    ("solver", "why"),
    [
        (Langevin(), "a corrector"),
        (sp.Denoise(), "no single steps"),
        (sp.OnGrid(EulerMaruyama(), sp.LogSNR(4)), "no single steps"),
        (sp.solver("torchdiffeq/dopri5"), "no single steps"),
        (Corrected(EulerMaruyama(), sp.solver("song/langevin")), "not affine"),
    ],
)
def test_what_takes_no_single_steps_is_not_judged(solver, why):
    with pytest.raises(NotApplicable, match=why):
        check_many_short_steps(solver)
