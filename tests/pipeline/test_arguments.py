"""Values as people have them: accepted where the meaning is plain, else one clear sentence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from common import GaussianScore

import sdeplug
from sdeplug import (
    VPSDE,
    At,
    Leg,
    LogSNR,
    OnGrid,
    PairingError,
    PerSampleNoise,
    Pipeline,
    ReverseSDE,
    SharedNoise,
    Trajectory,
    solver,
)
from sdeplug.errors import ArgumentError

SDE = VPSDE()
REVERSE = ReverseSDE(SDE, GaussianScore(SDE))
BY = OnGrid(solver("song/euler-maruyama"), LogSNR(3))
PIPELINE = Pipeline(REVERSE, Leg(0.1, BY))
X = torch.ones(4, 2)
WANTED = PIPELINE.sample((4, 2)).x
FROM_X = PIPELINE.sample((4, 2), x=X, t=0.5).x


@pytest.mark.parametrize(
    ("shape", "keywords"),
    [
        ((np.int64(4), 2), {}),
        (np.array([4, 2]), {}),
        (torch.tensor([4, 2]), {}),
        ((torch.tensor(4), 2), {}),
        ([4, 2], {"seed": np.int64(0)}),
        ([4, 2], {"seed": torch.tensor(0)}),
        ([4, 2], {"dtype": "float32"}),
        ([4, 2], {"dtype": "torch.float32"}),
        ([4, 2], {"dtype": np.float32}),
        ([4, 2], {"dtype": np.dtype("float32")}),
        ([4, 2], {"device": torch.device("cpu")}),
        ([4, 2], {"observers": Trajectory()}),
        ([4, 2], {"observers": [Trajectory(), print][:1]}),
    ],
)
def test_values_that_people_have_are_taken(shape, keywords):
    assert torch.equal(PIPELINE.sample(shape, **keywords).x, WANTED)


@pytest.mark.parametrize(
    "t", [0.5, np.float64(0.5), np.float32(0.5), np.array(0.5), torch.tensor(0.5)]
)
def test_a_time_may_be_any_number(t):
    out = PIPELINE.sample(x=X, t=t)
    assert torch.equal(out.x, FROM_X)
    assert type(out.t) is float
    leg = Leg(t, BY, t)
    assert leg == Leg(0.5, BY, 0.5)
    assert type(leg.to) is type(leg.stochasticity) is float
    assert ReverseSDE(SDE, GaussianScore(SDE), t).stochasticity == 0.5
    assert torch.equal(Pipeline(REVERSE, leg).sample((2, 2)).x,
                       Pipeline(REVERSE, [leg]).sample((2, 2)).x)  # fmt: skip


@pytest.mark.parametrize("seeds", [np.array([3, 1]), torch.tensor([3, 1]), range(3, 0, -2), (3, 1)])
def test_seeds_may_be_an_array(seeds):
    assert torch.equal(
        PIPELINE.sample((2, 2), seed=seeds).x, PIPELINE.sample((2, 2), seed=[3, 1]).x
    )
    ids = seeds if isinstance(seeds, range) else list(seeds)
    assert PerSampleNoise(0, ids).ids == (3, 1)
    assert SharedNoise(seeds[0]).seed == 3


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"t": "0.2"}, r"t = '0\.2': must be a time with 0\.1 \(first leg\) < t <= T = 1\.0"),
        ({"t": torch.tensor([0.2, 0.3]), "x": X}, r"t = tensor\(\[.*must be a time"),
        ({"t": True, "x": X}, "t = True"),
        ({"dtype": "float31"}, "dtype = 'float31': must be a floating-point dtype"),
        ({"dtype": "nn"}, "dtype = 'nn'"),
        ({"dtype": np.int64}, "dtype = .*int64.*floating-point dtype"),
        ({"dtype": 32.5}, r"dtype = 32\.5"),
        ({"device": "meta"}, "device = 'meta': must be a device that torch has here"),
        ({"device": "gpu"}, "device = 'gpu'"),
        ({"device": None}, "device = None"),
        ({"observers": 3}, "observers = 3: must be a function of an Event"),
        ({"observers": (print, None)}, "observers = None"),
        ({"seed": [torch.Generator()] * 4}, r"seed\[0\] = <torch.*whole number"),
        ({"seed": np.array([0, 1, 2, -1])}, r"seed\[3\] = -1"),
        ({"seed": np.array([0, 1])}, "one number, or 4"),
        ({"seed": "0123"}, "seed = '0123'"),
        ({"seed": np.float64(1.0)}, "seed = "),
        ({"x": np.ones((4, 2))}, "x = .*torch.as_tensor"),
    ],
)
def test_what_is_not_plain_is_one_clear_sentence(keywords, message):
    with pytest.raises(ArgumentError, match=message):
        PIPELINE.sample((4, 2), **keywords)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a device")
def test_a_device_that_is_not_there_is_named():
    with pytest.raises(ArgumentError, match="device = 'cuda': must be a device that torch has"):
        PIPELINE.sample((4, 2), device="cuda")


def test_the_shape_is_that_of_x():
    assert torch.equal(PIPELINE.sample(x=X, t=0.5).x, FROM_X)
    with pytest.raises(ArgumentError, match="shape = None"):
        PIPELINE.sample()
    with pytest.raises(ArgumentError, match="shape = None"):
        PIPELINE.sample(x=[[1.0, 1.0]])


def test_samples_in_one_line_start_elsewhere_and_are_watched():
    watch = Trajectory()
    out = sdeplug.sample(REVERSE, by=BY, x=X, t=0.5, observers=watch)
    assert out.x.shape == X.shape
    assert watch.times[0] == 0.5
    noise = sdeplug.sample(REVERSE, (4, 2), BY, noise=SharedNoise(0)).x
    assert torch.equal(noise, sdeplug.sample(REVERSE, (4, 2), BY).x)


def test_gradients_are_kept_on_demand():
    x = X.double().requires_grad_()
    weight = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    pipeline = Pipeline(ReverseSDE(SDE, lambda x, t: -weight * x), Leg(0.1, BY))
    assert not pipeline.sample(x=x).x.requires_grad
    with torch.no_grad():
        out = pipeline.sample(x=x, grad=True, observers=Trajectory()).x
    slopes = torch.autograd.grad(out.sum(), (x, weight))
    shifted = replace(pipeline.reverse, score_model=lambda x, t: -(weight + 1e-6) * x)
    moved = Pipeline(shifted, Leg(0.1, BY)).sample(x=x).x
    difference = float((moved - out.detach()).sum()) / 1e-6
    assert float(slopes[1]) == pytest.approx(difference, rel=1e-4)
    assert bool((slopes[0] > 0.0).all())
    assert sdeplug.sample(pipeline.reverse, by=BY, x=x, grad=True).x.requires_grad


def test_a_single_leg_need_not_be_in_a_sequence():
    assert Pipeline(REVERSE, Leg(0.1, BY)) == Pipeline(REVERSE, [Leg(0.1, BY)])
    with pytest.raises(PairingError, match=r"legs\[0\]"):
        Pipeline(REVERSE, [BY])


def test_times_of_a_grid_may_be_an_array():
    assert At(np.array([0.5, 0.25])) == At([0.5, 0.25]) == At((0.5, 0.25))
    assert At(torch.tensor([0.5, 0.25])) == At((np.float32(0.5), np.float64(0.25)))
    assert repr(At(np.array([0.5]))) == "At(points=(0.5,))"
