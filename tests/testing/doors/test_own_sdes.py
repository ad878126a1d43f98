"""Forward SDEs of one's own: a solver that is wrong on them alone is seen, by every door."""

from __future__ import annotations

import pytest
import torch

import sdeplug as sp
from sdeplug.testing import CheckFailed, NotApplicable, Outcome, check_solver
from sdeplug.testing import parametrize_with_checks as parametrize
from sdeplug.testing.doors import checks, doors
from sdeplug.testing.exact import OnOwnSDEs
from sdeplug.testing.exact.runs import check_drawn_runs
from sdeplug.testing.mutants import spoil
from sdeplug.testing.mutants.acts import Skipped, StopsEarly
from sdeplug.testing.mutants.heard import Scaled
from sdeplug.testing.mutants.joined import When
from sdeplug.testing.mutants.right import (
    HEUN,
    AdamsBashforth,
    EulerMaruyama,
    Langevin,
    RungeKutta,
)
from sdeplug.testing.mutants.seen import ScoreTimes

pytest_plugins = ["pytester"]


class Mine(sp.LinearSDE):
    """alpha = 1 - t / 2, sigma = 3 t + 0.01."""

    def log_alpha(self, t):
        return torch.log1p(-t / 2)

    def sigma(self, t):
        return 3.0 * t + 0.01


def on_mine(step):
    """on one forward SDE alone."""
    return isinstance(step.reverse.forward, Mine)


ASK = OnOwnSDEs((Mine(),))


@pytest.fixture
def no_others(monkeypatch):
    monkeypatch.setattr(doors, "FAST", checks.FAST[:2])
    monkeypatch.setattr(doors, "CHECKS", checks.FAST[:2])


@pytest.mark.parametrize(
    "solver",
    [EulerMaruyama(), RungeKutta(HEUN), AdamsBashforth(), Langevin()],
    ids=lambda each: type(each).__name__,
)
def test_right_solvers_are_right_there_too(solver):
    assert "right on 1 of 1" in ASK(solver).text


@pytest.mark.parametrize(
    ("solver", "mistake", "says"),
    [
        (EulerMaruyama(), Scaled(1.01), "large, .*Mine"),
        (RungeKutta(HEUN), ScoreTimes(0.99), "Mine"),
        (RungeKutta(HEUN), StopsEarly(1.2), "wrong on .*Mine"),
        (Langevin(), Scaled(1.1), "more than its floor"),
        (sp.solver("torchdiffeq/dopri5"), ScoreTimes(0.9), "p_eps is off on Mine"),
    ],
    ids=["noise", "score", "run", "corrector", "tolerance"],
)
def test_what_is_wrong_there_alone_is_seen(solver, mistake, says):
    with pytest.raises(CheckFailed, match=says):
        ASK(spoil(solver, When(on_mine, mistake)))


def test_a_solver_that_cannot_use_it_is_left_alone():
    for solver in (sp.Denoise(), sp.solver("song/langevin")):
        with pytest.raises(NotApplicable):
            ASK(solver)


def test_the_function_asks_and_the_verdict_follows(no_others):
    wrong = spoil(EulerMaruyama(), When(on_mine, Scaled(1.2)))
    assert "check_own_sdes" not in {each.name for each in check_solver(wrong).results}
    report = check_solver(wrong, sdes=[Mine()])
    found = next(each for each in report.results if each.name == "check_own_sdes")
    assert found.outcome is Outcome.FAILED
    expected = {"check_own_sdes": "known"}
    again = check_solver(wrong, sdes=[Mine()], expected_failures=expected)
    assert not again.failures


def test_the_decorator_has_a_test_of_its_own_for_it(no_others):
    names = [each.id for each in parametrize([EulerMaruyama()], sdes=[Mine()]).args[1]]
    assert names[-2:] == ["EulerMaruyama-check_own_sdes", "EulerMaruyama-check_proof"]


@pytest.mark.parametrize("thing", [Mine, "core/vp", sp.ForwardSDE])
def test_what_is_no_linear_sde_is_refused(thing):
    with pytest.raises(sp.PairingError, match="sdes has"):
        check_solver(EulerMaruyama(), sdes=[thing])


class Rising(Mine):
    """Its log-SNR rises."""

    def sigma(self, t):
        return 1.0 - 0.9 * t


def test_an_unsound_sde_is_refused_before_the_checks():
    with pytest.raises(sp.ArgumentError, match="falling log-SNR"):
        check_solver(EulerMaruyama(), sdes=[Rising()])


def test_the_command_line_and_pytest_take_names(no_others, capsys, pytester):
    from sdeplug.cli.work.check import Request, run

    wide = "core/ve:sigma_max=9.0"
    assert run(Request("ode/euler", fast=True, sdes=(wide,))) in (0, 1, 3)
    assert "check_own_sdes" in capsys.readouterr().out
    words = ("--sdeplug-solver", "ode/euler", "--sdeplug-sde", wide, "-k", "own_sdes", "-v")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", *words)
    result.stdout.fnmatch_lines(["*ode/euler::check_own_sdes PASSED*"])


def test_drawn_runs_see_a_lost_order():
    check_drawn_runs(RungeKutta(HEUN))
    with pytest.raises(CheckFailed, match="order 1, claimed 2"):
        check_drawn_runs(spoil(RungeKutta(HEUN), When(_last, Skipped())))


def _last(step):
    """in the last step."""
    return step.last
