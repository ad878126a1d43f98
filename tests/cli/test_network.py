"""``sdeplug diagnose``, ``tune`` and ``calibrate``: a network from a folder, and data that it has
not learned."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from common import normal

from sdeplug import (
    Bound,
    Karras,
    LogSNR,
    Pipeline,
    ReverseSDE,
    calibrate,
    diagnose,
    read_spec,
    sample,
    solver,
)
from sdeplug.cli.work import small
from sdeplug.cli.work.aim import Subject
from sdeplug.cli.work.data.read import Source, read
from sdeplug.cli.work.data.units import Units
from sdeplug.cli.work.held import Scene, held
from sdeplug.compare import Comparison, Contender, OnData, compare
from sdeplug.errors import ArgumentError
from sdeplug.networks import load, save
from sdeplug.score import FromDenoiser
from sdeplug.tuning import Calibrated, Effort, Fitting

pytest.importorskip("safetensors")

SETTINGS = small.Settings(width=8, held_out=0.4)
MODEL = ("--model", "model", "--data", "t.csv")
QUICK = ("--levels", 4, "--rows", 16, "--paths", 16, "--steps", 4)
RACE = ("--nfe", 4, "-n", 32, "--rounds", 1)
ADAMS = "exponential/adams:predictor=2"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A table of two classes in large units, and the folder of a network that learned none."""
    folder = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(0)
    rows = [(1000.0 * (i % 2) + rng.normal(), rng.normal(), "ba"[i % 2]) for i in range(100)]
    text = "".join(f"{x:.3f},{word},{y:.3f}\n" for x, y, word in rows)
    (folder / "t.csv").write_text(f"far,kind,near\n{text}")
    (folder / "other.csv").write_text("far,kind,near\n" + text.replace("0.", "1."))
    data = small.divided(read(Source(folder / "t.csv", "kind"))[0], SETTINGS)
    network = small.network(data, SETTINGS)
    for n, weights in enumerate(network.parameters()):  # new ones give 0
        weights.data += 0.1 * normal(*weights.shape, seed=n, dtype=torch.float32)
    save(folder / "model", network, small.SDE, FromDenoiser)
    data.units.save(folder / "model")
    return folder


@pytest.fixture
def files(made, tmp_path, monkeypatch):
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def unseen():
    """The rows that the settings hold out, as the network sees them."""
    return small.divided(read(Source(Path("t.csv"), "kind"))[0], SETTINGS).held_out


def looked_at(*labels, data="t.csv", model="model"):
    return held(Scene(Subject(None, Path(model), labels), Path(data)))


def test_rows_that_were_learned_are_left_out(files):
    found = looked_at()
    assert torch.equal(found.data, unseen().x)
    assert found.told == "40 rows of t.csv, which training held out"


def test_all_rows_of_other_data_are_taken_in_the_units_of_the_model(files):
    found = looked_at(data="other.csv")
    assert found.told == "100 rows of other.csv"
    units = Units.load(Path("model"))
    rows = read(Source(Path("other.csv"), "kind"))[0]
    assert torch.equal(found.data, units.inward(rows.x))


def test_a_class_has_its_rows_and_its_network(files):
    found, all_ = looked_at("b"), unseen()
    assert torch.equal(found.data, all_.x[all_.labels == 1])
    assert found.told.endswith("held out, of class b")
    model = load("model")
    bound = FromDenoiser(Bound(model.network, labels=torch.ones(1, dtype=torch.int64)), model.sde)
    wanted = ReverseSDE(model.sde, bound).score(found.data, 0.5)
    assert torch.equal(found.reverse.score(found.data, 0.5), wanted)
    assert not torch.equal(looked_at().reverse.score(found.data, 0.5), wanted)


def test_rows_that_are_not_finite_are_left_out_and_told(files):
    with Path("other.csv").open("a") as file:
        file.write("1.0,b,nan\n")
    assert looked_at(data="other.csv").told.startswith("100 rows of other.csv; left out 1 of 101")


@pytest.mark.filterwarnings("ignore:the network denoises")  # it has learned none
def test_a_model_that_networks_save_wrote_takes_data_as_they_are(sdeplug, files):
    Path("model/data.json").unlink()
    np.save("rows.npy", np.random.default_rng(0).normal(size=(40, 2)))
    found = looked_at(data="rows.npy")
    assert torch.equal(found.data, torch.from_numpy(np.load("rows.npy")).float())
    status, out, _ = sdeplug("tune", "--model", "model", "--data", "rows.npy", *RACE, "auto")
    assert status == 0
    assert "next:" not in out  # nothing says what shape to sample


def test_a_diagnosis_is_that_of_the_library(sdeplug, files):
    status, out, _ = sdeplug("diagnose", *MODEL, *QUICK, "--json", "d.json", "--plot", "d.png")
    assert status == 0
    assert "40 rows of t.csv, which training held out" in out
    model = load("model")
    effort = Effort(levels=4, rows=16, paths=16, steps=4)
    wanted = diagnose(ReverseSDE(model.sde, model.score), unseen().x, effort=effort)
    plain = json.loads(Path("d.json").read_text())
    assert plain["error"] == pytest.approx(wanted.error)
    assert [each["rule"] for each in plain["advice"]] == [each.rule for each in wanted.advice]
    assert all(each.text in out for each in wanted.advice)
    assert Path("d.png").stat().st_size > 5000


