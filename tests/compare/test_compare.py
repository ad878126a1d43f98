"""The comparison: budgets, common randomness, both axes, executors, and what is kept."""

from __future__ import annotations

import inspect
import json
import math
import multiprocessing
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import ClassVar

import pytest
import torch
from common import SDES, normal
from hypothesis import given
from hypothesis import strategies as st

import sdeplug as sp
from sdeplug import VESDE, VPSDE, Leg, LogSNR, OnGrid, Pipeline, ReverseSDE, option, solver
from sdeplug.compare import (
    Comparison,
    Conditions,
    Contender,
    Estimate,
    PerturbedScore,
    Row,
    Work,
    compare,
)
from sdeplug.compare.contenders import default_solvers
from sdeplug.compare.rows import pareto
from sdeplug.errors import ArgumentError, PairingError, UnknownNameError
from sdeplug.metrics import SlicedW2, stream
from sdeplug.testing import exact_law, marginal_law, relative_error, through

VP = VPSDE()
RING = sp.targets.eight_gaussians()
GAUSS = sp.targets.Gaussian([0.5, -1.0], [[1.0, 0.3], [0.3, 0.5]])
HEUN, EM, ANCESTRAL = map(solver, ("ode/heun", "song/euler-maruyama", "song/ancestral"))


def small(solvers, target=RING, sde=VP, **options) -> Comparison:
    """A quick comparison; what belongs to its conditions or its work is put there."""
    options = {"nfe": (4, 8), "seeds": 2, "samples": 200, "score_errors": (0.0,), **options}
    return compare(solvers, target, sde, **grouped(options))


def grouped(options):
    for name, cls in (("conditions", Conditions), ("work", Work)):
        own = {each.name for each in fields(cls)} & set(options)
        if own:
            options[name] = cls(**{each: options.pop(each) for each in own})
    return options


def numbers(comparison: Comparison) -> str:
    return comparison.to_json(times=False)


@dataclass(frozen=True)
class Recorder(sp.Integrator):
    """Euler-Maruyama that remembers what it was given."""

    claims = sp.Claims(order=1, evaluations=1)
    seen: ClassVar = []

    def integrate(self, reverse, x, t, s, run):
        self.seen.append((x.clone(), t, reverse.level(t), reverse.score(x, t)))
        return EM.integrate(reverse, x, t, s, run)


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


@dataclass(frozen=True)
class Diverging(sp.Integrator):
    claims = sp.Claims(order=1, evaluations=1)

    def integrate(self, reverse, x, t, s, run):
        return x / 0.0 if s < 0.1 else x.clone()


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


def test_one_size_of_the_error_needs_no_brackets():
    assert Conditions(score_errors=0.2) == Conditions(score_errors=[0.2])
    assert Conditions(score_errors=0.2).score_errors == (0.2,)


# Common random numbers


def test_all_solvers_of_a_seed_get_the_same_start_noise_and_score_error():
    Recorder.seen.clear()
    solvers = {"a": Recorder(), "b": Recorder()}
    result = small(solvers, nfe=(3,), seeds=(5, 9), score_errors=(0.0, 0.2))
    rows = {(row.solver, row.score_error): row for row in result.rows}
    for error in (0.0, 0.2):
        assert rows["a", error].values == rows["b", error].values
    runs = [Recorder.seen[n : n + 3] for n in range(0, len(Recorder.seen), 3)]
    starts = [run[0][0] for run in runs]
    for start in starts[1:4]:
        assert torch.equal(starts[0], start)
    assert not torch.equal(starts[0], starts[4])
    exact = sp.Truth(RING, VP, VP.T, 5).draws(200, "start").float()
    assert torch.equal(starts[0], exact)


