"""The comparison: failures, refused arguments, and which rows are best."""

from __future__ import annotations

import math

import pytest
from compare.small import EM, HEUN, RING, VP, Diverging, Recorder, grouped, small

import sdeplug as sp
from sdeplug import VESDE, Leg, LogSNR, OnGrid, Pipeline, ReverseSDE, solver
from sdeplug.compare import (
    Comparison,
    Estimate,
    Row,
    compare,
)
from sdeplug.compare.rows import pareto
from sdeplug.errors import ArgumentError, PairingError, UnknownNameError


def test_a_run_that_diverges_is_a_row_without_values():
    result = small({"bad": Diverging(), "em": EM})
    bad, good = result.rows[0], result.rows[2]
    assert bad.failure.startswith("2 of 2 runs: diverged at t = ")
    assert bad.values == {}
    assert good.values
    assert result.best(100).solver == "em"
    assert "diverged" in str(result.table())
    assert Comparison.from_json(result.to_json()) == result
    with pytest.raises(ArgumentError, match="enough for a row"):
        small({"bad": Diverging()}).best(100)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"solvers": {}}, ArgumentError, "at least one label"),
        ({"solvers": [EM]}, ArgumentError, "mapping"),
        ({"solvers": {"x": solver("song/langevin")}}, PairingError, "an Integrator"),
        ({"solvers": {"x": type(EM)}}, PairingError, "an Integrator"),
        ({"solvers": {"x": lambda nfe: "heun"}}, PairingError, "gave 'heun'"),
        ({"target": "ring"}, ArgumentError, "a Target"),
        ({"sde": "vp"}, PairingError, "LinearSDE"),
        ({"nfe": ()}, ArgumentError, "nfe"),
        ({"nfe": (20, 10)}, ArgumentError, "rising"),
        ({"nfe": (0, 10)}, ArgumentError, "at least 1"),
        ({"nfe": (1.5,)}, ArgumentError, "whole"),
        ({"seeds": 0}, ArgumentError, "seeds"),
        ({"seeds": (1, 1)}, ArgumentError, "seeds"),
        ({"seeds": True}, ArgumentError, "seeds"),
        ({"samples": 1}, ArgumentError, "samples"),
        ({"score_errors": ()}, ArgumentError, "score_errors"),
        ({"score_errors": (-0.1,)}, ArgumentError, "score_errors"),
        ({"score_errors": "all"}, ArgumentError, "score_errors"),
        ({"score_errors": (math.nan,)}, ArgumentError, "score_errors"),
        ({"executor": 2}, ArgumentError, "an Executor"),
        ({"on_cell": "bar"}, ArgumentError, "on_cell"),
        ({"resume": 3}, ArgumentError, "path of a folder"),
        ({"stochasticity": -1.0}, ArgumentError, "stochasticity"),
        ({"grid": sp.At((0.5,))}, ArgumentError, "number of steps"),
        ({"metrics": ()}, ArgumentError, "at least one"),
        ({"metrics": ("sliced-w2", "sliced-w2")}, ArgumentError, "names that differ"),
        ({"metrics": ("sliced-w3",)}, UnknownNameError, "Did you mean 'core/sliced-w2'"),
        ({"metrics": ("frechet",)}, ArgumentError, "one that suits"),
        ({"metrics": {"x": 3}}, ArgumentError, "a Metric"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_runs(change, error, said):
    Recorder.seen.clear()
    arguments = {"solvers": {"rec": Recorder()}, "target": RING, "sde": VP, **change}
    with pytest.raises(error, match=said):
        compare(**grouped(arguments))
    assert Recorder.seen == []


def test_a_folder_to_resume_from_is_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArgumentError, match="a folder"):
        small({"em": EM}, resume=tmp_path / "file")


# The best


def row(nfe: float, value: float, name: str = "x", error: float = 0.0) -> Row:
    floor = {"m": Estimate(1.0, error)}
    return Row(name, name, None, 0.0, "", nfe, nfe, 0.0, {"m": Estimate(value)}, floor)


def test_the_front_has_what_is_neither_dearer_nor_worse():
    rows = [row(10, 9.0), row(10, 8.0), row(20, 8.5), row(30, 5.0), row(40, 5.0), row(50, 4.0)]
    front = pareto(rows, lambda each: each.nfe, "m", higher=False)
    assert [(each.nfe, each.values["m"].mean) for each in front] == [
        (10, 8.0),
        (30, 5.0),
        (50, 4.0),
    ]
    up = pareto(rows, lambda each: each.nfe, "m", higher=True)
    assert [each.values["m"].mean for each in up] == [9.0]


def test_at_the_floor_the_cheaper_one_is_better():
    rows = [row(10, 3.0), row(20, 1.15, error=0.1), row(30, 0.9, error=0.1), row(40, 0.1)]
    front = pareto(rows, lambda each: each.nfe, "m", higher=False)
    assert [each.nfe for each in front] == [10, 20, 40]  # the last has another floor
    high = [row(10, 0.2, error=0.1), row(20, 0.85, error=0.1), row(30, 1.4, error=0.1)]
    assert [each.nfe for each in pareto(high, lambda each: each.nfe, "m", True)] == [10, 20]


def test_best_keeps_the_budget():
    result = small({"em": EM, "heun": HEUN}, nfe=(4, 30), samples=2000)
    for budget in (4, 29, 30):
        assert result.best(budget).nfe <= budget
    within = [each for each in result.rows if each.nfe <= 4]
    least = min(each.values["mode-moments"].mean for each in within)
    assert result.best(4, "mode-moments").values["mode-moments"].mean == least
    with pytest.raises(ArgumentError, match="enough for a row"):
        result.best(3)
    with pytest.raises(ArgumentError, match="one of sliced-w2"):
        result.best(10, "entropy")
    with pytest.raises(ArgumentError, match="score_error"):
        result.best(10, score_error=0.1)


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(0.123456, 0.00123), "0.1235 ± 0.0012"),
        (Estimate(12.3456, 1.2), "12.3 ± 1.2"),
        (Estimate(1234.5, 12.0), "1234 ± 12"),
        (Estimate(0.5), "0.5"),
        (Estimate(1.23456e-5, 1.2e-7), "(1.235 ± 0.012)e-5"),
        (Estimate(1.5, 0.0), "1.5"),
    ],
)
def test_two_digits_of_the_error_are_shown(estimate, text):
    assert str(estimate) == text


def test_pipelines_may_bring_another_sde_and_another_end():
    ve = VESDE(sigma_max=10.0)
    legs = (Leg(ve.eps, OnGrid(EM, LogSNR(4))), Leg(0.0, sp.Denoise()))
    mine = Pipeline(ReverseSDE(ve, RING.score(ve)), legs)
    result = small({"ve": mine, "em": EM}, nfe=(5,), metrics=("sliced-w2",))
    assert {each.law for each in result.rows} == {f"{ve!r}, t = 0", f"{VP!r}, t = 0.001"}
    first, second = result.rows
    assert first.floor != second.floor
    assert "exact draws, VESDE" in str(result.table())
