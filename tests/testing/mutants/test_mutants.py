"""The harness fails every mutant, for the right reason, and passes every right solver."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest

from sdeplug import Corrector
from sdeplug.testing import CHECKS, FAST, CheckFailed, NotApplicable, Verdict, check_solver
from sdeplug.testing.mutants import EQUIVALENT, MUTANTS, RIGHT, Defect, mutants_of, spoil
from sdeplug.testing.mutants.right_kinds import AdaptiveHeun
from sdeplug.testing.mutants.right_steps import RowHeun
from sdeplug_ode import RK4, AdamsBashforth
from sdeplug_song import Ancestral, AnnealedLangevin, EulerMaruyama, ReverseDiffusion

sys.path.insert(0, str(Path(__file__).parents[3] / "docs"))

import mutant_table

BY_NAME = {check.__name__: check for check in CHECKS}
FAST_NAMES = {check.__name__ for check in FAST}
SLOW_NAMES = {*BY_NAME} - FAST_NAMES
# Their mistake is that they raise, or that they can do no better after it.
RAISING = {"adams-bashforth-memory-of-all", "euler-maruyama-misaligned", "step-with-list"}
SEEN = mutant_table.seen()
# Seconds of exact laws for each: of second order and more, or right at stochasticity 0 and 1.
LONG = {"RungeKutta", "AdamsBashforth", "ExponentialMidpoint", "ExponentialEuler"}
# Half a minute: that it is seen stands on the page, which is measured by a command.
DEAR = {"random-substeps-curved"}
QUICK = [
    each
    for each in MUTANTS
    if each.name not in DEAR
    and FAST_NAMES & set(SEEN.get(each.name, each.seen_by))
    and not ("check_marginals" in each.seen_by and each.of in LONG)
    and "stochasticity" not in each.name
    and each.of not in ("RowLangevin", "OwnGrid")
    and "check_moments" not in each.seen_by
]
SLOW = [each for each in MUTANTS if each not in QUICK and each.name not in DEAR]


def name(mutant):
    return mutant.name


def killer(mutant):
    """The check that sees a mutant, of those that are meant to; the reason that it gives.

    The page says which one does, and others are asked only where that does not.
    """
    known = SEEN.get(mutant.name, ())
    for check in sorted(mutant.seen_by, key=lambda each: (each not in known, each in SLOW_NAMES)):
        try:
            BY_NAME[check](mutant.solver)
        except NotApplicable:
            continue
        except CheckFailed as failure:
            return check, str(failure)
        except TypeError as error:
            return check, f"it raised {error!r}"
    return None, "no check that is meant to see it does"


def assert_killed(mutant):
    check, reason = killer(mutant)
    assert check, f"{mutant.name} ({mutant.what}): {reason}"
    assert "it raised" not in reason or mutant.name in RAISING, reason


def test_there_are_many_and_no_two_are_the_same():
    assert len(MUTANTS) >= 45
    assert len({each.name for each in MUTANTS}) == len(MUTANTS)
    assert len({each.name for each in EQUIVALENT}) == len(EQUIVALENT)
    for each in MUTANTS:
        assert each.what
        assert each.seen_by
        assert set(each.seen_by) <= set(BY_NAME), each.name


def often(mutant):
    """Of the mutants that a check sees, two; `make test-all` kills every one."""
    alike = [each for each in QUICK if SEEN.get(each.name) == SEEN.get(mutant.name)]
    return alike.index(mutant) < 2


@pytest.mark.parametrize(
    "mutant",
    [pytest.param(each, marks=() if often(each) else pytest.mark.thorough) for each in QUICK],
    ids=name,
)
def test_a_mutant_is_killed(mutant):
    assert_killed(mutant)


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("mutant", SLOW, ids=name)
def test_a_mutant_is_killed_slowly(mutant):
    assert_killed(mutant)


@pytest.mark.parametrize("name", sorted(DEAR))
def test_a_dear_mutant_is_seen_on_the_page(name):
    assert SEEN[name] == next(each.seen_by for each in MUTANTS if each.name == name)


# Looser than their defaults, for fewer steps in each of some thousand calls.
LOOSER = {AdaptiveHeun(): AdaptiveHeun(1e-3), RowHeun(): RowHeun(0.4)}


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("solver", [LOOSER.get(each, each) for each in RIGHT], ids=repr)
def test_a_right_solver_passes(solver):
    report = check_solver(solver, fast=True)
    drawn = solver.claims.randomised and not isinstance(solver, Corrector)  # for the slow checks
    assert report.verdict is (Verdict.UNPROVEN if drawn else Verdict.PASSED), str(report)


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("variant", EQUIVALENT, ids=name)
def test_an_equivalent_variant_passes(variant):
    report = check_solver(variant.solver, fast=True)
    assert report.passed, str(report)


@pytest.mark.parametrize("variant", EQUIVALENT, ids=name)
def test_golden_coefficients_see_an_equivalent_variant(variant):
    """All but two-point noise, whose law they do not have: impulses are of size 1."""
    assert variant.solver != variant.right
    assert (mutant_table.difference(variant) > 1e-3) == (variant.name != "two-point-noise")


@pytest.mark.parametrize(
    "solver",
    [*(LOOSER.get(each, each) for each in RIGHT), Ancestral(), RK4(), AnnealedLangevin()],
    ids=repr,
)
def test_a_solver_without_a_mistake_is_as_it_was(solver):
    spoilt = spoil(solver, Defect())
    assert spoilt.claims == solver.claims
    assert BY_NAME["check_shapes_and_dtypes"](spoilt) == BY_NAME["check_shapes_and_dtypes"](solver)
    assert pickle.loads(pickle.dumps(spoilt)) == spoilt


def other_peoples():
    """Mutants of solvers that the table does not have; two of a kind share their kinds."""
    for solver in (RK4(), AnnealedLangevin()):
        yield from mutants_of(solver)
    for start, solver in enumerate((ReverseDiffusion(), Ancestral())):
        yield from mutants_of(solver)[start::2]


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("mutant", [*other_peoples()], ids=name)
def test_mutants_of_other_peoples_solvers_are_killed(mutant):
    assert_killed(mutant)


def test_mutants_are_those_that_a_solver_can_be():
    deterministic = {each.name for each in mutants_of(RK4())}
    assert not any("noise-" in each for each in deterministic)
    no_order = {each.name for each in mutants_of(EulerMaruyama(reference_steps=100))}
    assert "euler-maruyama-noise-1-percent-large" not in no_order
    assert "euler-maruyama-noise-of-torch" in no_order
    assert len(mutants_of(AdamsBashforth())) > 10


def test_the_page_has_every_mutant_with_a_check_that_is_meant_to_see_it():
    lines = mutant_table.rows()
    assert list(lines) == [each.name for each in MUTANTS]
    for mutant in MUTANTS:
        line = lines[mutant.name]
        assert line.startswith(f"| `{mutant.name}` | {mutant.what} | ")
        assert "**" in line, line


def test_the_tables_of_the_page_are_made_of_its_rows():
    shown, lines = mutant_table.shown(), mutant_table.rows()
    assert shown["mutants"] == mutant_table.mutants(lines)
    assert shown["counts"] == mutant_table.counts(lines)


def test_the_table_of_equivalents_is_what_is_measured():
    assert mutant_table.shown()["equivalents"] == mutant_table.equivalents()


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS[::32], ids=name)  # by all checks: most run for seconds
def test_the_table_of_mutants_is_what_is_measured(mutant):
    line = mutant_table.row(mutant, mutant_table.seen_by(mutant))
    assert line in mutant_table.shown()["mutants"].splitlines()
