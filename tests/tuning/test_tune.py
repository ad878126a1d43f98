"""What a tuning chooses, what it spends, and what it refuses."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from unittest.mock import ANY

import pytest
import torch

from sdeplug import (
    VPSDE,
    Integrator,
    LogSNR,
    Pipeline,
    ReverseSDE,
    SharedNoise,
    Uniform,
    calibrate,
    read_spec,
    solver,
    targets,
    tune,
)
from sdeplug.compare import Contender, Estimate
from sdeplug.errors import ArgumentError, PairingError, RunError
from sdeplug.tuning import Fitting, Proof, Race, Trial, Tuning
from sdeplug.tuning.candidates import default_candidates, starters
from sdeplug.tuning.search import searched
from sdeplug.tuning.yardstick import yardstick

LAW, SDE = targets.eight_gaussians(), VPSDE()
REVERSE = ReverseSDE(SDE, LAW.score(SDE))
POINTS = LAW.sample(200, noise=SharedNoise(3))
RACE = Race(samples=64, rounds=2)
ADAMS = solver("exponential/adams", predictor=3)
EULER = solver("song/euler-maruyama")
FIVE = {
    "bad": Contender(EULER, 1.0, Uniform(1)),
    "good": Contender(ADAMS, 0.0, LogSNR(1)),
    "also good": Contender(ADAMS, 0.0, LogSNR(1)),
    "worse": Contender(EULER, 2.0, Uniform(1)),
    "rough": Contender(ADAMS, 0.0, Uniform(1)),
}


def tuned(**options):
    return tune(REVERSE, POINTS, 8, **{"candidates": FIVE, "race": RACE, **options})


@cache
def usual():
    return tuned()


def test_the_best_runs_all_samples_and_the_poor_ones_few():
    trials = {each.label: each for each in usual().trials}
    assert usual().label == "good"
    assert [each.label for each in usual().trials][:2] == ["good", "also good"]
    assert {label for label, each in trials.items() if each.samples == 64} == {"good", "also good"}
    assert {each.samples for each in usual().trials[2:]} == {32}
    assert all(each.behind.mean > 0.0 for each in usual().trials[2:])
    assert all(t.behind.mean > 2.5 * t.behind.error for t in map(trials.get, ("rough", "worse")))


def test_candidates_that_are_one_get_the_same_random_numbers():
    assert usual().trials[1].behind == Estimate(0.0, 0.0)


def test_it_spends_what_the_rounds_say():
    assert usual().rows == 8 * (5 * 32 + 2 * 32 + 2 * 64)
    assert {each.nfe for each in usual().trials} == {8}


def test_how_many_run_together_changes_nothing():
    few = tuned(race=Race(samples=64, rounds=2, batch=24))
    assert [e.distance.mean for e in few.trials] == pytest.approx(
        [e.distance.mean for e in usual().trials], rel=1e-3, abs=1e-5
    )


def test_other_data_and_other_noise_prove_the_choice():
    seen = []

    def distance(some, data):
        seen.append((float(some.sum()), frozenset(data[:, 0].tolist())))
        return float((some.mean(0) - data.mean(0)).norm())

    tuned(candidates={"good": FIVE["good"]}, race=Race(samples=32, rounds=1), distance=distance)
    _, choice, proof = seen[0], seen[1], seen[10]  # the first tries the distance
    assert len(choice[1]) == len(proof[1]) == 100
    assert not choice[1] & proof[1]
    assert choice[0] != proof[0]


def test_what_is_saved_samples_the_same(tmp_path):
    usual().save(tmp_path / "sampler.toml")
    again = Pipeline.from_spec(read_spec(tmp_path / "sampler.toml"), LAW.score)
    assert torch.equal(again.sample((4, 2)).x, usual().pipeline.sample((4, 2)).x)
    assert usual().pipeline.reverse.score_model is REVERSE.score_model
    assert usual().pipeline.sample((4, 2)).nfe == 8


def test_luck_is_told():
    def with_gain(gain, label="good"):
        trials = [each for each in usual().trials if each.label == "good"]
        proof = Proof(Estimate(1.0, 0.1), Estimate(2.0, 0.1), gain, Estimate(0.0, 0.1))
        one = type(trials[0])(label, 8, 64, Estimate(1.0, 0.1), Estimate(0.0, 0.0))
        return Tuning((one,), proof, usual().pipeline, "distance", 8, 0, 0.0).told

    assert "better than auto by" in with_gain(Estimate(1.0, 0.2))
    assert "no better than auto for certain" in with_gain(Estimate(1.0, 0.6))
    told = with_gain(Estimate(0.0, 0.0), "auto")
    assert "Nothing was found that is better" in told
    assert told.count("auto") == 1


def test_it_shows_itself():
    text = str(usual())
    assert "energy distance" in text
    assert "On other data good is at" in text.replace("\n", " ")
    assert repr(usual()).startswith("Tuning('good' of 5 at 8:")
    pytest.importorskip("matplotlib")
    assert "data:image/png" in usual()._repr_html_()


@pytest.mark.parametrize(("far", "scale"), [(70.0, "linear"), (90.0, "log")])
def test_distances_that_are_far_apart_are_told_apart(far, scale):
    raced = pytest.importorskip("sdeplug.tuning.race_pictures").raced
    trials = [Trial(f"{d}", 8, 64, Estimate(d, 0.5), Estimate(0.0, 0.1)) for d in (4.0, far)]
    assert raced(trials, "distance").axes[0].get_xscale() == scale


@dataclass(frozen=True)
class Diverging(Integrator):
    """Makes no numbers of points of the plane."""

    def integrate(self, reverse, x, t, s, run):
        return x * (math.nan if x.shape[1] > 1 else 1.0)


def test_one_that_fails_is_the_last_and_no_end():
    race, broken = Race(samples=32, rounds=1), Diverging()
    found = tuned(candidates={"broken": broken, "good": FIVE["good"]}, race=race)
    assert [each.label for each in found.trials] == ["good", "broken"]
    assert "failed at t = " in found.trials[1].failure
    assert "failed at t = " in str(found)
    with pytest.raises(RunError, match=r"every candidate failed, broken too.*diagnose"):
        tuned(candidates={"broken": broken}, race=race)


@pytest.mark.parametrize("nfe", [2, 5, 10])
def test_default_candidates_keep_the_budget_and_use_it(nfe):
    found = starters(None, REVERSE, nfe)
    assert len(found) == len(default_candidates()) == 17
    assert {each.nfe for each in found} == {nfe}


def test_images_are_measured_by_principal_components_and_features_by_theirs():
    images = torch.rand(
        40, 1, 6, 6, dtype=torch.float32, generator=torch.Generator().manual_seed(0)
    )
    plain = yardstick(None, None, images)
    assert "principal components" in plain.name
    assert plain.of(images).shape == (40, 32)
    own = yardstick(lambda x: x.flatten(1)[:, :3], None, images)
    some, data = own.of(images[:20]), own.of(images[20:])
    whole = own.distances(some, data)
    mean = float((some.mean(0) - data.mean(0)).square().sum())
    assert whole[0] > mean
    assert own.distances(data, data)[0] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"nfe": 1}, "nfe = 1"),
        ({"nfe": 8.5}, "nfe = 8.5"),
        ({"nfe": 4, "candidates": {"rk4": solver("ode/rk4")}}, "enough for rk4"),
        ({"candidates": {}}, "candidates"),
        ({"candidates": {"f": lambda nfe: ADAMS}}, "candidates['f']"),
        ({"features": 3}, "features = 3"),
        ({"features": lambda x: x.sum()}, "a tensor of shape"),
        ({"distance": "fid"}, "distance = 'fid'"),
        ({"distance": lambda x, y: "near"}, "a function that gives a number"),
        ({"features": lambda x: x @ x}, "features = '<function"),
        ({"distance": lambda x: 1.0}, "distance = '<function"),
        ({"distance": lambda x, y: math.nan}, "distance = 'points'"),
        ({"race": 256}, "Race(samples=512)"),
        ({"on_run": 1}, "on_run = 1"),
        ({"data": POINTS[:8]}, "data"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_name(change, words):
    given = {"nfe": 8, "data": POINTS, "candidates": FIVE, "race": RACE, **change}
    with pytest.raises(ArgumentError, match="must be") as caught:
        tune(REVERSE, given.pop("data"), given.pop("nfe"), **given)
    assert words in str(caught.value)


def test_no_reverse_sde_is_no_network():
    with pytest.raises(PairingError, match="must be a ReverseSDE"):
        tune(LAW, POINTS, 8)


def test_what_is_interrupted_goes_on_where_it_was(tmp_path):
    """Nothing that was finished is evaluated again, and the end is the same."""

    def stop(number, label):
        if number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuned(resume=tmp_path, on_run=stop)
    again = tuned(resume=str(tmp_path))
    assert again.rows == 8 * (32 + 2 * 64)  # two candidates are one, and share what is kept
    assert again.trials == usual().trials
    assert again.proof == usual().proof
    assert tuned(resume=tmp_path).rows == 0


@pytest.mark.parametrize("other", [
    {"seed": 1}, {"features": lambda x: x[:, :1]}, {"race": Race(samples=64, rounds=2, batch=24)},
])  # fmt: skip
def test_what_another_tuning_has_kept_is_not_taken(tmp_path, other):
    few = {"candidates": {"good": FIVE["good"]}}
    tuned(resume=tmp_path, **few)
    assert tuned(resume=tmp_path, **few, **other) == replace(
        tuned(**few, **other), seconds=ANY, pipeline=ANY
    )


def test_another_network_finds_nothing(tmp_path):
    few = {"candidates": {"good": FIVE["good"]}, "race": RACE, "resume": tmp_path}
    tune(REVERSE, POINTS, 8, **few)
    longer = replace(REVERSE, score_model=lambda x, t: 1.1 * REVERSE.score_model(x, t))
    assert tune(longer, POINTS, 8, **few).rows > 0


def test_a_folder_that_is_none_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ArgumentError, match=r"resume = .*must be a folder"):
        tuned(resume=tmp_path / "file")
    with pytest.raises(ArgumentError, match="resume = 3"):
        tuned(resume=3)


def bowl(point):
    """Least at low 0.1, high 100, knee 0.5 of data of size 2, with stochasticity 0.8."""
    lengths = zip((point.low, point.high, point.knee), (0.2, 200.0, 1.0), strict=True)
    return sum(math.log(one / other) ** 2 for one, other in lengths) + (point.level - 0.8) ** 2


@pytest.mark.parametrize("level", [0.0, 1.0, 2.0])
def test_a_search_finds_what_is_best_and_spends_no_more(level):
    asked = []
    found = searched(lambda point: asked.append(point) or bowl(point), level, 2.0, 80)
    assert bowl(found) < 0.05
    assert bowl(found) == min(map(bowl, asked))
    assert len(set(asked)) == len(asked) <= 80
    few = []
    searched(lambda point: few.append(point) or bowl(point), level, 2.0, 3)
    assert few == asked[:3]
    assert asked[0].level == pytest.approx(min(level, 1.6))


def test_a_search_goes_around_what_fails():
    found = searched(lambda point: bowl(point) if point.level < 0.9 else math.inf, 1.0, 2.0, 80)
    assert bowl(found) < 0.05
    assert searched(lambda _: math.inf, 1.0, 2.0, 9) is None


def test_a_search_is_a_candidate_where_it_is_better(tmp_path):
    few, race = {"bad": FIVE["bad"]}, Race(samples=32, rounds=1, search=6)
    told = []
    first = tuned(candidates=few, race=race, resume=tmp_path, on_run=lambda *w: told.append(w))
    assert first.label.startswith("UniPC 2, focus")
    assert first.trials[0].distance.mean < 0.5 * first.trials[1].distance.mean
    assert [each.nfe for each in first.trials] == [8, 8]
    assert [number for number, _ in told] == [1, *[2] * 6]
    assert first.label in {label for _, label in told}
    assert first.rows == 8 * 32 * (1 + 6 + 2)
    again = tuned(candidates=few, race=race, resume=tmp_path)
    assert again.rows == 0  # a search goes on where it was, too
    assert again.trials == first.trials
    same = tuned(candidates=few, race=race, distance=lambda *_: 1.0)
    assert [each.label for each in same.trials] == ["bad"]


def test_a_solver_that_was_fitted_races_as_it_is():
    few = calibrate(REVERSE, 5, (8, 2), fitting=Fitting(rounds=0, fine=10))
    found = tuned(candidates={"fitted": few, "bad": FIVE["bad"]}, race=Race(32, 1))
    assert [(each.label, each.nfe) for each in found.trials] == [("fitted", 5), ("bad", 8)]
    assert found.pipeline.sample((4, 2)).nfe == 5
    with pytest.raises(ArgumentError, match="nfe = 4: must be enough for fitted"):
        tune(REVERSE, POINTS, 4, candidates={"fitted": few}, race=RACE)
