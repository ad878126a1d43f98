"""The doors of the harness: pytest and the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from testing.doors.quick import EULER, TooFar

import sdeplug as sp
from sdeplug import Claims
from sdeplug.cli.work import check
from sdeplug.errors import PairingError
from sdeplug.testing import Outcome, Report, check_solver, parametrize_with_checks
from sdeplug.testing.doors import collecting, selected
from sdeplug.testing.doors import doors as doors_module
from sdeplug.testing.findings import CheckFailed, Curve, Finding, NotApplicable

pytest_plugins = ["pytester"]


@dataclass(frozen=True)
class TwiceAsDear(TooFar):
    """Claims two evaluations and makes one."""

    claims = Claims(order=1, stochastic=False, evaluations=2)


# Parametrisation


def test_ids_are_readable_and_tell_options_apart(quick):
    solvers = [EULER, sp.solver("song/langevin", snr=0.1), sp.OnGrid(EULER, sp.LogSNR(4))]
    ids = [parameter.id for parameter in parametrize_with_checks(solvers).args[1]]
    assert "Euler-check_value" in ids
    assert "Langevin(snr=0.1)-check_value" in ids
    assert "OnGrid(Euler,LogSNR(4))-check_value" in ids
    assert len(set(ids)) == len(ids)


def test_an_unknown_check_among_expected_failures_is_refused():
    with pytest.raises(PairingError, match=r"check_marginls.*check_marginals"):
        parametrize_with_checks([EULER], {"check_marginls": "a typo"})


TEST_FILE = """
from dataclasses import dataclass
import sdeplug as sp
from sdeplug.testing import parametrize_with_checks

@dataclass(frozen=True)
class Noisy(sp.Integrator):
    claims = sp.Claims(order=1, evaluations={evaluations})
    def integrate(self, reverse, x, t, s, run):
        return x + 0.0 * reverse.score(x, t) + 0.0 * run.noise.normal(x)

@parametrize_with_checks([Noisy()], {{"check_evaluations": "known"}})
def test_solver(check):
    check()
