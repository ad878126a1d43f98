"""Comparisons on a network and data: what is measured, against what, and what is counted."""

from __future__ import annotations

import json
from functools import cache

import pytest
import torch
from common import normal

import sdeplug as sp
from sdeplug import VPSDE, LogSNR, OnGrid, ReverseSDE, SharedNoise, networks, solver
from sdeplug.compare import Comparison, Conditions, Contender, Flow, OnData, Work, compare
from sdeplug.compare.identity import described
from sdeplug.errors import ArgumentError, PairingError
from sdeplug.metrics import FeatureFrechet, SlicedW2, Truth, bures_wasserstein

VP = VPSDE()
LAW = sp.targets.Gaussian([0.5, -1.0], [[1.0, 0.3], [0.3, 0.5]])
DATA = LAW.sample(300, noise=SharedNoise(5))
HEUN, EM, DDIM = map(solver, ("ode/heun", "song/euler-maruyama", "exponential/ddim"))
FEW = Flow(steps=120, rows=7)


def model():
    return networks.from_module(LAW.score(VP), VP, predicts=sp.FromScore, labels=sp.TimeLabel())


ON_DATA = OnData(model(), DATA)


def ends(x):
    """Features of points in the plane that are no more than these points."""
    return x.flatten(1)


def run(solvers, target=ON_DATA, sizes=(0.0,), **options) -> Comparison:
    options = {"nfe": (5, 9), "seeds": 2, "samples": 40, "metrics": (SlicedW2(),), **options}
    return compare(solvers, target, conditions=Conditions(score_errors=sizes, flow=FEW), **options)


@cache
def result() -> Comparison:
    return run({"ddim": DDIM, "heun": HEUN, "em": EM, "auto": solver("exponential/auto")})


def test_runs_end_at_the_data_and_the_denoising_is_in_the_budget():
    spent = {(row.solver, row.budget): row.nfe for row in result().rows}
    assert spent == {
        ("ddim", 5): 5, ("ddim", 9): 9, ("heun", 5): 5, ("heun", 9): 9,
        ("em", 5): 5, ("em", 9): 9, ("auto", 5): 5, ("auto", 9): 9,
    }  # fmt: skip
    assert {row.law.rpartition(", ")[2] for row in result().rows} == {"t = 0"}
    assert "final denoising" in result().notes[0]
    assert result().settings["score"] == "network"


def test_the_error_to_the_flow_is_that_of_the_same_starts():
    (row, _) = (row for row in result().rows if row.solver == "heun")
    reverse = ReverseSDE(VP, LAW.score(VP), 0.0)
    wanted = []
    for seed in (0, 1):
        x = Truth(ON_DATA.target, VP, VP.T, seed).draws(40, "start")[:7].float()
        by = OnGrid(solver("exponential/adams", predictor=4, corrector=4), sp.Karras(120))
        mine = sp.sample(reverse, by=OnGrid(HEUN, LogSNR(2)), x=x).x
        wanted.append(float((mine - sp.sample(reverse, by=by, x=x).x).square().mean().sqrt()))
    assert row.values["flow-rmse"].mean == pytest.approx(sum(wanted) / 2, rel=1e-5)
    assert row.floor["flow-rmse"].mean < 0.2 * row.values["flow-rmse"].mean


def test_runs_with_noise_have_no_error_to_the_flow_and_the_table_says_so():
    table = result().table(times=False).markdown().splitlines()
    place = [cell.strip() for cell in table[0].split("|")].index("flow-rmse")
    found = {}
    for line in table[2:]:
        cells = [cell.strip() for cell in line.split("|")]
        found[cells[1]] = cells[place] if len(cells) > place else ""
    assert found["em"] == "-"
    assert all("±" in found[name] for name in ("ddim", "heun", "exact draws"))


def test_an_error_of_the_score_is_the_flows_as_well():
    both = run({"heun": HEUN}, sizes=(0.0, 0.3), nfe=(61,), seeds=1)
    exact, wrong = (row.values["flow-rmse"].mean for row in both.rows)
    assert max(exact, wrong) < 0.05  # against the flow of the exact score it is 0.3


def test_distances_are_those_to_the_data():
    with pytest.warns(UserWarning, match="are they in its units"):
        far = run({"heun": HEUN}, OnData(model(), DATA + 3.0), nfe=(9,), seeds=1)
    near = run({"heun": HEUN}, nfe=(9,), seeds=1)
    assert near.rows[0].values["sliced-w2"].mean < 0.5 < far.rows[0].values["sliced-w2"].mean


def test_features_of_ones_own_rank_and_are_kept(tmp_path):
    told = []
    metric = {"frechet of ends": FeatureFrechet(ends)}
    for _ in range(2):
        work = Work(resume=tmp_path, on_cell=lambda done, of: told.append((done, of)))
        found = run({"heun": HEUN}, metrics=metric, nfe=(9,), seeds=1, work=work)
    assert told[0] == (0, 4)  # the floor, the run, the flow twice
    assert told[-1] == (4, 4)
    assert told[5] == (4, 4)  # nothing was run again
    assert list(found.metrics) == ["frechet of ends", "flow-rmse"]
    law = (DATA.double().mean(0), DATA.double().T.cov())
    x = Truth(ON_DATA.target, VP, VP.T, 0).draws(40, "start").float()
    x = sp.sample(ReverseSDE(VP, LAW.score(VP)), by=OnGrid(HEUN, LogSNR(4)), x=x).x.double()
    wanted = bures_wasserstein(x.mean(0), x.T.cov(), law) ** 2
    assert found.rows[0].values["frechet of ends"].mean == pytest.approx(wanted, rel=1e-4)


