"""torchdiffeq's solvers: what goes wrong is told, with the last good state; and gradients."""

from __future__ import annotations

import math
import pickle

import pytest
import torch
from common import normal
from torch import nn

from sdeplug import (
    VPSDE,
    ArgumentError,
    FromNoise,
    Leg,
    NonFiniteError,
    Pipeline,
    ReverseSDE,
    Run,
    Silence,
    StepError,
    targets,
)
from sdeplug_torchdiffeq import (
    AdaptiveHeun,
    Bosh3,
    Dopri5,
    Dopri8,
    ExplicitAdams,
    Fehlberg2,
    FixedHeun2,
    FixedRK4,
    ScipyRK45,
)

close = torch.testing.assert_close
QUIET = Run(Silence())
PAIRS = [Dopri5(), Dopri8(), Bosh3(), Fehlberg2(), AdaptiveHeun()]


def named(each):
    return type(each).__name__


# Options


@pytest.mark.parametrize("cls", [Dopri5, Dopri8, Bosh3, Fehlberg2, AdaptiveHeun, ScipyRK45])
@pytest.mark.parametrize("option", ["rtol", "atol"])
@pytest.mark.parametrize("value", [0.0, -1e-3, math.nan, "1e-3"])
def test_tolerances_are_above_zero(cls, option, value):
    with pytest.raises(ArgumentError, match=option):
        cls(**{option: value})


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (Dopri5, {"max_steps": 0}),
        (Dopri5, {"first_step": 0.0}),
        (Dopri5, {"batch_norm": "rms"}),
        (FixedRK4, {"steps": 0}),
        (ExplicitAdams, {"max_order": 3}),
        (ExplicitAdams, {"max_order": 13}),
        (ScipyRK45, {"max_evaluations": 0}),
    ],
)
def test_other_options_are_checked(cls, options):
    with pytest.raises(ArgumentError, match=next(iter(options))):
        cls(**options)


# Failures


def growing(y, t):
    """dy/dt = y^2: infinite at t = 1 for y(0) = 1, later for smaller ones."""
    return y**2


START = torch.tensor([[0.2], [1.0], [0.5]], dtype=torch.float64)


@pytest.mark.parametrize(
    "method",
    [
        *PAIRS[:3],  # those of order 2 take ten times as many steps
        *(pytest.param(each, marks=pytest.mark.thorough) for each in PAIRS[3:]),
    ],
    ids=named,
)
def test_a_pole_underflows_with_row_and_last_state(method):
    with pytest.raises(StepError) as caught:
        method.flow(growing, START, 0.0, 2.0, QUIET)
    error = caught.value
    assert error.row == 1
    assert error.t == error.last_t == pytest.approx(1.0, abs=0.02)
    assert 0.0 < error.step < 1e-2
    # The state belongs to its time: y = y0 / (1 - y0 t).
    close(error.last[[0, 2]], (START / (1.0 - START * error.t))[[0, 2]], rtol=1e-2, atol=0.0)
    assert "Row 1" in str(error)
    assert "rtol" in str(error)


@pytest.mark.parametrize("method", PAIRS, ids=named)
def test_a_budget_that_is_too_small_is_told(method):
    method = type(method)(max_steps=5)
    with pytest.raises(StepError, match="all max_steps = 5 steps are used up") as caught:
        method.flow(lambda y, t: 40.0 * torch.cos(40.0 * t + y), START, 0.0, 2.0, QUIET)
    error = caught.value
    assert 0.0 <= error.last_t < 2.0
    assert error.last.isfinite().all()
    assert error.last.shape == START.shape


@pytest.mark.parametrize("method", PAIRS, ids=named)
def test_steps_of_a_budget_are_counted_exactly(method):
    stages = {Dopri5(): 6, Dopri8(): 13, Bosh3(): 3, Fehlberg2(): 2, AdaptiveHeun(): 1}[method]
    asked = []

    def field(y, t):
        asked.append(t)
        return -y

    method.flow(field, START, 0.0, 0.5, QUIET)
    attempts, rest = divmod(len(asked) - 1, stages)
    assert rest == 0
    type(method)(max_steps=attempts).flow(field, START, 0.0, 0.5, QUIET)
    with pytest.raises(StepError):
        type(method)(max_steps=attempts - 1).flow(field, START, 0.0, 0.5, QUIET)