"""


@pytest.fixture
def inside(pytester):
    """Run pytest in this process, in an empty folder: (exit status, what it said)."""

    def run(*words: str, **files: str) -> tuple[int, str]:
        if files:
            pytester.makepyfile(**files)
        result = pytester.runpytest_inprocess("-p", "no:cacheprovider", *words)
        return result.ret, result.stdout.str() + result.stderr.str()

    return run


def pytest_in(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a process and a folder of its own, as a user would."""
    environment = {key: value for key, value in os.environ.items() if "PYTEST" not in key}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words],
        cwd=folder, env={**environment, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(("evaluations", "status", "says"), [(2, 0, "1 xfailed"), (1, 1, "strict")])
def test_expected_failures_are_strict(inside, evaluations, status, says):
    text = TEST_FILE.format(evaluations=evaluations)
    found, out = inside("-k", "Noisy and check_evaluations", test_mine=text)
    assert found == status, out
    assert says in out


def test_what_does_not_apply_is_skipped_with_its_reason(inside):
    words = ("-rs", "-k", "check_directions or check_value")
    _, out = inside(*words, test_mine=TEST_FILE.format(evaluations=1))
    assert "not a FlowIntegrator" in out
    assert "1 passed, 1 skipped" in out


# The pytest plugin


def test_pytest_checks_a_named_solver_without_a_file(inside):
    status, out = inside(
        "--sdeplug-solver", "ode/euler", "--sdeplug-solver", "ode/adams-bashforth:order=3",
        "-k", "check_value or check_spec", "-v",
    )  # fmt: skip
    assert status == 0, out
    assert f"collected {2 * len(selected())} items" in out
    assert "4 passed" in out
    assert "ode/adams-bashforth:order=3::check_spec PASSED" in out


def test_pytest_checks_only_the_solver_unless_a_path_is_given(inside):
    words = ("--sdeplug-solver", "ode/euler", "--sdeplug-fast", "-k", "check_value")
    file = "def test_check_value_too(): pass"
    assert "1 passed" in inside(*words, test_more=file)[1]
    assert "2 passed" in inside(*words, "test_more.py")[1]


@pytest.mark.thorough
@pytest.mark.slow
def test_pytest_spreads_the_checks_over_workers(tmp_path):
    words = ("--sdeplug-solver", "ode/euler", "--sdeplug-fast", "-k", "value or device or memory")
    done = pytest_in(tmp_path, "-n", "2", "-rs", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
    assert torch.cuda.is_available() or "no CUDA device" in done.stdout


def test_pytest_shows_what_a_failed_check_said_and_nothing_more(inside, monkeypatch):
    monkeypatch.setattr(collecting, "named", lambda kind, name: TwiceAsDear())
    status, out = inside("--sdeplug-solver", "mine/dear", "-k", "check_evaluations")
    assert status == 1, out
    assert "it claims evaluations=2 and made 1" in out
    assert "calls.py" not in out


@pytest.mark.parametrize("name", ["ode/eulr", "ode/euler:speed=3", "ode/euler:speed"])
def test_pytest_refuses_a_wrong_name_in_one_line(inside, name):
    status, out = inside("--sdeplug-solver", name)
    assert status == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: --sdeplug-solver" in out


def test_other_runs_of_pytest_import_nothing_of_sdeplug(tmp_path):
    (tmp_path / "test_other.py").write_text(
        "import sys\n"
        "def test_nothing_is_imported():\n"
        "    assert 'sdeplug_pytest' in sys.modules\n"
        "    assert not {'torch', 'sdeplug', 'numpy'} & set(sys.modules)\n"
    )
    done = pytest_in(tmp_path, "-W", "error")
    assert done.returncode == 0, done.stdout


# The command line


def test_check_writes_table_json_and_picture_and_nothing_else(sdeplug, quick, tmp_path):
    status, out, err = sdeplug("check", "ode/euler", "--json", "r.json", "--picture", "r.png")
    assert status == 3  # of the three checks none measures a law
    assert "check_value" in out
    assert not err
    assert not Report.from_json((tmp_path / "r.json").read_text()).failures
    assert {path.name for path in tmp_path.iterdir()} == {"r.json", "r.png"}


def test_check_has_status_1_for_a_failure(sdeplug, monkeypatch):
    def check_in_vain(solver):
        raise CheckFailed("it is wrong")

    monkeypatch.setattr(doors_module, "FAST", (check_in_vain,))
    status, out, _ = sdeplug("check", "ode/adams-bashforth:order=3", "--fast")
    assert status == 1
    assert "AdamsBashforth(order=3): 1 check failed" in out
    assert "it is wrong" in out


def test_check_shows_progress_to_a_person(quick, monkeypatch, capsys):

    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    check.run(check.Request("ode/euler", fast=True))
    out, err = capsys.readouterr()
    assert "4/4" in err
    assert "4/4" not in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--json", "nowhere/r.json"], "--json"),
        (["--picture", "nowhere/r.png"], "--picture"),
        (["--picture", "r.abc"], "ends in"),
    ],
)
def test_check_refuses_a_path_before_it_begins(sdeplug, words, said, monkeypatch):
    monkeypatch.setattr(doors_module, "CHECKS", ())
    status, out, err = sdeplug("check", "ode/euler", *words)
    assert status == 2
    assert said in err
    assert not out


def test_outcomes_of_small_checks(monkeypatch):
    def check_a(solver):
        return Finding("seen", (Curve("c", (1, 2), (0.5, 0.25)),))

    def check_b(solver):
        raise NotApplicable("not for this one")

    monkeypatch.setattr(doors_module, "FAST", (check_a, check_b))
    first, second, _ = check_solver(EULER, fast=True).results
    assert (first.outcome, first.reason, len(first.curves)) == (Outcome.PASSED, "seen", 1)
    assert (second.outcome, second.reason) == (Outcome.NOT_APPLICABLE, "not for this one")