def test_the_numbers_are_those_of_the_same_run_by_hand():
    result = small({"em": EM}, nfe=(6,), seeds=(3,), metrics=("sliced-w2",), score_errors=(0.3,))
    x = sp.Truth(RING, VP, VP.T, 3).draws(200, "start").float()
    scale = float(RING.covariance.diagonal().mean().sqrt())
    score = PerturbedScore(RING.score(VP), VP, 0.3, 3, scale)
    pipeline = Pipeline(ReverseSDE(VP, score), (Leg(VP.eps, OnGrid(EM, LogSNR(6))),))
    out = pipeline.sample(x.shape, x=x, noise=stream(3, "noise")).x
    truth = sp.Truth(RING, VP, VP.eps, 3)
    (row,) = result.rows
    assert row.values["sliced-w2"] == Estimate(SlicedW2().measure(out, truth))
    draws = truth.draws(200, "floor")
    assert row.floor["sliced-w2"] == Estimate(SlicedW2().measure(draws, truth))
    assert torch.equal(row.points((2,)), out[:400])


def test_the_standard_error_is_over_seeds():
    alone = [small({"em": EM}, nfe=(4,), seeds=(seed,)).rows[0] for seed in (0, 1, 2)]
    values = torch.tensor([row.values["sliced-w2"].mean for row in alone]).double()
    together = small({"em": EM}, nfe=(4,), seeds=3).rows[0].values["sliced-w2"]
    assert together.mean == pytest.approx(float(values.mean()))
    assert together.error == pytest.approx(float(values.std()) / math.sqrt(3))
    assert alone[0].values["sliced-w2"].error is None


def test_the_same_seeds_give_the_same_json_and_others_do_not():
    solvers = {"em": EM, "heun": HEUN}
    first = small(solvers, score_errors=(0.0, 0.1))
    assert numbers(first) == numbers(small(solvers, score_errors=(0.0, 0.1)))
    assert numbers(first) != numbers(small(solvers, score_errors=(0.0, 0.1), seeds=(1, 2)))


# Exact laws


def test_the_exact_law_is_that_of_the_harness():
    result = small({"heun": HEUN, "em": EM}, GAUSS, nfe=(8,), score_errors=(0.0, 0.1))
    for row in result.rows:
        if row.score_error:
            assert row.exact is None
            continue
        by = OnGrid(HEUN, LogSNR(4)) if row.solver == "heun" else OnGrid(EM, LogSNR(8))
        pipeline = Pipeline(ReverseSDE(VP, GAUSS.score(VP)), (Leg(VP.eps, by),))
        start, wanted = (marginal_law(GAUSS, VP, t) for t in (VP.T, VP.eps))
        law = exact_law(through(pipeline), start)
        error = float(relative_error(law, wanted).square().mean().sqrt())
        assert row.exact == pytest.approx(error, rel=1e-9)
        assert row.nfe == 8  # the probes are not charged


def test_there_is_no_exact_law_for_mixtures_nor_for_what_is_not_affine():
    assert all(row.exact is None for row in small({"em": EM}).rows)

    @dataclass(frozen=True)
    class Bent(sp.Integrator):
        claims = sp.Claims(order=1, evaluations=1, affine=False)

        def integrate(self, reverse, x, t, s, run):
            return EM.integrate(reverse, x + 0.01 * x.sin(), t, s, run)

    assert [row.exact for row in small({"bent": Bent()}, GAUSS, nfe=(4,)).rows] == [None]


# The error of the score


@given(st.sampled_from(SDES), st.floats(0.05, 0.95), st.integers(1, 5))
def test_the_error_of_the_predicted_noise_has_the_stated_size(sde, part, dimension):
    t = sde.eps + part * (sde.T - sde.eps)
    marginal = sde.at(t)
    x = math.hypot(marginal.alpha, marginal.sigma) * normal(3, dimension)
    times = torch.full((3,), t, dtype=torch.float64)
    errors = []
    for seed in range(60):
        perturbed = PerturbedScore(lambda x, t: -x, sde, 0.25, seed)
        errors.append(marginal.sigma * (perturbed(x, times) + x) / 0.25)
    assert float(torch.stack(errors).square().mean()) == pytest.approx(1.0, abs=0.45)


