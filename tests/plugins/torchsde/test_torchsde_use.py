"""torchsde as a back end: in a pipeline, gradients, and wrong input."""

from __future__ import annotations

import math
import re
import weakref

import pytest
import torch
from common import Cubic, GaussianScore, normal
from plugins.torchsde.methods import ADAPTIVE, REVERSE, SDE, S, T, names, run

from sdeplug import (
    ArgumentError,
    Corrected,
    Counted,
    FromNoise,
    Leg,
    NonFiniteError,
    OnGrid,
    Pipeline,
    ReverseSDE,
    StepError,
    Trajectory,
    Uniform,
)
from sdeplug_song import Langevin
from sdeplug_torchsde import (
    SRK,
    AdaptiveHeun,
    AdaptiveSRK,
    Heun,
    LogODE,
    Midpoint,
    ReversibleHeun,
)
from sdeplug_torchsde.adaptive import _Adaptive

close = torch.testing.assert_close
WITH_ADJOINT = [Heun, Midpoint, LogODE, ReversibleHeun]


# As a part of something


@pytest.mark.parametrize("by", [SRK(steps=20), AdaptiveHeun()])
def test_it_is_a_leg(by):
    seen = Trajectory()
    legs = (Leg(0.5, by), Leg(0.1, OnGrid(Corrected(by, Langevin(snr=0.1)), Uniform(3))))
    samples = Pipeline(REVERSE, legs).sample((16, 2), seed=0, observers=(seen,))
    assert samples.x.isfinite().all()
    times = seen.times
    assert times == sorted(times, reverse=True)
    assert len(times) == len(set(times)) > 20
    again = Pipeline(REVERSE, legs).sample((16, 2), seed=0)
    close(again.x, samples.x, rtol=0.0, atol=0.0)


def test_an_sde_that_is_not_linear():
    reverse = ReverseSDE(Cubic(), lambda x, t: -x)
    for by in (Heun(8), AdaptiveSRK()):
        assert by.integrate(reverse, 0.3 * normal(4, 3), 0.3, 0.1, run()).isfinite().all()


# Gradients


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner = torch.nn.Linear(3, 16, dtype=torch.float64)
        self.outer = torch.nn.Linear(16, 2, dtype=torch.float64)

    def forward(self, x, t):
        return self.outer(torch.tanh(self.inner(torch.cat([x, t[:, None]], 1))))


def gradients(by, net, x):
    """Of x and of the weights; forward and backward evaluations."""
    with torch.random.fork_rng():
        counted = Counted(FromNoise(net, SDE))
        x = x.clone().requires_grad_()
        y = by.integrate(ReverseSDE(SDE, counted), x, 0.9, 0.5, run())
        forward = counted.nfe
        weights = list(net.parameters())
        grads = torch.autograd.grad(y.square().sum(), [x, *weights])
    return torch.cat([each.flatten() for each in grads]), forward, counted.nfe - forward


@pytest.mark.parametrize("cls", WITH_ADJOINT, ids=names)
def test_the_adjoint_finds_the_gradients(cls):
    with torch.random.fork_rng():
        net = Net()
    x, off = normal(5, 2), []
    for steps in (16, 32):
        plain, forward, none = gradients(cls(steps), net, x)
        adjoint, same, back = gradients(cls(steps, adjoint=True), net, x)
        assert none == 0
        assert same == forward == cls(steps).claims.evaluations
        # Of the first drift, which reversible Heun keeps, the graph is made again.
        assert back == 2 * steps + (cls is ReversibleHeun)
        off.append(float((adjoint - plain).norm() / plain.norm()))
    if cls is ReversibleHeun:
        assert max(off) < 1e-10
    else:
        assert off[1] < 0.45 * off[0]
        assert off[1] < 0.05


class Kept:
    """A tensor that a graph keeps."""

    def __init__(self, tensor):
        self.size = 0 if isinstance(tensor, torch.nn.Parameter) else tensor.numel()


