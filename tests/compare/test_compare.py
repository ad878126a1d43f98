"""The comparison: budgets, common randomness, both axes, executors, and what is kept."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from common import normal
from compare.small import EM, HEUN, RING, VP, Recorder, small

import sdeplug as sp
from sdeplug import Leg, LogSNR, OnGrid, Pipeline, ReverseSDE, option, solver
from sdeplug.compare import (
    Conditions,
    Contender,
    Work,
    compare,
)
from sdeplug.compare.contenders import default_solvers
from sdeplug.errors import ArgumentError
from sdeplug.metrics import SlicedW2


@dataclass(frozen=True)
class Adaptive(sp.Integrator):
    """As many Euler steps as its tolerance asks for; too loose a one diverges."""

    rtol: float = option(1e-3, help="tolerance", gt=0.0)
    atol: float = option(1e-5, help="tolerance", gt=0.0)
    claims = sp.Claims(stochastic=False, affine=False)

    def integrate(self, reverse, x, t, s, run):
        if self.rtol > 0.5:
            return x / 0.0
        steps = math.ceil(self.rtol**-0.5)
        return OnGrid(solver("ode/euler"), LogSNR(steps)).integrate(reverse, x, t, s, run)


@dataclass(frozen=True)
class OwnSteps(sp.Integrator):
    """A sampler with steps of its own, three evaluations at the start."""

    steps: int = option(18, help="steps", ge=1)
    claims = sp.Claims(stochastic=False)

    def integrate(self, reverse, x, t, s, run):
        for _ in range(3):
            reverse.score(x, t)
        return OnGrid(HEUN, LogSNR(self.steps)).integrate(reverse, x, t, s, run)


# Budgets


@pytest.mark.parametrize("budget", [10, 20, 50])
def test_every_default_solver_spends_what_it_can(budget):
    result = small(default_solvers(), nfe=(budget,), seeds=1, samples=5)
    assert len(result.rows) == 8
    for row in result.rows:
        each = {"heun": 2, "rk4": 4}.get(row.solver, 1)
        assert row.nfe == budget - budget % each
        assert row.budget == budget


def test_a_budget_too_small_for_a_step_has_no_row_and_a_note():
    result = small({"rk4": solver("ode/rk4"), "em": EM}, nfe=(3, 8))
    assert [(row.solver, row.budget) for row in result.rows] == [("rk4", 8), ("em", 3), ("em", 8)]
    assert len(result.notes) == 1
    assert result.notes[0].startswith("rk4: no row of its own for 3")


def test_no_row_at_all_is_an_error():
    with pytest.raises(ArgumentError, match="enough for one step"):
        small({"rk4": solver("ode/rk4")}, nfe=(3,))


def test_an_adaptive_solver_gets_the_tightest_tolerance_within_the_budget():
    result = small({"adaptive": Adaptive()}, nfe=(5, 12, 40))
    rungs = [10.0 ** (-k / 4) for k in range(37)]
    for row in result.rows:
        fitting = [tol for tol in rungs if math.ceil(tol**-0.5) <= row.budget]
        assert f"rtol={min(fitting)!r}" in row.sampler
        assert row.nfe == math.ceil(min(fitting) ** -0.5)
        assert f"atol={min(fitting) * 1e-5 / 1e-3!r}" in row.sampler


def test_an_adaptive_solver_that_cannot_be_so_cheap_is_shown_at_its_cheapest():
    @dataclass(frozen=True)
    class Dear(Adaptive):
        rtol: float = option(1e-3, help="tolerance", gt=0.0)

        def integrate(self, reverse, x, t, s, run):
            return OnGrid(solver("ode/euler"), LogSNR(9)).integrate(reverse, x, t, s, run)

    result = small({"dear": Dear()}, nfe=(4, 8))
    assert [(row.budget, row.nfe) for row in result.rows] == [(4, 9)]
    # The reason stands under the table, in every form of it.
    (note,) = (each for each in result.notes if "(budget 4)" in each)
    assert note.startswith("dear: 9 evaluations (budget 4): ")
    assert "loosest" in note
    assert "dear: 9 evaluations (budget 4)" in str(result.table())
    for text in (result.to_html(), result.table().html()):
        assert note in text


def test_what_spends_more_than_its_budget_says_why():
    result = small(
        {"mine": lambda nfe: OnGrid(EM, LogSNR(nfe + 3)), "em": EM}, score_errors=(0.0, 0.2)
    )
    (note,) = result.notes
    assert note.startswith("mine: 7 evaluations (budget 4), 11 evaluations (budget 8), 7")
    assert "(budget 8, score error 0.2): that is what its function gave" in note


def test_what_has_collapsed_is_the_last_on_own_data():
    @dataclass(frozen=True)
    class Collapsed(sp.Integrator):
        """The same point of the data for everybody."""

        claims = sp.Claims(order=1, evaluations=1, stochastic=False)

        def integrate(self, reverse, x, t, s, run):
            return data.means[:1].to(x) + 0.01 * normal(*x.shape).to(x)

    data = sp.targets.Empirical(0.5 * normal(40, 3, seed=2))
    result = small({"flat": Collapsed(), "heun": HEUN, "em": EM}, data, nfe=(8,), samples=400)
    for name, higher in result.metrics.items():
        if name not in ("nearest-neighbour", "precision", "density"):
            sign = -1.0 if higher else 1.0
            values = {row.solver: sign * row.values[name].mean for row in result.rows}
            assert max(values, key=values.get) == "flat", name
    assert next(iter(result.metrics)) == "sliced-w2"
    assert result.best(8).solver != "flat"
    assert "diversity: coverage" in result.trilemma().columns


def test_a_solver_with_steps_of_its_own_gets_as_many_as_the_budget_has():
    rows = small({"own": OwnSteps()}, nfe=(4, 8, 20)).rows
    assert [(row.budget, row.nfe) for row in rows] == [(8, 7), (20, 19)]


def test_a_multistep_method_is_charged_for_its_start():
    by = solver("ode/adams-bashforth", order=3)
    rows = small({"adams": by}, nfe=(10, 20)).rows
    assert [row.nfe for row in rows] == [10, 20]
    rows = small({"adams": by}, nfe=(2, 3, 4, 8)).rows
    assert [(row.budget, row.nfe) for row in rows] == [(4, 4), (8, 8)]


def test_a_function_gets_the_budget_and_a_pipeline_runs_as_it_is():
    asked = []

    def factory(nfe):
        asked.append(nfe)
        return OnGrid(HEUN, sp.Karras(nfe // 4))

    legs = (Leg(0.5, OnGrid(EM, LogSNR(3))), Leg(VP.eps, OnGrid(HEUN, LogSNR(2))))
    pipeline = Pipeline(ReverseSDE(VP, RING.score(VP)), legs)
    result = small({"factory": factory, "pipe": pipeline, "grid": OnGrid(EM, sp.Uniform(5))})
    assert asked == [4, 8]
    found = [(row.solver, row.budget, row.nfe) for row in result.rows]
    assert found == [("factory", 4, 2), ("factory", 8, 4), ("pipe", None, 7), ("grid", None, 5)]
    assert "Karras(steps=2" in result.rows[1].sampler


def test_a_contender_has_its_own_grid_and_stochasticity():
    Recorder.seen.clear()
    small(
        {"mine": Contender(Recorder(), 0.5, sp.Uniform(1)), "plain": Recorder()},
        nfe=(2,), seeds=1, grid=sp.Quadratic(7), stochasticity=1.25,
    )  # fmt: skip
    seen = [(t, level) for x, t, level, _ in Recorder.seen if len(x) == 200]
    wanted = [(sp.Uniform(2), 0.5), (sp.Quadratic(2), 1.25)]
    assert seen == [(t, level) for grid, level in wanted for t in grid.times(VP.T, VP.eps, VP)[:-1]]


def test_a_comparison_takes_six_settings_beside_the_problem():
    parameters = inspect.signature(compare).parameters
    assert list(parameters)[:3] == ["solvers", "target", "sde"]
    assert len(parameters) <= 3 + 6
    for wrong in ({"conditions": (0.0,)}, {"work": 2}):
        with pytest.raises(ArgumentError, match=next(iter(wrong))):
            compare({"em": EM}, RING, VP, **wrong)


@pytest.mark.parametrize(
    ("one", "several"),
    [
        ({"nfe": 4}, {"nfe": (4,)}),
        ({"nfe": torch.tensor([3, 4])}, {"nfe": [3, 4]}),
        ({"seeds": np.int64(2)}, {"seeds": (0, 1)}),
        ({"seeds": np.array([5, 3])}, {"seeds": (5, 3)}),
        ({"metrics": "sliced-w2"}, {"metrics": (SlicedW2(),)}),
        ({"metrics": SlicedW2()}, {"metrics": {"sliced-w2": SlicedW2()}}),
    ],
)
def test_what_is_given_alone_or_in_an_array_is_the_same(one, several):
    usual = {"nfe": (3,), "seeds": 1, "samples": 8, "conditions": Conditions(score_errors=0.0)}
    found = [compare({"em": EM}, RING, VP, **usual | each) for each in (one, several)]
    assert found[0].rows[0].values == found[1].rows[0].values
    assert found[0].settings == found[1].settings


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"nfe": None}, "nfe = None: must be rising whole numbers"),
        ({"nfe": "10"}, "nfe = '10': must be rising"),
        ({"nfe": (5, 3)}, r"nfe = \(5, 3\): must be rising"),
        ({"nfe": 0}, "nfe = 0: must be"),
        ({"seeds": -1}, "seeds = -1: must be how many"),
        ({"seeds": "a"}, "seeds = 'a': must be how many"),
        ({"seeds": (1, 1)}, r"seeds = \(1, 1\): must be"),
        ({"seeds": True}, "seeds = True: must be"),
        ({"metrics": SlicedW2}, "metrics = .*FeatureFrechet"),
    ],
)
def test_what_is_no_budget_seed_or_metric_is_told_as_it_was_given(given, says):
    with pytest.raises(ArgumentError, match=says):
        compare({"em": EM}, RING, VP, **given)


def test_a_folder_that_cannot_be_is_told_before_the_run(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "under"):
        with pytest.raises(ArgumentError, match=r"resume = .*must be a folder"):
            Work(resume=path)


def test_one_size_of_the_error_needs_no_brackets():
    assert Conditions(score_errors=0.2) == Conditions(score_errors=[0.2])
    assert Conditions(score_errors=0.2).score_errors == (0.2,)