def test_the_field_is_smooth_and_forgets_in_space_and_in_time():
    def correlation(other, t):
        values = []
        for seed in range(400):
            field = PerturbedScore(RING.score(VP), VP, 1.0, seed).field
            a = field(torch.zeros(1, 2).double(), torch.tensor([0.5]).double())
            b = field(other.expand(1, 2).double(), torch.tensor([t]).double())
            values.append(float((a * b).mean()))
        return sum(values) / len(values)

    near, far = torch.tensor([0.05, 0.0]), torch.tensor([30.0, 0.0])
    assert correlation(near, 0.5) == pytest.approx(1.0, abs=0.15)
    assert correlation(far, 0.5) == pytest.approx(0.0, abs=0.15)
    later = float(VP.time_at(torch.tensor(VP.at(0.5).log_snr + 0.05).double()))
    assert correlation(torch.zeros(2), later) == pytest.approx(1.0, abs=0.15)
    assert correlation(torch.zeros(2), 0.05) == pytest.approx(0.0, abs=0.15)


def test_the_field_is_that_of_its_seed_in_any_batch_and_dtype():
    score = RING.score(VP)
    one, other = PerturbedScore(score, VP, 0.1, 1), PerturbedScore(score, VP, 0.1, 2)
    x, t = normal(6, 2), torch.full((6,), 0.3, dtype=torch.float64)
    assert torch.equal(one(x, t), PerturbedScore(score, VP, 0.1, 1)(x, t))
    torch.testing.assert_close(one(x, t)[2:3], one(x[2:3], t[2:3]))
    torch.testing.assert_close(one(x.float(), t.float()), one(x, t).float(), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(one(x, t), other(x, t))
    assert one.field(normal(2, 1, 4, 4), t[:2]).shape == (2, 1, 4, 4)
    with pytest.raises(ArgumentError, match="at least 0"):
        PerturbedScore(score, VP, -0.1)


@pytest.mark.slow
def test_with_an_error_of_the_score_noise_wins_and_without_it_the_flow_does():
    """The ranking turns: a flow carries the error along, noise forgets it."""
    solvers = {
        "flow": OnGrid(solver("ode/heun"), LogSNR(32)),
        "noise": OnGrid(solver("song/ancestral"), LogSNR(64)),
    }
    result = compare(solvers, RING, VP, seeds=5, samples=2000)
    flow, noise, flow_off, noise_off = (row.values["mode-moments"] for row in result.rows)
    assert flow.mean < 0.8 * noise.mean
    spoiled, kept = (result.at(0.1)[n].values["sliced-w2"] for n in (0, 1))
    assert kept.mean < 0.65 * spoiled.mean
    assert flow_off.mean > flow.mean
    assert noise_off.mean > noise.mean


# Executors


def test_threads_change_no_bit():
    solvers = {"em": EM, "heun": HEUN, "bad": Diverging()}
    options = {"score_errors": (0.0, 0.1)}
    with ThreadPoolExecutor(4) as pool:
        threaded = small(solvers, executor=pool, **options)
    assert numbers(threaded) == numbers(small(solvers, **options))


@pytest.mark.slow
@pytest.mark.thorough
def test_processes_change_no_bit():
    solvers = {"em": EM, "heun": HEUN}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        apart = small(solvers, GAUSS, executor=pool)
    assert numbers(apart) == numbers(small(solvers, GAUSS))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of the cluster's own packages
def test_a_dask_cluster_changes_no_bit():
    distributed = pytest.importorskip("distributed")
    solvers = {"em": EM, "heun": HEUN}
    with distributed.Client(
        processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None
    ) as client:
        apart = small(solvers, executor=client.get_executor())
    assert numbers(apart) == numbers(small(solvers))


def test_the_number_of_threads_is_as_it_was():
    torch.set_num_threads(2)
    try:
        small({"em": EM}, nfe=(2,))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_an_error_in_a_solver_ends_the_comparison():
    @dataclass(frozen=True)
    class Broken(sp.Integrator):
        claims = sp.Claims(order=1, evaluations=1)

        def integrate(self, reverse, x, t, s, run):
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        small({"broken": Broken()})
    with ThreadPoolExecutor(2) as pool, pytest.raises(RuntimeError, match="a bug"):
        small({"broken": Broken()}, executor=pool)


# What is kept


@pytest.mark.parametrize("threads", [0, 2])
def test_an_interrupted_comparison_loses_nothing(tmp_path, threads):
    solvers, counts = {"rec": Recorder(), "em": EM}, []

    def stop(done, of):
        counts.append((done, of))
        if done == 5:
            raise KeyboardInterrupt

    pool = ThreadPoolExecutor(threads) if threads else None
    with pytest.raises(KeyboardInterrupt):
        small(solvers, resume=tmp_path, on_cell=stop, executor=pool)
    if pool:
        pool.shutdown()
    kept = len(list(tmp_path.glob("*.json")))
    assert kept >= 5
    assert not list(tmp_path.glob(".*"))
    counts.clear()
    Recorder.seen.clear()
    result = small(solvers, resume=tmp_path, on_cell=lambda *each: counts.append(each))
    total = 2 + 2 * 4  # floors, and runs
    assert counts == [(done, total) for done in range(kept, total + 1)]
    again = small(solvers, resume=tmp_path, on_cell=lambda *each: counts.append(each))
    assert counts[-1] == (total, total)
    assert again.to_json() == result.to_json()  # times and all
    assert numbers(again) == numbers(small(solvers))


class Immediate(Executor):
    """Everything is finished before the first outcome is looked at."""

    def submit(self, function, *arguments):
        future = Future()
        future.set_result(function(*arguments))
        return future


def test_what_was_finished_but_not_yet_seen_is_kept_too(tmp_path):
    def stop(done, of):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small({"em": EM}, resume=tmp_path, on_cell=stop, executor=Immediate())
    assert len(list(tmp_path.glob("*.json"))) == 2 + 4


def test_what_is_kept_is_used_for_nothing_else(tmp_path):
    def missing(solvers, **options) -> int:
        counts = []
        small(solvers, resume=tmp_path, on_cell=lambda *each: counts.append(each), **options)
        return counts[-1][1] - counts[0][0]

    base = {"em": EM}
    assert missing(base) == 2 + 4
    assert missing(base) == 0
    assert missing({"another name": EM}) == 0
    assert missing({"em": solver("song/euler-maruyama", reference_steps=1000)}) == 4
    assert missing({"h": OnGrid(EM, LogSNR(4, power=0.9))}) == 2
    assert missing({"l": Contender(EM, 0.5)}) == 4
    assert missing(base, nfe=(4, 9)) == 2
    assert missing(base, seeds=3) == 1 + 2
    assert missing(base, score_errors=(0.1,)) == 4
    assert missing(base, samples=201) == 6
    assert missing(base, metrics=("mode-weights",)) == 6
    near = sp.targets.GaussianMixture(None, RING.means + 1e-9, std=0.1)
    assert missing(base, target=near) == 6
    assert missing(base, sde=VPSDE(beta_max=19.0)) == 6


def test_solvers_of_one_name_from_two_modules_are_told_apart(tmp_path):
    from sdeplug.compare.identity import described

    @dataclass(frozen=True)
    class Heun(sp.Integrator):
        def integrate(self, reverse, x, t, s, run):
            return x

    assert repr(Heun()).endswith(repr(HEUN))
    assert described(Heun()) != described(HEUN)


def test_a_file_that_is_not_whole_is_made_anew(tmp_path):
    first = small({"em": EM}, resume=tmp_path)
    files = sorted(tmp_path.glob("*.json"))
    files[0].write_text(files[0].read_text()[:20])
    files[1].write_text('{"nfe": 3}')
    assert numbers(small({"em": EM}, resume=tmp_path)) == numbers(first)
    assert json.loads(files[0].read_text())["values"]


# Failures


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
