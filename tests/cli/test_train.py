"""``sdeplug train`` and ``sdeplug sample --model``: from a file to samples in its units."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from sdeplug.cli.work import small, train
from sdeplug.cli.work.data.read import Source, read

pytest.importorskip("accelerate")
pytest.importorskip("safetensors")

TINY = small.Settings(steps=20, width=8, batch=16)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a table, two classes far from each other in large units, and its model."""
    folder = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(0)
    rows = [(1000.0 * (i % 2) + rng.normal(), rng.normal(), "ba"[i % 2]) for i in range(60)]
    text = "".join(f"{x:.3f},{y:.3f},{word}\n" for x, y, word in rows)
    (folder / "t.csv").write_text(f"far,near,kind\n{text}")
    train.run(Source(folder / "t.csv", "kind"), TINY, folder / "model")
    return folder


@pytest.fixture
def table(trained, tmp_path):
    shutil.copy(trained / "t.csv", tmp_path)
    return tmp_path


@pytest.fixture
def model(trained, table):
    shutil.copytree(trained / "model", table / "model")
    return table / "model"


def loaded(path):
    with np.load(path) as file:
        return dict(file)


def test_samples_of_a_model_are_in_the_units_of_its_data(sdeplug, model, tmp_path):
    status, out, _ = sdeplug("sample", "--model", "model", "-n", 50, "--steps", 4, "--label", "b")
    assert status == 0
    assert "5 score evaluations" in out
    file = loaded(tmp_path / "samples.npz")
    assert file["x"].shape == (50, 2)
    assert 100.0 < file["x"][:, 0].mean() < 900.0  # the data lie around 0 and 1000
    assert 100.0 < file["x"][:, 0].std() < 1000.0
    assert file["x"][:, 1].std() < 5.0
    assert list(file["columns"]) == ["far", "near"]
    assert (file["labels"] == 1).all()
    assert (tmp_path / "samples.png").stat().st_size > 5000


def test_labels_share_the_samples_and_reach_the_network(sdeplug, model, tmp_path):
    drawn = {}
    for words in (["a"], ["b"], ["a", "b"], []):
        flags = [flag for word in words for flag in ("--label", word)]
        call = ("sample", "--model", "model", "-n", 6, "--steps", 3, *flags, "--dtype", "float64")
        assert sdeplug(*call)[0] == 0
        drawn["".join(words)] = loaded(tmp_path / "samples.npz")
    np.testing.assert_array_equal(drawn["ab"]["labels"], [0, 1, 0, 1, 0, 1])
    np.testing.assert_allclose(drawn["ab"]["x"][::2], drawn["a"]["x"][::2], rtol=1e-6)
    np.testing.assert_allclose(drawn["ab"]["x"][1::2], drawn["b"]["x"][1::2], rtol=1e-6)
    assert not np.array_equal(drawn["a"]["x"], drawn["b"]["x"])
    assert not np.array_equal(drawn[""]["x"], drawn["a"]["x"])
    assert "labels" not in drawn[""]


def test_guidance_goes_beyond_the_class(sdeplug, model, tmp_path):
    """1 is the class to the last bit, 0 all data, and more goes farther from them."""
    means = {}
    call = ("sample", "--model", "model", "-n", 40, "--steps", 6, "--dtype", "float64")
    for words in ([], ["--label", "b"], *(["--label", "b", "--guidance", w] for w in (0, 1, 3))):
        assert sdeplug(*call, *words)[0] == 0
        means[words[-1] if words else "all"] = loaded(tmp_path / "samples.npz")["x"].mean(0)[0]
    assert means["b"] == means[1]
    assert means["all"] == pytest.approx(means[0])
    assert abs(means[3] - means[0]) > 1.5 * abs(means[1] - means[0]) > 0.0
    assert loaded(tmp_path / "samples.npz")["guidance"] == 3.0


