"""The doors of the harness: check_solver, parametrize_with_checks, pytest, the command line."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import pytest
import torch
from testing.doors.quick import EULER, TooFar

from sdeplug.errors import ArgumentError, MissingExtraError, PairingError
from sdeplug.testing import FAST, Outcome, Report, check_solver, parametrize_with_checks
from sdeplug.testing.doors import doors as doors_module
from sdeplug.testing.doors import selected
from sdeplug.testing.findings import Curve, Result, Spectrum

pytest_plugins = ["pytester"]


@pytest.fixture(scope="module")
def good() -> Report:
    return check_solver(EULER, fast=True)


@pytest.fixture(scope="module")
def bad() -> Report:
    return check_solver(TooFar(), fast=True)


def test_a_report_has_one_result_for_each_check(good):
    assert [each.name for each in good.results] == [check.__name__ for check in selected(True)]
    assert [check.__name__ for check in selected(True)[:-1]] == [check.__name__ for check in FAST]
    assert good.passed
    assert "all promises kept" in str(good)
    assert all(each.reason for each in good.results if each.outcome is Outcome.NOT_APPLICABLE)


def test_a_report_of_a_wrong_solver_says_what_is_wrong(bad):
    assert not bad.passed
    assert {"check_marginals", "check_directions"} & {each.name for each in bad.failures}
    assert f"{len(bad.failures)} check" in bad.words
    assert "FAILED" in str(bad)


def test_results_come_one_by_one(quick):
    seen = []
    report = check_solver(EULER, on_result=seen.append)
    assert tuple(seen) == report.results


def test_an_error_is_a_failure_and_threads_are_given_back(monkeypatch):
    def check_that_breaks(solver):
        assert torch.get_num_threads() == 1
        raise RuntimeError("oh dear")

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    monkeypatch.setattr(doors_module, "FAST", (check_that_breaks,))
    try:
        report = check_solver(EULER, fast=True)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert report.failures[0].reason == "RuntimeError: oh dear"


@pytest.mark.parametrize("door", [check_solver, lambda solver: parametrize_with_checks([solver])])
@pytest.mark.parametrize("thing", [type(EULER), "ode/euler", None])
def test_what_is_no_instance_is_refused(door, thing):
    with pytest.raises(PairingError, match="Integrator or Corrector"):
        door(thing)


@pytest.mark.parametrize("door", [check_solver, lambda solver: parametrize_with_checks([solver])])
def test_without_hypothesis_the_doors_say_what_to_install(door, monkeypatch):
    monkeypatch.setattr(doors_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"hypothesis.*sdeplug\[check\]"):
        door(EULER)


def test_the_harness_is_imported_without_hypothesis_pytest_and_matplotlib():
    code = (
        "import sys\n"
        "for name in ('hypothesis', 'pytest', 'matplotlib'): sys.modules[name] = None\n"
        "import sdeplug.testing, sdeplug\n"
        "try: sdeplug.testing.Report('x', ()).picture()\n"
        "except sdeplug.MissingExtraError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "sdeplug[plots]" in done.stdout


# JSON and pictures


def test_a_report_survives_json(good, bad):
    for report in (good, bad):
        assert Report.from_json(report.to_json()) == report
        assert json.loads(report.to_json())["solver"] == report.solver


def test_json_has_no_number_that_json_has_not():
    curve = Curve("a", (1, 2), (math.inf, 1.0))
    spectrum = Spectrum("b", (1.0,), (-math.inf,))
    report = Report("S()", (Result("check_x", Outcome.FAILED, "", (curve,), 0.5, (spectrum,)),))
    text = report.to_json()
    assert "Infinity" not in text
    assert Report.from_json(text) == report


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"solver": "x", "results": [3]}', "null"])
def test_what_is_no_report_is_refused(text):
    with pytest.raises(ArgumentError, match=r"to_json"):
        Report.from_json(text)


def test_a_picture_shows_orders_and_the_law_that_is_wrong(good, bad, tmp_path):
    for report in (good, bad, Report("S()", ())):
        figure = report.picture()
        figure.savefig(tmp_path / "report.png")
        titles = " ".join(axes.get_title() for axes in figure.axes)
        assert ("check_marginals" in titles) == bool(report.results)
    assert (tmp_path / "report.png").stat().st_size > 3000
    assert any(each.spectra for each in bad.failures)