@pytest.mark.parametrize("cls", WITH_ADJOINT, ids=names)
def test_an_adjoint_keeps_no_graph_of_the_network(cls):
    wide, alive = torch.nn.Linear(2, 1000, dtype=torch.float64), weakref.WeakSet()

    def pack(tensor):
        kept = Kept(tensor)
        alive.add(kept)
        return kept

    def score(x, t):
        return -wide(x).tanh().reshape(len(x), 2, -1).mean(-1)

    x = normal(5, 2).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: None):
        y = cls(4, adjoint=True).integrate(ReverseSDE(SDE, score), x, T, S, run())
    assert y.requires_grad
    assert sum(each.size for each in alive) < 1000


def test_an_adjoint_without_gradients_is_none():
    x = normal(5, 2)
    for by in (Heun(4, adjoint=True), ReversibleHeun(4, adjoint=True)):
        wanted = type(by)(4).integrate(REVERSE, x, T, S, run())
        close(by.integrate(REVERSE, x, T, S, run()), wanted, rtol=0.0, atol=0.0)
        with torch.no_grad():
            close(by.integrate(REVERSE, x, T, S, run()), wanted, rtol=0.0, atol=0.0)


# Bad input


@pytest.mark.parametrize("cls", ADAPTIVE, ids=names)
@pytest.mark.parametrize(
    "options", [{"rtol": 0.0}, {"atol": -1.0}, {"max_steps": 0}, {"dt_min": 0.0}, {"first_step": 0}]
)
def test_bad_options_are_refused(cls, options):
    with pytest.raises(ArgumentError, match=next(iter(options))):
        cls(**options)


def failure(by: _Adaptive, score, error, match):
    legs = (Leg(0.1, by),)
    with pytest.raises(error, match=match) as caught:
        Pipeline(ReverseSDE(SDE, score), legs).sample((6, 2), seed=0)
    found = caught.value
    assert type(by).__name__ in str(found)
    assert found.leg == 0
    assert 0 <= found.row < 6
    assert found.last.isfinite().all()
    assert found.last.shape == (6, 2)
    return found


@pytest.mark.parametrize("cls", ADAPTIVE, ids=names)
def test_a_budget_that_is_too_small(cls):
    found = failure(cls(max_steps=7), GaussianScore(SDE), StepError, "max_steps")
    assert found.t < 1.0
    assert found.last_t < 1.0
    assert found.step > 0.0


@pytest.mark.parametrize("cls", ADAPTIVE, ids=names)
def test_a_step_that_falls_below_the_least(cls):
    found = failure(cls(rtol=1e-9, atol=1e-9, dt_min=1e-4), rough, StepError, "dt_min")
    assert found.step < 1e-4
    assert found.row == 3


@pytest.mark.parametrize("cls", ADAPTIVE, ids=names)
def test_a_span_shorter_than_the_least_step_is_one_step(cls):
    x = normal(4, 3)
    y = cls(dt_min=1e-4).integrate(REVERSE, x, T, T - 1e-6, run())
    assert 0.0 < float((y - x).abs().max()) < 0.1


def rough(x, t):
    """A score that no step resolves, in row 3."""
    score = -x
    score[3] = -1e4 * torch.sin(1e6 * x[3])
    return score


@pytest.mark.parametrize("cls", ADAPTIVE, ids=names)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_score_that_breaks_half_way(cls, value):
    def score(x, t):
        found = -x
        if float(t[0]) < 0.5:
            found[4] = value
        return found

    found = failure(cls(), score, NonFiniteError, "non-finite")
    assert found.row == 4
    assert found.t < 0.5
    assert found.last_t < 0.6
    lost = re.search(r"score model itself .* for t = ([\d.]+)\. ", str(found))
    assert found.last_t < 0.5 or (lost is not None and float(lost[1]) < 0.5)


def test_fixed_steps_are_guarded_on_their_way():
    def score(x, t):
        return -x * (math.nan if float(t[0]) < 0.5 else 1.0)

    found = failure(SRK(steps=50), score, NonFiniteError, "finite")
    assert 0.4 < found.last_t < 0.6


def test_an_assertion_of_the_score_is_its_own():
    def score(x, t):
        raise AssertionError("mine")

    with pytest.raises(AssertionError, match="mine"):
        AdaptiveSRK().integrate(ReverseSDE(SDE, score), normal(4, 3), T, S, run())