def test_what_is_measured_is_asked_of_a_class_with_guidance(sdeplug, model, tmp_path):
    np.save("row.npy", np.array([800.0, 0.0]))
    np.save("known.npy", np.array([False, True]))
    call = ("condition", "row.npy", "--mask", "known.npy", "--model", "model", "--steps", 6)
    drawn = {}
    for words in ([], ["--label", "b"], *(["--label", "b", "--guidance", w] for w in (0, 1, 4))):
        assert sdeplug(*call, "-n", 8, "--dtype", "float64", *words)[0] == 0
        x = drawn[words[-1] if words else "all"] = loaded(tmp_path / "conditioned.npz")["x"]
        np.testing.assert_allclose(x[:, 1], 0.0, atol=1e-3)
    np.testing.assert_array_equal(drawn["b"], drawn[1])
    np.testing.assert_allclose(drawn["all"], drawn[0], rtol=1e-6, atol=1e-6)
    assert abs(drawn[4] - drawn[1]).max() > 1.0
    _, _, error = sdeplug(*call, "--guidance", 2)
    assert "--guidance = 2.0: must be given with --label" in error


def stopped_at(step, seen=None):
    """Who looks on, and stops a training after some steps."""

    def stop(moment):
        if seen is not None:
            seen.append(moment.mark.step)
        if moment.mark.step == step:
            raise KeyboardInterrupt

    return stop


def test_the_same_command_goes_on_where_it_was_to_the_same_weights(table, trained):
    """It is stopped while it looks, once, after a few steps."""
    seen = []
    rows, _ = read(Source(table / "t.csv", "kind"))
    data, folder = small.divided(rows, TINY), table / "model"
    with pytest.raises(KeyboardInterrupt):
        small.fit(data, TINY, folder, (stopped_at(12, seen),))
    small.fit(data, TINY, folder, (lambda moment: seen.append(moment.mark.step),))
    assert seen == [*range(1, 13), *range(13, 21)]
    once, twice = ((base / "model" / "model.safetensors").read_bytes() for base in (trained, table))
    assert once == twice
    assert json.loads((folder / "model.json").read_text())["step"] == 20


WORDS = ("train", "t.csv", "--labels", "kind", "--width", 8)


def test_other_settings_are_another_training(sdeplug, model, table):
    status, _, err = sdeplug(*WORDS, "--batch", 8, "--steps", 30)
    assert status == 2
    assert "--out = 'model'" in err
    assert "There it was 16" in err
    assert json.loads((model / "plan.json").read_text()) == [20]


def test_with_more_steps_what_is_done_goes_on(sdeplug, model, table, tmp_path):
    """At once, or cut off within the second stretch: to the same bits, as with a rate that falls
    twice; fewer steps than are done are none."""
    shutil.copytree(model, table / "cut")
    assert sdeplug(*WORDS, "--batch", 16, "--steps", 30)[0] == 0
    rows, _ = read(Source(table / "t.csv", "kind"))
    data, longer = small.divided(rows, TINY), replace(TINY, steps=30)
    with pytest.raises(KeyboardInterrupt):
        small.fit(data, longer, table / "cut", (stopped_at(24),))
    for steps in (10, 30):
        status, out, _ = sdeplug(*WORDS, "--batch", 16, "--steps", steps, "--out", "cut")
        assert status == 0
        assert f"wrote cut after {max(steps, 24)} steps" in out
    assert json.loads((table / "cut" / "plan.json").read_text()) == [20, 30]
    once, twice = ((table / each / "model.safetensors").read_bytes() for each in ("model", "cut"))
    assert once == twice
    (model / "plan.json").write_text("[]")
    status, _, err = sdeplug(*WORDS, "--batch", 16, "--steps", 40)
    assert status == 2
    assert "--out = 'model': must be a folder whose plan.json is a list of steps" in err


