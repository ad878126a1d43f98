"""``sdeplug condition``: a mask or an operator, an image in, images out."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

import sdeplug as sp
from sdeplug import Samples
from sdeplug.cli.work import condition
from sdeplug.cli.work.aim import Exact
from sdeplug.cli.work.particles import Particles
from sdeplug.conditioning import LocalScore, Mask, Measurement
from sdeplug.targets import digits

pytest.importorskip("sklearn")
IMAGE = digits().means[124].numpy()
TOP = np.arange(64).reshape(1, 8, 8) < 32
SMC = ("image.npy", "--mask", "top.npy", "--method", "smc", "--noise", 1)
QUICK = ("--steps", 8, "-n", 2)


@pytest.fixture
def files(sdeplug):
    """The command, in a folder with an image, what was measured of it, and masks."""
    np.save("image.npy", IMAGE)
    np.save("small.npy", IMAGE.reshape(1, 4, 2, 4, 2).mean((2, 4)))
    np.save("far.npy", 255.0 * IMAGE)
    np.save("top.npy", TOP)
    np.save("ones.npy", np.ones((1, 8, 8)))
    np.save("sums.npy", np.ones((1, 64)))
    np.save("sum.npy", np.array([IMAGE.sum()]))
    return sdeplug


def test_what_is_known_is_in_every_sample(files):
    status, said, _ = files("condition", "image.npy", "--mask", "top.npy", *QUICK)
    assert status == 0, said
    assert "misfit 0" in said
    x = np.load("conditioned.npz")["x"]
    assert x.shape == (2, 1, 8, 8)
    np.testing.assert_allclose(x[:, TOP], np.broadcast_to(IMAGE[TOP], (2, 32)), atol=1e-6)


def test_pictures_are_taken_for_images_and_for_masks(files):
    image = pytest.importorskip("PIL.Image")
    pixels = np.round((IMAGE[0] + 1.0) * 127.5).astype(np.uint8)
    image.fromarray(pixels).save("image.png")
    image.fromarray(255 * TOP[0].astype(np.uint8)).save("top.png")
    assert files("condition", "image.png", "--mask", "top.png", *QUICK)[0] == 0
    x = np.load("conditioned.npz")["x"]
    np.testing.assert_allclose(x[:, TOP], np.broadcast_to(IMAGE[TOP], (2, 32)), atol=0.005)


@pytest.mark.parametrize(
    ("measured", "operator"),
    [
        ("small.npy", ("--downsample", 2)),
        ("image.npy", ("--blur", 0.5)),
        ("image.npy", ("--grey",)),
        ("sum.npy", ("--matrix", "sums.npy")),
    ],
)
@pytest.mark.parametrize("method", ["replacement", "pigdm"])
def test_operators_and_methods_by_name(files, measured, operator, method):
    words = ("condition", measured, *operator, "--method", method, "--noise", 0.3, *QUICK)
    status, said, error = files(*words)
    assert status == 0, error
    assert f"2 samples by {method}: 9 score evaluations" in said


def test_journeys_cost_an_evaluation_each_and_leave_what_is_known(files):
    words = ("condition", "image.npy", "--mask", "top.npy", "--journeys", 2, *QUICK)
    status, said, error = files(*words)
    assert status == 0, error
    assert "2 samples by replacement: 25 score evaluations" in said
    x = np.load("conditioned.npz")["x"]
    np.testing.assert_allclose(x[:, TOP], np.broadcast_to(IMAGE[TOP], (2, 32)), atol=1e-6)


@pytest.mark.parametrize("method", ["local-score", "dps", "moment-matching", "ddrm"])
def test_the_other_methods(files, method):
    words = ("condition", "image.npy", "--mask", "top.npy", "--method", method, "--noise", 0.5)
    assert files(*words, *QUICK)[0] == 0


def test_particles_are_weighed_and_a_few_of_them_kept(files):
    """They are all as likely, and those of one digit have it in common."""
    words = ("condition", "image.npy", "--mask", "top.npy", "--method", "smc", "--noise", 0.2)
    status, said, error = files(*words, "--particles", 64, "--steps", 30, "-n", 4)
    assert status == 0, error
    assert "4 samples by smc: 32 score evaluations" in said
    assert re.search(r"effective sample size at least [\d.]+ of 64, at t = [\d.]+$", said, re.M)
    x = np.load("conditioned.npz")["x"]
    assert x.shape == (4, 1, 8, 8)
    assert np.abs(x - IMAGE).max() < 0.2


def test_kept_are_particles_of_ancestors_that_are_far_apart():
    x = torch.arange(12.0)[:, None]
    drawn = Samples(x, 0.0, nfe=3, seconds=1.0, nfe_by_row=torch.arange(12))
    known = Measurement(Mask(torch.tensor([True])), torch.zeros(1, 1), 1.0)
    samples, _ = Particles(known, 4).kept(drawn, Exact("core/two-modes"))
    assert samples.x.flatten().tolist() == [0.0, 3.0, 6.0, 9.0]
    assert samples.nfe_by_row.tolist() == [0, 3, 6, 9]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("image.npy",), "--mask = None: must be the one of"),
        (("image.npy", "--grey", "--blur", 1), "that is given"),
        (("image.npy", "--mask", "ones.npy"), "must be a Boolean array"),
        (("image.npy", "--mask", "small.npy"), "must be a Boolean array"),
        (("small.npy", "--mask", "top.npy"), "MEASURED = 'small.npy': must be of shape"),
        (("far.npy", "--mask", "top.npy"), "It has numbers up to 255"),
        (("small.npy", "--downsample", 4), "It fits samples of shape (1, 16, 16)"),
        (("image.npy", "--mask", "top.npy", "--noise", -1), "--noise = -1.0"),
        (("image.npy", "--mask", "top.npy", "--method", "dps"), "--noise = 0.0: must be above 0"),
        (("image.npy", "--mask", "top.npy", "--method", "dsp"), "Did you mean 'core/dps'"),
        (
            ("image.npy", "--mask", "top.npy", "--method", "classifier-free"),
            "--method = 'classifier-free': must be a score given a measurement",
        ),
        ((*SMC, "--noise", 0), "--noise = 0.0: must be above 0 for SMC"),
        ((*SMC, "--particles", 1), "--particles = 1: must be at least 2, as many as samples"),
        ((*SMC, "--journeys", 1), "--journeys = 1: must be left out with smc"),
        ((*SMC, "--solver", "ode/euler"), "--solver = 'ode/euler': must be left out with smc"),
        (("image.npy", "--grey", "--particles", 9), "--particles = 9: must be left out: only"),
        (("small.npy", "--downsample", 0), "--downsample = 0: must be"),
        (("image.npy", "--blur", -1), "--blur = -1.0: must be"),
        (
            ("image.npy", "--grey", "--method", "ddrm", "--noise", 1, "--solver", "ode/euler"),
            "--solver = 'ode/euler': must be left out with ddrm",
        ),
        (("image.npy", "--mask", "none.npy"), "--mask = 'none.npy': must be a .npy file"),
        (("image.txt", "--mask", "top.npy"), "a picture or a .npy file"),
        (
            ("image.npy", "--mask", "top.npy", "--solver", "exponential/auto"),
            "--solver = 'exponential/auto': must be one of single steps",
        ),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(files, words, said):
    status, _, error = files("condition", *words, *QUICK)
    assert status == 2
    assert said in error
    assert error.count("\n") == 1


def test_a_method_of_a_plugin_is_one_too(files, monkeypatch):
    """It takes the score of all data and the measurement."""

    class Plugin:
        @sp.hookimpl
        def sdeplug_scores(self):
            return {"echo": lambda score, measurement: LocalScore(score, measurement)}

    known = sp.Registry()
    known.register(Plugin(), "mine")
    monkeypatch.setattr(condition, "registry", lambda: known)
    words = ("condition", "image.npy", "--mask", "top.npy", "--method", "mine/echo", "--noise", 0.5)
    status, said, error = files(*words, *QUICK)
    assert status == 0, error
    assert "samples by mine/echo" in said