@pytest.mark.parametrize("method", [*PAIRS, ScipyRK45()], ids=named)
@pytest.mark.parametrize("down", [True, False])
def test_a_field_that_breaks_down_half_way_is_told_where(method, down):
    def field(y, t):
        value = -y
        if (t < 0.4) if down else (t > 0.4):
            value = value.clone()
            value[2] = math.nan
        return value

    t, s = (1.0, 0.1) if down else (0.1, 1.0)
    with pytest.raises(NonFiniteError) as caught:
        method.flow(field, START, t, s, QUIET)
    error = caught.value
    assert error.row == 2
    assert error.last.isfinite().all()
    assert error.t == pytest.approx(0.4, abs=1e-3)
    if not isinstance(method, ScipyRK45):
        assert error.last_t == pytest.approx(0.4, abs=1e-6)
        close(error.last, START * math.exp(-(error.last_t - t)), rtol=2e-3, atol=0.0)


def test_a_field_that_breaks_down_far_from_the_solution_costs_a_shorter_step_only():
    """The first step is tried over the whole span and overshoots into the forbidden zone."""

    def field(y, t):
        return torch.where(y < -0.5, math.nan, -8.0 * y)

    y = torch.ones(2, 1, dtype=torch.float64)
    end = Dopri5(first_step=1.0).flow(field, y, 0.0, 1.0, QUIET)
    close(end, y * math.exp(-8.0), rtol=0.0, atol=1e-4)


@pytest.mark.parametrize("method", [Dopri5(), ScipyRK45()], ids=named)
def test_an_end_without_a_score_is_given_up_soon(method):
    """Towards 0 the clock never runs out of ever shorter steps, but no span is walked in such."""
    asked = []

    def field(y, t):
        asked.append(t)
        return y / t if t else math.nan * y

    with pytest.raises((StepError, NonFiniteError), match="too short"):
        method.flow(field, START, 1e-3, 0.0, QUIET)
    assert len(asked) < 1800


@pytest.mark.parametrize("method", PAIRS, ids=named)
def test_a_start_that_is_not_finite_is_told(method):
    y = START.clone()
    y[1] = math.inf
    with pytest.raises(NonFiniteError, match="row 1"):
        method.flow(lambda y, t: -y, y, 0.0, 1.0, QUIET)


@pytest.mark.parametrize("method", [*PAIRS, FixedRK4(), ScipyRK45()], ids=named)
@pytest.mark.parametrize("kind", [AssertionError, RuntimeError, KeyError])
def test_what_the_score_raises_passes_through(method, kind):
    def field(y, t):
        if t > 0.5:
            raise kind("of the network")
        return -y

    with pytest.raises(kind, match="of the network"):
        method.flow(field, START, 0.0, 1.0, QUIET)


def test_a_scipy_budget_and_a_scipy_pole():
    with pytest.raises(StepError, match="max_evaluations = 20") as caught:
        ScipyRK45(max_evaluations=20).flow(growing, START, 0.0, 0.99, QUIET)
    assert torch.equal(caught.value.last, START)
    with pytest.raises((StepError, NonFiniteError), match="scipy") as caught:
        ScipyRK45().flow(growing, START, 0.0, 2.0, QUIET)
    assert caught.value.t == pytest.approx(1.0, abs=1e-3)


def test_a_pipeline_names_the_solver_and_keeps_the_last_state():
    sde = VPSDE()
    score = targets.eight_gaussians().score(sde)

    def broken(x, t):
        value = score(x, t)
        return torch.where((t < 0.2)[:, None], math.nan * value, value)

    legs = (Leg(0.5, FixedRK4(10)), Leg(1e-3, Dopri5()))
    with pytest.raises(NonFiniteError) as caught:
        Pipeline(ReverseSDE(sde, broken), legs).sample((4, 2))
    error = pickle.loads(pickle.dumps(caught.value))
    assert error.leg == 1
    assert error.solver == repr(Dopri5())
    assert "Dopri5" in str(error)
    assert error.last_t == pytest.approx(0.2, abs=1e-5)
    assert error.last.isfinite().all()


def test_a_pipeline_tells_of_a_budget():
    sde = VPSDE()
    reverse = ReverseSDE(sde, targets.eight_gaussians().score(sde))
    with pytest.raises(StepError, match=r"Dopri5.*leg 0.*max_steps = 3") as caught:
        Pipeline(reverse, (Leg(1e-3, Dopri5(max_steps=3)),)).sample((4, 2))
    assert caught.value.step is not None


# Gradients


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