def test_a_stopped_training_says_how_to_go_on(sdeplug, table, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("sdeplug.cli.work.train.fit", stopped)
    status, _, err = sdeplug("train", "t.csv", "--labels", "kind")
    assert status == 130
    assert "goes on where it was" in err


def test_images_are_trained_as_whole_numbers_by_a_network_of_images(sdeplug, tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (20, 12, 12), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", x)
    status, out, _ = sdeplug("train", "a.npz", "--steps", 2, "--width", 8, "--batch", 4)
    assert status == 0
    assert "images of 1x12x12: 18 to train on, 2 held out" in out
    text = json.loads((tmp_path / "model" / "model.json").read_text())
    assert text["network"]["network"]["kind"] == "SmallUNet"
    assert text["data_range"] == [-1.0, 1.0]
    assert sdeplug("sample", "--model", "model", "-n", 2, "--steps", 2)[0] == 0
    drawn = loaded(tmp_path / "samples.npz")["x"]
    assert drawn.shape == (2, 12, 12)
    assert (drawn == np.round(drawn)).all()
    assert drawn.min() >= 0.0


def test_the_weights_depend_on_the_seed_alone():
    from sdeplug.cli.work.data.rows import Rows

    data = small.divided(Rows(np.random.default_rng(0).normal(size=(20, 3))), small.Settings())
    first = small.network(data, small.Settings(width=8)).state_dict()
    again = small.network(data, small.Settings(width=8)).state_dict()
    other = small.network(data, small.Settings(width=8, seed=1)).state_dict()
    name = "network.first.weight"
    assert (first[name] == again[name]).all()
    assert (first[name] != other[name]).any()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["gone.csv"], "DATA = 'gone.csv'"),
        (["t.csv"], "kind = 'b'"),
        (["t.csv", "--labels", "sort"], "--labels = 'sort'"),
        (["t.csv", "--labels", "kind", "--size", 8], "--size = 8"),
        (["t.csv", "--labels", "kind", "--steps", 0], "--steps = 0"),
        (["t.csv", "--labels", "kind", "--width", 9], "--width = 9"),
        (["t.csv", "--labels", "kind", "--held-out", 0.001], "--held-out = 0.001"),
        (["t.csv", "--labels", "kind", "--seed", -1], "--seed = -1"),
        (["t.csv", "--labels", "kind", "--out", "t.csv"], "--out = 't.csv'"),
    ],
)
def test_wrong_words_of_a_training_are_one_line(sdeplug, table, words, said):
    status, _, err = sdeplug("train", *words)
    assert status == 2
    assert err.startswith(f"sdeplug: {said}")
    assert err.count("\n") == 1


def test_a_model_of_other_data_is_not_trained_on(sdeplug, model, table):
    (table / "t.csv").write_text((table / "t.csv").read_text().replace("1", "2"))
    status, _, err = sdeplug("train", "t.csv", "--labels", "kind")
    assert status == 2
    assert "--out = 'model': must be a folder without a model of other data" in err


def test_wrong_words_of_a_model_are_one_line(sdeplug, model, table):
    damaged, bare = table / "damaged", table / "bare"
    shutil.copytree(model, damaged)
    shutil.copytree(model, bare)
    (damaged / "data.json").write_text("{}")
    (bare / "data.json").unlink()
    for words, said in (
        (["--model", "gone"], "--model = 'gone'"),
        (["--model", "damaged"], "--model = 'damaged'"),
        (["--model", "bare"], "--model = 'bare': must be a folder with data.json"),
        (["--model", "model", "--label", "c"], "--label = 'c': must be one of a, b"),
        (["--model", "model", "--sde", "ve"], "--sde = 've': must be left out"),
        (["--model", "model", "--target", "two-modes"], "--target = 'two-modes'"),
        (["--label", "a"], "--label = 'a': must be given with --model"),
        (["--guidance", 2], "--guidance = 2.0: must be given with --label"),
        (["--model", "model", "--guidance", 2], "--guidance = 2.0: must be given with --label"),
        (["--model", "model", "--label", "a", "--guidance", -1], "--guidance = -1.0: must be a"),
        (["--model", "model", "--label", "a", "--guidance", "nan"], "--guidance = nan: must be a"),
    ):
        status, _, err = sdeplug("sample", *words)
        assert status == 2
        assert err.startswith(f"sdeplug: {said}")
        assert err.count("\n") == 1