def test_what_is_tuned_samples_by_its_file(sdeplug, files):
    words = ("--grid", "karras", "--grid", "log-snr", "--stochasticity", 0, "--stochasticity", 1)
    call = ("tune", *MODEL, *RACE, ADAMS, "auto", *words, "--json", "t.json", "--plot", "t.png")
    status, out, err = sdeplug(*call)
    assert status == 0, err
    plain = json.loads(Path("t.json").read_text())
    on_grids = {f"{ADAMS}, {grid}, l = {n}" for grid in ("karras", "log-snr") for n in (0, 1)}
    assert {each["label"] for each in plain["trials"]} == on_grids | {"auto, l = 0", "auto, l = 1"}
    assert {each["nfe"] for each in plain["trials"]} == {4}
    assert "next: sdeplug sample --pipeline tuned.toml --model model" in out
    assert Path("t.png").stat().st_size > 5000
    again = ("sample", "--pipeline", "tuned.toml", "--model", "model", "-n", 5, "--seed", 3)
    assert sdeplug(*again)[0] == 0
    pipeline = Pipeline.from_spec(read_spec("tuned.toml"), lambda _: load("model").score)
    assert pipeline.to_spec() == plain["pipeline"]
    wanted = Units.load(Path("model")).outward(pipeline.sample((5, 2), seed=3).x)
    np.testing.assert_allclose(np.load("samples.npz")["x"], wanted)


def test_what_is_calibrated_is_in_a_file(sdeplug, files):
    words = ("--nfe", 3, "-n", 8, "--rounds", 2, "--fine", 10, "--no-analytic")
    status, out, _ = sdeplug("calibrate", "--model", "model", *words, "--out", "few.json")
    assert status == 0
    model = load("model")
    fitting = Fitting(rounds=2, fine=10, analytic=False)
    wanted = calibrate(ReverseSDE(model.sde, model.score), 3, (8, 2), fitting=fitting)
    assert Calibrated.load("few.json") == wanted
    assert f"3 evaluations: error {wanted.fitted[1]:.3g} on noises" in out
    assert "next: sdeplug sample --solver calibrated:file=few.json --model model" in out
    assert sdeplug(*out.partition("next: sdeplug ")[2].split(), "-n", 5, "--seed", 3)[0] == 0
    samples = sample(ReverseSDE(model.sde, model.score), (5, 2), wanted, seed=3).x
    np.testing.assert_allclose(
        np.load("samples.npz")["x"], Units.load(Path("model")).outward(samples)
    )


@pytest.mark.filterwarnings("ignore:the network denoises")  # it has learned none
def test_a_comparison_on_a_network_is_that_of_the_library(sdeplug, files):
    words = (
        "ddim",
        "--nfe",
        "3,4",
        "--seeds",
        1,
        "-n",
        12,
        "--metric",
        "sliced-w2",
        "--label",
        "b",
    )
    grids = ("--grid", "karras", "--grid", "log-snr")
    status, out, err = sdeplug("compare", *MODEL, *words, *grids, "--json", "c.json")
    assert status == 0, err
    found, model = Comparison.load("c.json"), load("model")
    labels = torch.ones(1, dtype=torch.int64)
    bound = replace(model, network=Bound(model.network, labels=labels))
    rows = unseen().x[unseen().labels == 1]
    wanted = compare(
        {"ddim": Contender(solver("ddim"), grid=(Karras(1), LogSNR(1)))},
        OnData(bound, rows), nfe=(3, 4), seeds=1, samples=12, metrics=["sliced-w2"],
    )  # fmt: skip
    for one, other in zip(found.rows, wanted.rows, strict=True):
        for name in ("sliced-w2", "flow-rmse"):
            assert one.values[name].mean == pytest.approx(other.values[name].mean, rel=1e-4)
    assert "22 rows of t.csv, which training held out, of class b" in out
    assert "measured: SlicedW2" in out.replace("\n", " ")
    again = found.command.split()[1:]
    assert again[:2] == ["compare", "ddim"]
    assert {"--model", "model", "--data", "t.csv", "--label", "b", "karras"} <= set(again)


def test_a_target_brings_its_own_data(sdeplug):
    status, out, _ = sdeplug("diagnose", "--target", "two-modes", "--sde", "ve", *QUICK)
    assert status == 0
    assert "exact draws of two-modes" in out
    assert "irreducible" in out


