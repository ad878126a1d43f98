"""Three verdicts: what is measured and right, what is wrong, and what nobody could judge."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

import sdeplug as sp
from sdeplug import Claims
from sdeplug.cli.main import main
from sdeplug.errors import PairingError
from sdeplug.testing import (
    CHECKS,
    CONTRACT,
    FAST,
    LAW,
    CheckFailed,
    NotApplicable,
    Outcome,
    Report,
    Result,
    Unproven,
    Verdict,
    check_solver,
    parametrize_with_checks,
)
from sdeplug.testing.doors import doors as doors_module
from sdeplug.testing.doors.proof import PROOF, Proof, unprovable

pytest_plugins = ["pytester"]

EULER = sp.solver("ode/euler")
EXACT = tuple(check for check in LAW if check in FAST)


PROMISING_LITTLE = Claims(evaluations=1)


@dataclass(frozen=True)
class Loud(sp.Integrator):
    """Euler-Maruyama with half too much noise, which claims what it is told to."""

    told: Claims = PROMISING_LITTLE
    factor: float = 1.5

    @property
    def claims(self):
        return self.told

    def integrate(self, reverse, x, t, s, run):
        mean = x + (s - t) * reverse.drift(x, t)
        return mean + self.factor * (t - s) ** 0.5 * reverse.diffusion(t) * run.noise.normal(x)


class Strange(sp.LinearSDE):
    """A forward SDE that the bench has not."""


@pytest.fixture
def laws_alone(monkeypatch):
    """Only the checks that measure a law without noise."""
    monkeypatch.setattr(doors_module, "FAST", EXACT)
    monkeypatch.setattr(doors_module, "CHECKS", EXACT)


def last(report):
    assert report.results[-1].name == PROOF
    return report.results[-1]


def test_a_law_that_was_measured_and_is_right_has_passed(laws_alone):
    report = check_solver(EULER)
    assert report.verdict is Verdict.PASSED
    assert report.words == "all promises kept"
    assert last(report).reason == "its law was measured by check_marginals"


def test_a_law_that_was_measured_and_is_wrong_has_failed_once(laws_alone):
    report = check_solver(Loud(Claims(order=1, evaluations=1)))
    assert report.verdict is Verdict.FAILED
    assert [each.name for each in report.failures] == ["check_marginals"]
    assert last(report).outcome is Outcome.NOT_APPLICABLE


def test_a_solver_that_promises_nothing_is_unproven_though_every_check_passes(monkeypatch):
    monkeypatch.setattr(doors_module, "FAST", (*CONTRACT[:3], *EXACT))
    report = check_solver(Loud(), fast=True)
    assert not report.failures
    assert report.verdict is Verdict.UNPROVEN
    assert not report.passed
    assert "promises kept" not in str(report)
    assert "claim order=1" in last(report).reason
    assert "UNPROVEN" in str(report)
    assert "unproven" in repr(report)
    assert "UNPROVEN" in report._repr_html_()
    assert json.loads(report.to_json())["verdict"] == "unproven"
    assert Report.from_json(report.to_json()) == report


@pytest.mark.parametrize(
    ("solver", "says"),
    [
        (Loud(), "claim order=1"),
        (Loud(Claims(evaluations=0, floor=float("inf"))), "claims no consistency"),
        (sp.solver("song/hold"), "claims no consistency"),
        (sp.Corrected(sp.solver("song/hold"), sp.solver("song/langevin")), "no consistency"),
        (sp.Denoise(), "posterior mean"),
        (sp.OnGrid(Loud(), sp.LogSNR(50)), "claim order=1"),
        (sp.OnGrid(Loud(Claims()), sp.LogSNR(50)), "claim order=1"),
        (sp.OnGrid(EULER, sp.At((0.5,))), "check the integrator inside it"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_claims_that_no_check_could_judge(solver, says):
    assert says in unprovable(solver)
    passed = [Result(check.__name__, Outcome.PASSED, "") for check in CHECKS]
    with pytest.raises(Unproven, match=says):  # whatever another check may have measured
        Proof().of(solver, passed)


@pytest.mark.parametrize(
    "solver",
    [
        EULER,
        sp.OnGrid(EULER, sp.LogSNR(4)),
        sp.solver("song/langevin"),
        sp.solver("adaptive/row-dopri5"),
        Loud(Claims()),
    ],
    ids=lambda each: type(each).__name__,
)
def test_claims_that_a_check_can_judge(solver):
    assert unprovable(solver) is None


def test_what_only_slow_checks_measure_is_unproven_by_the_fast_ones(monkeypatch):
    monkeypatch.setattr(doors_module, "FAST", CONTRACT[:1])
    report = check_solver(EULER, fast=True)
    assert report.verdict is Verdict.UNPROVEN
    assert "without --fast" in last(report).reason


def test_a_law_that_no_check_could_measure_is_unproven_with_the_reason_of_the_last_resort():
    """Its forward SDE is none of the bench's, so that every check has a reason not to apply."""
    solver = Loud(Claims(order=1, evaluations=1, needs=Strange))
    results = [doors_module.result_of(check.__name__, lambda c=check: c(solver)) for check in LAW]
    with pytest.raises(Unproven, match="needs a Strange; the bench has VP and VE"):
        Proof().of(solver, results)


