"""Gradients through a sampler, and what they keep in memory."""

from __future__ import annotations

import weakref
from dataclasses import replace

import pytest
import torch
from common import normal
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from sdeplug import (
    VPSDE,
    Bound,
    Checkpointed,
    Corrected,
    FromNoise,
    Leg,
    OnGrid,
    Pipeline,
    ReverseSDE,
    Uniform,
    solver,
)

SDE = VPSDE()
LABELS = torch.tensor([[0.3], [-0.2], [1.0]], dtype=torch.float64)
SOLVERS = {
    "noise": OnGrid(solver("song/euler-maruyama"), Uniform(5)),
    "corrected": OnGrid(Corrected(solver("ode/heun"), solver("song/langevin")), Uniform(3)),
    "multistep": OnGrid(solver("exponential/adams"), Uniform(5)),
    "rows that leave": solver("adaptive/row-dopri5", rtol=0.1, atol=0.1),
}


class Network(nn.Module):
    """Three layers of (x, t, labels), with dropout: random numbers of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(4, 32), nn.Tanh(), nn.Dropout(0.1), nn.Linear(32, 32), nn.Tanh(),
            nn.Linear(32, 2),
        ).double()  # fmt: skip
        for each in self.parameters():
            each.data = 0.4 * normal(*each.shape, seed=each.numel())

    def forward(self, x, t, labels):
        return self.layers(torch.cat((x, t[:, None], labels), 1))


def run(by, wrap, network):
    """Samples, evaluations, the gradient of each parameter and of x, and the numbers kept."""
    x = normal(3, 2).requires_grad_()
    score = wrap(FromNoise(Bound(network, labels=LABELS), SDE))
    pipeline = Pipeline(ReverseSDE(SDE, score), Leg(0.2, by))
    kept = []

    def keep(tensor):
        kept.append(tensor.numel())
        return tensor

    torch.manual_seed(0)
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        out = pipeline.sample(x=x, grad=True)
    grads = torch.autograd.grad(out.x.square().sum(), (x, *network.parameters()))
    return out, grads, sum(kept)


@pytest.mark.parametrize("by", SOLVERS.values(), ids=SOLVERS)
def test_checkpoints_change_nothing_but_the_memory(by):
    network = Network()
    plain, wanted, before = run(by, lambda model: model, network)
    lean, found, after = run(by, Checkpointed, network)
    assert torch.equal(lean.x, plain.x)
    assert (lean.nfe, lean.nfe_by_row.tolist()) == (plain.nfe, plain.nfe_by_row.tolist())
    for mine, its in zip(found, wanted, strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-12, atol=1e-12)
        assert bool(its.any())
    assert after < 0.3 * before


def test_without_gradients_it_is_the_model_itself():
    asked = []

    def model(x, t):
        asked.append(torch.is_grad_enabled())
        return -x

    pipeline = Pipeline(ReverseSDE(SDE, Checkpointed(model)), Leg(0.2, SOLVERS["noise"]))
    x = normal(3, 2)
    bare = replace(pipeline, reverse=ReverseSDE(SDE, model))
    assert torch.equal(pipeline.sample(x=x).x, bare.sample(x=x).x)
    assert asked == [False] * 10


@pytest.mark.parametrize("name", ["torchdiffeq/fixed-midpoint", "torchsde/sde-heun"])
def test_the_adjoint_keeps_no_graph_of_a_span_on_the_way_back(name):
    """What held the last evaluation of each span held its graph, while the samples were there."""
    pytest.importorskip(name.split("/")[0])
    weight = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    inner = []

    def model(x, t):
        hidden = (weight * x).tanh()
        inner.append(weakref.ref(hidden.untyped_storage()))
        return hidden.tanh() - x

    by = OnGrid(solver(name, adjoint=True), Uniform(6))
    out = Pipeline(ReverseSDE(SDE, model), Leg(0.2, by)).sample(x=normal(3, 2), grad=True)
    out.x.sum().backward()
    assert len(inner) >= 24
    assert not [each for each in inner if each() is not None]
    assert bool(weight.grad)