def test_of_several_grids_the_best_is_taken_with_noise_of_its_own():
    good, bad = LogSNR(1), LogSNR(1, power=0.2)
    found = run({"heun": Contender(HEUN, grid=(bad, good))}, seeds=(0, 3), nfe=(9, 17))
    assert len(found.rows) == 2
    for row in found.rows:
        assert "power=1.0" in row.sampler
    alone = run({"heun": Contender(HEUN, grid=good)}, seeds=(0, 3), nfe=(9, 17))
    assert [row.values for row in found.rows] == [row.values for row in alone.rows]
    notes = [note for note in found.notes if note.startswith("heun, 9 evaluations: LogSNR")]
    assert "best of 2 grids by sliced-w2 with the noise of seed 4" in notes[0]


def test_a_solver_with_steps_of_its_own_has_no_choice_of_grids():
    auto = Contender(solver("exponential/auto"), grid=(LogSNR(1), sp.Karras(1)))
    assert not any("best of" in note for note in run({"auto": auto}, nfe=(5,), seeds=1).notes)


def test_what_follows_another_sde_is_not_held_against_the_flow():
    other = VPSDE(beta_max=10.0)
    pipeline = sp.Pipeline(
        ReverseSDE(other, LAW.score(other), 0.0),
        (sp.Leg(other.eps, OnGrid(HEUN, LogSNR(4))), sp.Leg(0.0, sp.Denoise())),
    )
    found = run({"other": pipeline, "heun": HEUN}, nfe=(9,), seeds=1)
    assert ["flow-rmse" in row.values for row in found.rows] == [False, True]


def test_the_error_to_the_flow_is_there_for_targets_as_well():
    found = compare(
        {"heun": HEUN}, LAW, VP, nfe=(8,), seeds=1, samples=20,
        conditions=Conditions(score_errors=0.0, flow=FEW),
    )  # fmt: skip
    assert 0.0 < found.rows[0].values["flow-rmse"].mean < 0.5
    assert found.settings["score"] == "exact"


def test_it_goes_through_a_file_and_onto_a_page():
    assert Comparison.from_json(result().to_json()) == result()
    assert json.loads(result().to_json())["settings"]["metrics"][-1]["name"] == "flow-rmse"
    titles = {panel.get_title(loc="left") for panel in result().plot().axes}
    assert titles == {"the network's score", ""}
    assert result().best(9, "flow-rmse").values["flow-rmse"].mean > 0.0


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda: OnData(LAW.score(VP), DATA), ArgumentError, "from_module"),
        (lambda: OnData(model(), normal(9, 3)), ArgumentError, "must be of shape (B, 2)"),
        (lambda: OnData(of(with_labels), DATA), PairingError, "Bound(network, labels=labels)"),
        (lambda: OnData(of(of_three), DATA), PairingError, "data of shape (2,): must be of the"),
        (lambda: OnData(model(), 255.0 * DATA), ArgumentError, "data / 127.5 - 1"),
        (lambda: run({"heun": HEUN}, metrics=FeatureFrechet(flat)), ArgumentError, "(2, F)"),
        (lambda: OnData(model(), torch.ones(4)), ArgumentError, "data"),
        (lambda: OnData(ranged(), DATA), ArgumentError, "range"),
        (lambda: compare({"heun": HEUN}, ON_DATA, sp.VESDE()), PairingError, "left out"),
        (lambda: compare({"heun": HEUN}, model()), ArgumentError, "OnData"),
        (lambda: compare({"heun": HEUN}, LAW), PairingError, "VPSDE"),
        (lambda: run({"heun": HEUN}, nfe=(2,)), ArgumentError, "one step"),
        (lambda: Contender(HEUN, grid=()), ArgumentError, "at least one grid"),
        (lambda: Contender(HEUN, grid=(LogSNR(2), 3)), ArgumentError, "grid"),
        (lambda: Flow(steps=1), ArgumentError, "steps"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_runs(make, kind, words):
    with pytest.raises(kind) as caught:
        make()
    assert words in str(caught.value)


def of(network):
    return networks.from_module(network, VP, predicts=sp.FromNoise, labels=sp.TimeLabel())


def with_labels(x, t, labels):
    return x


def of_three(x, t):
    return x @ torch.eye(3)


def flat(x):
    return x.sum()


def ranged():
    return networks.Model(model().network, VP, sp.FromScore, data_range=(-1.0, 1.0))


def test_what_is_kept_on_disk_knows_functions_by_their_names():
    """An address would be another one in the next process."""
    assert described(FeatureFrechet(ends)).count("ends") == 1
    assert "0x" not in described(FeatureFrechet(ends))


def test_an_evaluation_that_asks_no_network_is_not_counted():
    score = sp.AnalyticFirst(LAW.score(VP), VP, DATA.mean(0), 1.0)
    legs = (sp.Leg(VP.eps, OnGrid(DDIM, LogSNR(5))), sp.Leg(0.0, sp.Denoise()))
    found = run({"analytic": sp.Pipeline(ReverseSDE(VP, score, 0.0), legs)}, nfe=(5,), seeds=1)
    assert found.rows[0].nfe == 5
    assert 0.0 < found.rows[0].values["flow-rmse"].mean < 0.5
