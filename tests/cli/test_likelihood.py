"""``sdeplug likelihood``: a number for each row of a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sdeplug import VPSDE, FromScore, LogSNR, OnGrid, PerSampleNoise, ReverseSDE, solver
from sdeplug.cli.work.data.units import Units
from sdeplug.likelihood import dequantised, log_likelihood
from sdeplug.networks import ResidualMLP, SmallUNet, save
from sdeplug.targets import eight_gaussians

X = np.random.default_rng(0).normal(size=(5, 2))
QUICK = ("--solver", "torchdiffeq/fixed-rk4:steps=20")


@pytest.fixture
def data(tmp_path):
    np.savez(tmp_path / "data.npz", x=X, y=X[:, 0])  # what y is does not matter
    np.save(tmp_path / "levels.npy", np.arange(10).reshape(5, 2))
    np.save(tmp_path / "flat.npy", np.zeros(3))
    np.savez(tmp_path / "other.npz", y=X, z=X)
    (tmp_path / "gap.csv").write_text("a,b\n1,2\n3,\n", encoding="utf-8")
    (tmp_path / "x.pickle").write_bytes(b"")


def test_it_writes_what_the_library_says_whatever_the_batch(sdeplug, data):
    status, out, _ = sdeplug("likelihood", "data.npz", "--batch", 2, "--dtype", "float64")
    assert status == 0
    assert "5 rows at t = 0.001: mean log p =" in out
    reverse = ReverseSDE(VPSDE(), eight_gaussians().score(VPSDE()))
    wanted = log_likelihood(reverse, torch.from_numpy(X))
    with np.load("likelihood.npz") as found:
        assert np.allclose(found["log_prob"], wanted.log_prob)
        assert np.allclose(found["log_prob"], found["prior"] + found["flow"])
        assert "std_error" not in found


def test_probes_do_not_depend_on_the_batch(sdeplug, data):
    for batch in (2, 5):
        words = ("--probes", 3, "--batch", batch, "--dtype", "float64", "--out", f"by{batch}")
        assert sdeplug("likelihood", "data.npz", *QUICK, *words)[0] == 0
    with np.load("by2.npz") as few, np.load("by5.npz") as all_:
        assert np.allclose(few["log_prob"], all_["log_prob"])
        assert np.allclose(few["std_error"], all_["std_error"])
        assert (few["std_error"] > 0.0).all()


def test_levels_give_bits(sdeplug, data):
    status, out, _ = sdeplug("likelihood", "levels.npy", "--levels", 10, *QUICK)
    assert status == 0
    assert "bits per dimension" in out
    with np.load("likelihood.npz") as found:
        wanted = np.log2(10 / 2) - found["log_prob"] / (2 * np.log(2))
        assert np.allclose(found["bits_per_dim"], wanted, rtol=1e-5)


def test_a_model_is_a_folder(sdeplug, data):
    network = ResidualMLP(2, width=8)
    save("model", network, VPSDE(), FromScore)
    words = ("--model", "model", "--dtype", "float64", *QUICK)
    assert sdeplug("likelihood", "data.npz", *words)[0] == 0
    reverse = ReverseSDE(VPSDE(), FromScore(network.double(), VPSDE()))
    wanted = log_likelihood(reverse, torch.from_numpy(X), OnGrid(solver("ode/rk4"), LogSNR(60)))
    with np.load("likelihood.npz") as found:
        assert np.allclose(found["log_prob"], wanted.log_prob, atol=0.3)


def test_a_trained_folder_knows_the_units_of_its_data(sdeplug, data):
    """Data 3 x + 1 are as likely as x, less log 3 in each dimension."""
    save("model", ResidualMLP(2, width=8), VPSDE(), FromScore)
    words = ("--model", "model", "--dtype", "float64", *QUICK)
    sdeplug("likelihood", "data.npz", *words, "--out", "plain")
    Units((2,), (1.0, 1.0), (3.0, 2.0)).save(Path("model"))
    np.save("wide.npy", np.array((3.0, 2.0)) * X + 1.0)
    assert sdeplug("likelihood", "wide.npy", *words)[0] == 0
    with np.load("plain.npz") as plain, np.load("likelihood.npz") as found:
        assert np.allclose(found["log_prob"], plain["log_prob"] - np.log(6.0), atol=1e-4)
        assert np.allclose(found["rescaling"], -np.log(6.0))
    err = sdeplug("likelihood", "wide.npy", *words, "--levels", 4)[2]
    assert "--levels = 4: must be left out: the network was not trained on whole" in err


def test_levels_of_a_trained_folder_are_bins_of_length_1_in_its_units(sdeplug, data):
    save("model", ResidualMLP(2, width=8), VPSDE(), FromScore)
    words = ("--model", "model", "--dtype", "float64", *QUICK)
    spread = dequantised(
        torch.from_numpy(np.load("levels.npy")), PerSampleNoise(0, range(5)),
        levels=10, data_range=(-0.5, 9.5), dtype=torch.float64,
    )  # fmt: skip
    np.save("seen.npy", (spread.numpy() - 4.5) / 3.0)
    assert sdeplug("likelihood", "seen.npy", *words, "--out", "plain")[0] == 0
    Units((2,), (4.5,), (3.0,), 0.0, 9.0, True).save(Path("model"))
    assert sdeplug("likelihood", "levels.npy", *words, "--levels", 10, "--batch", 2)[0] == 0
    with np.load("plain.npz") as plain, np.load("likelihood.npz") as found:
        wanted = np.log2(3.0) - plain["log_prob"] / (2 * np.log(2.0))
        assert np.allclose(found["bits_per_dim"], wanted, atol=1e-4)
        assert np.allclose(found["log_prob"], plain["log_prob"] - 2 * np.log(3.0), atol=1e-4)


def test_a_table_is_read_as_for_the_training(sdeplug, data):
    """The column that held the classes is none of the numbers."""
    save("model", ResidualMLP(2, width=8), VPSDE(), FromScore)
    words = ("--model", "model", *QUICK)
    sdeplug("likelihood", "data.npz", *words, "--out", "plain")
    Units((2,), (0.0, 0.0), (1.0, 1.0), columns=("a", "b"), by="kind").save(Path("model"))
    lines = [f"{a},{'xy'[i % 2]},{b}" for i, (a, b) in enumerate(X)]
    Path("data.csv").write_text("\n".join(("a,kind,b", *lines)), encoding="utf-8")
    assert sdeplug("likelihood", "data.csv", *words)[0] == 0
    with np.load("plain.npz") as plain, np.load("likelihood.npz") as found:
        assert np.allclose(found["log_prob"], plain["log_prob"], atol=1e-4)


def test_a_folder_of_images_has_a_number_for_each(sdeplug, tmp_path):
    images = pytest.importorskip("PIL.Image")
    (tmp_path / "pictures").mkdir()
    pixels = np.random.default_rng(1).integers(0, 17, (3, 8, 8), dtype=np.uint8)
    for name, image in zip("bac", pixels, strict=True):
        images.fromarray(image).save(tmp_path / "pictures" / f"{name}.png")
    np.save("rows.npy", pixels[[1, 0, 2]])
    save("model", SmallUNet(width=8), VPSDE(), FromScore)
    Units((8, 8), (8.0,), (8.0,), 0.0, 16.0, True).save(Path("model"))
    words = ("--model", "model", "--probes", 1, "--solver", "torchdiffeq/fixed-rk4:steps=2")
    for path in ("rows.npy", "pictures"):
        assert sdeplug("likelihood", path, *words, "--out", path[:4])[0] == 0
    with np.load("rows.npz") as rows, np.load("pict.npz") as seen:
        assert np.array_equal(rows["log_prob"], seen["log_prob"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere.npy",), "DATA = 'nowhere.npy': must be a file or folder that is there"),
        (("gap.csv",), "The first is in row 1, at b."),
        (("x.pickle",), "a folder of images, or a file that ends in .npz, .npy, .csv"),
        (("flat.npy",), "DATA = 'flat.npy: shape (3,), float64'"),
        (("other.npz",), "or with one called x or data or images"),
        (("levels.npy",), "--levels 256"),
        (("data.npz", "--levels", "4"), "DATA = 'numbers from"),
        (("data.npz", "--solver", "song/ancestral"), "it draws noise"),
        (("data.npz", "--time", "2"), "--time = 2.0"),
        (("data.npz", "--batch", "0"), "--batch = 0"),
        (("data.npz", "--probes", "0"), "--probes = 0"),
        (("data.npz", "--model", "nowhere"), "--model = 'nowhere'"),
        (("data.npz", "--model", "m", "--sde", "vp"), "--sde = 'vp': must be left out"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(sdeplug, data, words, message):
    status, out, err = sdeplug("likelihood", *words)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