REFUSED = {
    "diagnose --model model": "--data = None: must be the file of data that the network was not",
    "diagnose --data t.csv": "--data = 't.csv': must be left out: a target brings its own",
    "diagnose --model model --data nowhere.csv": "--data = 'nowhere.csv': must be a file or",
    "diagnose --model nowhere --data t.csv": "--model = 'nowhere': must be a folder with a whole",
    "diagnose --model nowhere --data wide.npy": "--model = 'nowhere': must be a folder with a wh",
    "diagnose --model model --data wide.npy": "--data = 'wide.npy, rows of shape (3,)': must be",
    "diagnose --model model --data t.csv --target digits": "--target = 'digits': must be given wi",
    "diagnose --model model --data t.csv --sde vp": "--sde = 'vp': must be left out: the model",
    "diagnose --model model --data t.csv --label c": "--label = 'c': must be one of a, b",
    "diagnose --model model --data t.csv --label a --label b": "--label = 'b': must be given once",
    "diagnose --label a": "--label = 'a': must be given with --model",
    "diagnose --levels 2": "--levels = 2: must be of type int, at least 4",
    "diagnose --seed -1": "--seed = -1: must be",
    "diagnose --device moon": "--device = 'moon': must be a device",
    "diagnose --plot a.xyz": "--plot = 'a.xyz': must be a file that ends in",
    "tune --model model --data t.csv --nfe 1": "--nfe = 1: must be a whole number of at least 2",
    "tune --out best.txt": "--out = 'best.txt': must be a file that ends in .toml, .json",
    "tune --grid karras": "--grid = 'karras': must be given with a SOLVER",
    "tune --stochasticity 1": "--stochasticity = 1.0: must be given with a SOLVER",
    "tune ode/heun --stochasticity 1": "--stochasticity = 1.0: must be given with a SOLVER that",
    "tune song/ancestral --stochasticity -1": "--stochasticity = -1.0: must be at least 0",
    "tune --model model --data none.npy": "must be a file with rows of finite numbers",
    "tune ode/heun --grid karras:steps=3": "--grid = 'karras:steps=3': must be given without",
    "tune song/langevin": "SOLVERS = 'song/langevin': must be an integrator",
    "tune adaptive/row-dopri5": "SOLVERS = 'adaptive/row-dopri5': must be one whose evaluat",
    "tune ode/rk4 --nfe 4": "--nfe = 4: must be enough for ode/rk4, log-snr",
    "tune -n 8": "-n = 8: must be of type int, at least 32",
    "diagnose --model model --data pictures": "--data = 'pictures': must be a folder of images",
    "tune --model model --data t.csv calibrated:file=t.csv": "file of calibrated = 't.csv': must",
    "compare --model model": "--data = None: must be the file of data that the network was not",
    "compare --model model --data t.csv --sde vp": "--sde = 'vp': must be left out: the model",
    "compare --grid karras:steps=3": "--grid = 'karras:steps=3': must be given without steps",
    "compare adaptive/row-dopri5 --grid karras": "--grid = 'karras': must be given with a SOLVER",
    "compare --data t.csv": "--data = 't.csv': must be left out: a target brings its own",
    "compare --nfe x": "--nfe = 'x': must be numbers with commas between",
    "calibrate --nfe 0": "--nfe = 0: must be a whole number of at least 1",
    "calibrate -n 1": "-n = 1: must be at least 2",
    "calibrate --values 9": "No such option",
    "calibrate --model model --label a --label b": "--label = 'b': must be given once",
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_does_not_fit_is_one_sentence(sdeplug, files, words):
    np.save("wide.npy", np.random.default_rng(0).normal(size=(40, 3)))
    np.save("none.npy", np.zeros((0, 2)))
    Path("pictures").mkdir()
    status, _, err = sdeplug(*words.split())
    assert status == 2
    assert REFUSED[words] in err
    assert len(err.strip().splitlines()) == 1


def test_images_outside_of_the_range_of_the_model_are_refused(files):
    units = Units((4, 4), (7.5,), (7.5,), 0.0, 15.0, True)
    images = np.arange(640).reshape(40, 4, 4) % 16
    settings = small.Settings(width=8)
    data = small.Divided(units, *[small.Part(units.inward(images), None)] * 2)
    save("images", small.network(data, settings), small.SDE, FromDenoiser, units.limits)
    units.save(Path("images"))
    np.save("digits.npy", images)
    np.save("wide.npy", 16 * images)
    assert torch.equal(looked_at(model="images", data="digits.npy").data, units.inward(images))
    with pytest.raises(ArgumentError, match=r"from 0 to 240.*must be from 0 to 15, as the model"):
        looked_at(model="images", data="wide.npy")


@pytest.mark.parametrize(("words", "how"), [
    ((), "With --resume DIR finished runs are kept"),
    (("--resume", "kept"), "The same command, with --resume kept, goes on where it was."),
])  # fmt: skip
@pytest.mark.parametrize("command", ["tune", "calibrate"])
def test_an_interrupted_command_tells_how_to_go_on(sdeplug, monkeypatch, command, words, how):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"sdeplug.cli.work.{command}.run", stop)
    status, _, err = sdeplug(command, *words)
    assert status == 130
    assert f"stopped. {how}" in err
