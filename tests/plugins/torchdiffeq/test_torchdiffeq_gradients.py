"""torchdiffeq: gradients, and failures on the way back."""

from __future__ import annotations

import math

import pytest
import torch
from common import normal
from torch import nn

from sdeplug import (
    VPSDE,
    FromNoise,
    NonFiniteError,
    ReverseSDE,
    Run,
    Silence,
)
from sdeplug_torchdiffeq import (
    AdaptiveHeun,
    Bosh3,
    Dopri5,
    Dopri8,
    ExplicitAdams,
    FixedHeun2,
    FixedRK4,
    ScipyRK45,
)

close = torch.testing.assert_close
QUIET = Run(Silence())


class Rates(nn.Module):
    """dy/dt = a y + b t, with parameters."""

    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(-0.7, dtype=torch.float64))
        self.b = nn.Parameter(torch.tensor([0.3, -0.2], dtype=torch.float64))

    def forward(self, y, t):
        return self.a * y + self.b * t


def gradients(method, t, s, module):
    y = normal(3, 2).requires_grad_()
    end = method.flow(lambda y, t: module(y, t), y, t, s, QUIET)
    parameters = tuple(module.parameters())
    return torch.autograd.grad(end.square().sum(), (y, *parameters))


@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize(
    "cls", [Dopri5, Dopri8, Bosh3, AdaptiveHeun, FixedRK4, FixedHeun2, ExplicitAdams]
)
@pytest.mark.parametrize(("t", "s"), [(1.0, 0.2), (0.2, 1.0)])
@pytest.mark.thorough
def test_gradients_are_those_of_a_fine_solution(cls, adjoint, t, s):
    options = {"rtol": 1e-7, "atol": 1e-7} if hasattr(cls, "rtol") else {"steps": 100}
    if cls is AdaptiveHeun:
        options = {"rtol": 1e-6, "atol": 1e-6}
    module = Rates()
    found = gradients(cls(adjoint=adjoint, **options), t, s, module)
    wanted = gradients(FixedRK4(300), t, s, module)
    for one, other in zip(found, wanted, strict=True):
        close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("t", "s"), [(1.0, 0.2), (0.2, 1.0)])
def test_gradients_through_scipy_are_those_of_the_adjoint(t, s):
    module = Rates()
    found = gradients(ScipyRK45(1e-7, 1e-7), t, s, module)
    for one, other in zip(found, gradients(FixedRK4(300), t, s, module), strict=True):
        close(one, other, rtol=1e-4, atol=1e-5)


def test_the_gradient_is_right():
    """y' = a y: dy(s)/da = (s - t) y(s), dy(s)/dy = exp(a (s - t))."""
    a = torch.tensor(-0.7, dtype=torch.float64, requires_grad=True)
    y = normal(3, 2).requires_grad_()
    for adjoint in (False, True):
        end = Dopri5(1e-9, 1e-9, adjoint=adjoint).flow(lambda y, t: a * y, y, 1.0, 0.2, QUIET)
        by_a, by_y = torch.autograd.grad(end.sum(), (a, y))
        close(by_a, (-0.8 * end).sum(), rtol=1e-6, atol=1e-8)
        close(by_y, torch.full_like(y, math.exp(0.56)), rtol=1e-6, atol=1e-8)


def test_the_adjoint_finds_parameters_behind_wrappers_and_runs_twice():
    """A network inside a lambda inside FromNoise inside a ReverseSDE."""
    network = nn.Linear(2, 2, dtype=torch.float64)
    sde = VPSDE()
    reverse = ReverseSDE(sde, FromNoise(lambda x, t: torch.tanh(network(x)), sde))
    x, found = normal(4, 2), []
    for by in (Dopri5(1e-8, 1e-8), Dopri5(1e-8, 1e-8, adjoint=True)):
        end = by.integrate(reverse, x, 0.9, 0.3, QUIET)
        loss = end.square().sum()
        once = torch.autograd.grad(loss, tuple(network.parameters()), retain_graph=True)
        again = torch.autograd.grad(loss, tuple(network.parameters()))
        for one, other in zip(once, again, strict=True):
            close(one, other)
        found.append(once)
    for one, other in zip(*found, strict=True):
        close(one, other, rtol=1e-4, atol=1e-6)


def test_the_adjoint_keeps_no_graph_and_asks_inside_the_span():
    module, asked = Rates(), []

    def field(y, t):
        asked.append((t, torch.is_grad_enabled()))
        return module(y, t)

    y = normal(3, 2)
    end = Dopri5(adjoint=True).flow(field, y, 1.0, 0.2, QUIET)
    assert sum(enabled for _, enabled in asked) == 2  # to find the parameters, at both ends
    end.sum().backward()
    assert module.a.grad is not None
    assert min(t for t, _ in asked) == 0.2
    assert max(t for t, _ in asked) == 1.0


def test_without_gradients_the_adjoint_costs_nothing():
    asked, plain = [], []
    with torch.no_grad():
        for by, calls in ((Dopri5(adjoint=True), asked), (Dopri5(), plain)):
            by.flow(lambda y, t, c=calls: c.append(t) or -y, normal(3, 2), 1.0, 0.2, QUIET)
    assert asked == plain


def test_a_failure_on_the_way_back_is_told():
    """The way there takes few steps; the way back meets a field that breaks down."""
    returning = []

    class Field(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Parameter(torch.tensor(1.0, dtype=torch.float64))

        def forward(self, y, t):
            return self.a * y * (math.nan if returning and t < 0.5 else 1.0)

    field = Field()
    end = Dopri5(adjoint=True).flow(lambda y, t: field(y, t), normal(3, 2), 0.1, 1.0, QUIET)
    returning.append(True)
    with pytest.raises(NonFiniteError) as caught:
        end.sum().backward()
    assert caught.value.t == pytest.approx(0.5, abs=1e-2)
