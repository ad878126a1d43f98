"""Metrics: noise, floors, what they suit, and the hook."""

from __future__ import annotations

import math
import types
from dataclasses import dataclass

import pytest
import torch
from metrics.truths import PLAIN, RING, VP

from sdeplug import VPSDE, Metric, Truth, hookimpl, targets
from sdeplug.errors import ArgumentError, PluginWarning
from sdeplug.metrics import (
    BUILTIN,
    SlicedW2,
)
from sdeplug.registry import Registry, metric


@pytest.mark.parametrize("name", BUILTIN)
def test_a_metric_is_a_function_of_samples_and_truth(name):
    cls = BUILTIN[name]
    truth = next(
        t for t in (RING, PLAIN, Truth(targets.digits(), VP, VP.eps)) if cls.suits(t.target)
    )
    x = truth.draws(60, "mine").float()
    before, state = x.clone(), torch.random.get_rng_state()
    first = cls().measure(x, truth)
    again = cls().measure(x.clone(), Truth(truth.target, VPSDE(), truth.t, truth.seed))
    assert type(first) is float
    assert math.isfinite(first)
    assert first == again
    assert torch.equal(x, before)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_draws_depend_on_seed_word_and_time_alone():
    assert torch.equal(RING.draws(5), Truth(targets.eight_gaussians(), VPSDE(), VP.eps).draws(5))
    for other in (RING.draws(5, "floor"), Truth(RING.target, VP, VP.eps, 1).draws(5)):
        assert not torch.equal(RING.draws(5), other)
    late = Truth(RING.target, VP, VP.T).draws(20_000)
    torch.testing.assert_close(late.T.cov(), torch.eye(2).double(), atol=0.05, rtol=0.0)


@pytest.mark.parametrize(
    ("target", "names"),
    [
        (targets.eight_gaussians(), {"sliced-w2", "mode-weights", "mode-moments"}),
        (PLAIN.target, {"bures-wasserstein", "sliced-w2"}),
        (
            targets.Empirical(torch.zeros(3, 1, 4, 4)),
            {"frechet", "nearest-neighbour", "precision", "recall", "density", "coverage"},
        ),
        (
            targets.Empirical(torch.zeros(3, 2)),
            {"sliced-w2", "nearest-neighbour", "precision", "recall", "density", "coverage"},
        ),
    ],
)
def test_metrics_know_their_targets(target, names):
    found = {name for name, cls in BUILTIN.items() if cls.suits(target)}
    assert found == names | {"energy-distance"}


# The hook


@dataclass(frozen=True)
class Mean(Metric):
    power: float = 1.0

    def measure(self, x, truth):
        return float((x.double().mean(0) - truth.moments()[0]).abs().sum()) ** self.power


def offering(**metrics: object) -> types.SimpleNamespace:
    return types.SimpleNamespace(sdeplug_metrics=hookimpl(lambda: metrics))


def test_a_plugin_can_offer_a_metric():
    registry = Registry()
    registry.register(offering(mean=Mean), "mine")
    assert registry.find("metrics", "mean").obj is Mean
    assert set(registry.metrics()) == {"mine/mean", *(f"core/{name}" for name in BUILTIN)}
    assert registry.name_of(Mean) == "mine/mean"


def test_a_metric_of_a_plugin_is_checked():
    class Loose(Metric):
        def measure(self, x, truth):
            return 0.0

    registry = Registry((), {})
    with pytest.raises(Exception, match="frozen dataclass"):
        registry.register(offering(loose=Loose), "mine")
    with pytest.raises(Exception, match="derives from Metric"):
        registry.register(offering(loose=VPSDE), "mine")


def test_a_metric_is_built_by_name_with_options():
    assert metric("sliced-w2", directions=5) == SlicedW2(directions=5)
    with pytest.raises(ArgumentError, match="at least 1"):
        metric("core/sliced-w2", directions=0)
    assert PluginWarning  # a metric that does not work is left out like any other entry