def test_no_check_is_no_proof():
    assert Report("S()", ()).verdict is Verdict.UNPROVEN
    contract = Result("check_value", Outcome.PASSED, "")
    assert Report("S()", (contract,)).verdict is Verdict.UNPROVEN


# Expected failures


def test_an_expected_failure_of_what_measures_the_law_leaves_it_unproven(laws_alone):
    solver = Loud(Claims(order=1, evaluations=1))
    report = check_solver(solver, expected_failures={"check_marginals": "too loud"})
    outcomes = {each.name: each.outcome for each in report.results}
    assert outcomes["check_marginals"] is Outcome.EXPECTED_FAILURE
    assert report.verdict is Verdict.UNPROVEN
    assert "check_marginals" in last(report).reason
    assert Report.from_json(report.to_json()) == report


def test_an_expected_failure_of_another_check_is_no_failure(monkeypatch):
    def check_that_fails(solver):
        raise CheckFailed("it is wrong")

    monkeypatch.setattr(doors_module, "FAST", (check_that_fails, *EXACT))
    report = check_solver(EULER, True, expected_failures={"check_that_fails": "it is known"})
    assert report.verdict is Verdict.PASSED
    assert report.results[0].outcome is Outcome.EXPECTED_FAILURE
    assert report.results[0].reason == "it is known (it is wrong)"


def test_an_expected_failure_that_passes_is_a_failure(laws_alone):
    report = check_solver(EULER, expected_failures={"check_marginals": "it is known"})
    assert report.verdict is Verdict.FAILED
    assert "was expected to fail: it is known" in report.failures[0].reason


def test_an_expected_failure_that_does_not_apply_is_none(laws_alone):
    report = check_solver(EULER, expected_failures={"check_floor": "it is known"})
    assert report.verdict is Verdict.PASSED


def test_an_expected_failure_of_the_proof_is_no_proof(laws_alone):
    report = check_solver(Loud(), expected_failures={PROOF: "it repeats a published table"})
    assert last(report).outcome is Outcome.EXPECTED_FAILURE
    assert report.verdict is Verdict.UNPROVEN


def test_expected_failures_name_checks():
    with pytest.raises(PairingError, match=r"check_marginls.*check_marginals"):
        check_solver(EULER, expected_failures={"check_marginls": "a typo"})


# pytest


TEST_FILE = """
import sdeplug as sp
from sdeplug.testing import parametrize_with_checks

@parametrize_with_checks([{solver}], {expected}, fast={fast})
def test_solver(check):
    check()
"""


@pytest.mark.parametrize(
    ("solver", "expected", "fast", "status", "says"),
    [
        ('sp.solver("song/hold")', None, True, 1, "claims no consistency"),
        ('sp.solver("song/hold")', {PROOF: "it only waits"}, True, 0, "1 xfailed"),
        ('sp.solver("ode/euler")', None, True, 0, "1 passed"),
        ('sp.solver("ode/euler")', {PROOF: "it is known"}, True, 1, "strict"),
    ],
)
def test_in_pytest_what_is_unproven_does_not_pass(pytester, solver, expected, fast, status, says):
    pytester.makepyfile(TEST_FILE.format(solver=solver, expected=expected, fast=fast))
    words = ("-p", "no:cacheprovider", "-rs", "-k", PROOF)
    result = pytester.runpytest_inprocess(*words)
    assert result.ret == status, result.stdout.str()
    assert says in result.stdout.str()


def test_the_last_check_asks_no_other_twice(monkeypatch):
    """What a check has said in one test is not computed again for the last one."""
    asked = []

    def check_marginals(solver):
        asked.append(solver)
        return sp.testing.Finding("right")

    monkeypatch.setattr(doors_module, "FAST", (check_marginals,))
    monkeypatch.setattr("sdeplug.testing.doors.proof.LAW", (check_marginals,))
    monkeypatch.setattr("sdeplug.testing.doors.proof.FAST", (check_marginals,))
    for each in parametrize_with_checks([EULER], fast=True).args[1]:
        each.values[0]()
    assert asked == [EULER]


def test_with_fast_what_the_slow_checks_measure_is_skipped(monkeypatch):
    monkeypatch.setattr("sdeplug.testing.doors.proof.FAST", ())
    with pytest.raises(NotApplicable, match=r"unproven: only the slow checks.*without --fast"):
        Proof(fast=True)(EULER)


def test_a_law_that_is_wrong_fails_in_its_own_check_alone():
    with pytest.raises(NotApplicable, match="check_marginals failed"):
        Proof(fast=True)(Loud(Claims(order=1, evaluations=1)))


# The command line


@pytest.mark.parametrize(
    ("solver", "status"), [(EULER, 0), (Loud(), 3), (Loud(Claims(order=1, evaluations=1)), 1)]
)
def test_the_exit_status_tells_the_verdict(laws_alone, solver, status, monkeypatch, capsys):
    monkeypatch.setattr("sdeplug.cli.work.check.named", lambda kind, name: solver)
    monkeypatch.setattr("sys.argv", ["sdeplug", "check", "mine", "--fast"])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert (exit_.value.code or 0) == status
    out = capsys.readouterr().out
    assert ("unproven, since" in out) == (status == 3)
    assert ("promises kept" in out) == (status == 0)
