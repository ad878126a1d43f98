"""torchdiffeq's solvers: what goes wrong is told, with the last good state; and gradients."""

from __future__ import annotations

import math
import pickle

import pytest
import torch

from sdeplug import (
    VPSDE,
    ArgumentError,
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
