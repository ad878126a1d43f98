"""torchdiffeq's solvers: conformance, the span, both directions, tolerances, observers."""

from __future__ import annotations

import math
import subprocess
import sys
import weakref
from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest
import torch
from bundled import BRIEF, SHARED, checks_of
from common import GaussianScore, normal
from hypothesis import given, settings
from hypothesis import strategies as st
from probing import MEANS, VARIANCES, alternating

from sdeplug import (
    VESDE,
    VPSDE,
    Corrected,
    Counted,
    Leg,
    LogSNR,
    OnGrid,
    Pipeline,
    ReverseSDE,
    Run,
    Silence,
    Uniform,
    solver,
    targets,
)
from sdeplug.observers import Trajectory
from sdeplug.registry import registry
from sdeplug.testing import parametrize_with_checks
from sdeplug_ode import RK4
from sdeplug_song import AnnealedLangevin
from sdeplug_torchdiffeq import (
    AdaptiveHeun,
    Bosh3,
    Dopri5,
    Dopri8,
    ExplicitAdams,
    Fehlberg2,
    FixedEuler,
    FixedHeun2,
    FixedHeun3,
    FixedMidpoint,
    FixedRK4,
    ImplicitAdams,
    ScipyDOP853,
    ScipyRK23,
    ScipyRK45,
)
from sdeplug_torchdiffeq.rhythm import rhythm

close = torch.testing.assert_close
PAIRS = [Dopri5(), Dopri8(), Bosh3(), Fehlberg2(), AdaptiveHeun()]
SCIPY = [ScipyRK23(), ScipyRK45(), ScipyDOP853()]
RUNGE_KUTTA = [FixedEuler(), FixedMidpoint(), FixedHeun2(), FixedHeun3(), FixedRK4()]
ADAMS = [ExplicitAdams(), ImplicitAdams()]
FIXED = [*RUNGE_KUTTA, *ADAMS]
ALL = [*PAIRS, *SCIPY, *FIXED]
QUIET = Run(Silence())


def bent(y, t):
    """A field that is neither linear nor autonomous."""
    return torch.sin(3.0 * t + y) - 0.5 * y


def named(each):
    return type(each).__name__


# Conformance


@parametrize_with_checks([FixedRK4()], fast=True)
def test_conformance(check):
    check()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Functional iteration")  # of implicit Adams, in large steps
@checks_of([*RUNGE_KUTTA[:-1], *ADAMS], kept=BRIEF)
def test_conformance_of_the_others(check):
    check()


@pytest.mark.slow
@checks_of(
    [
        Dopri5(1e-3, 1e-3),
        Corrected(Dopri5(1e-3, 1e-3), AnnealedLangevin()),
        ScipyRK45(1e-4, 1e-4),
    ],
    kept=BRIEF,
)
def test_conformance_of_many_steps(check):
    check()


@pytest.mark.slow
@checks_of(
    [
        *(each(1e-3, 1e-3) for each in (AdaptiveHeun, Dopri8, Bosh3)),
        Fehlberg2(1e-5, 1e-5),
        ScipyRK23(),
        ScipyDOP853(1e-4, 1e-4),
    ],
    kept=BRIEF,
    shared=SHARED,
)
def test_conformance_of_other_tableaus_of_many_steps(check):
    check()


def test_every_solver_has_a_name_and_no_short_name_is_taken_from_another_plugin():
    ours = {e.obj for n, e in registry().solvers().items() if n.startswith("torchdiffeq/")}
    assert ours == {type(each) for each in ALL}
    assert solver("euler") == solver("ode/euler")
    assert solver("rk4") == solver("ode/rk4")
    assert solver("heun") == solver("ode/heun")
    assert solver("torchdiffeq/dopri5", rtol=1e-3) == Dopri5(rtol=1e-3)


@pytest.mark.thorough
def test_listing_the_solvers_does_not_import_torchdiffeq():
    program = (
        "import sys; from sdeplug.registry import registry; registry().solvers();"
        "sys.exit('torchdiffeq' in sys.modules or 'scipy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# Times


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("method", ALL, ids=named)
@pytest.mark.filterwarnings("ignore:Functional iteration")  # of implicit Adams, in few digits
def test_the_field_is_asked_in_floats_inside_the_span_from_end_to_end(method, dtype):
    if dtype is torch.bfloat16:
        method = replace(method, **{k: 1e-1 for k in ("rtol", "atol") if hasattr(method, k)})
    for t, s in ((1.0, 1e-3), (1e-3, 1.0), (0.7, 0.6)):
        asked = []

        def field(y, time, asked=asked):
            assert type(time) is float
            assert y.dtype == dtype
            asked.append(time)
            return bent(y, time)

        y = normal(4, 3).to(dtype)
        before = y.clone()
        end = method.flow(field, y, t, s, QUIET)
        assert end.dtype == dtype
        assert torch.equal(y, before)
        assert asked[0] == t
        assert min(t, s) <= min(asked)
        assert max(asked) <= max(t, s)
        if method in [*PAIRS, FixedHeun2(), FixedRK4()]:
            assert asked[-1] == s


@settings(deadline=None, max_examples=60)
@given(st.floats(1e-6, 80.0), st.floats(1e-6, 80.0), st.sampled_from([Dopri5(), FixedRK4(3)]))
def test_the_field_is_never_asked_past_the_span(t, s, method):
    asked = []

    def field(y, time):
        asked.append(time)
        return -0.01 * y

    y = torch.ones(1, 1, dtype=torch.float64)
    end = method.flow(field, y, t, s, QUIET)
    close(end, y * math.exp(-0.01 * (s - t)), rtol=1e-4, atol=1e-4)
    if t != s:
        assert min(t, s) == min(asked)
        assert max(t, s) == max(asked)


def test_the_times_are_those_of_the_method_in_float64_though_the_state_has_float32():
    """c of the tableaus; Hairer, Norsett & Wanner, tables II.5.2 and II.1.2."""
    asked = []

    def field(y, time):
        asked.append(time)
        return torch.zeros_like(y)

    y = torch.zeros(2, 2)
    Dopri5(first_step=1.0).flow(field, y, 0.0, 1.0, QUIET)
    close(
        torch.tensor(asked), torch.tensor([0.0, 0.2, 0.3, 0.8, 8 / 9, 1.0, 1.0]), rtol=0, atol=1e-15
    )
    asked.clear()
    FixedRK4().flow(field, y, 1.0, 1e-3, QUIET)
    close(torch.tensor(asked), torch.tensor([1.0, 0.667, 0.334, 1e-3]), rtol=0, atol=1e-15)
    assert asked[-1] == 1e-3


def test_the_rhythm_is_the_same_when_asked_in_float64():
    """What is planned from the steps is what torchdiffeq itself would have asked for."""
    from torchdiffeq import odeint

    for method, adaptive in (("dopri8", True), ("bosh3", True), ("explicit_adams", False)):
        heard = []

        def velocity(t, y, heard=heard):
            heard.append(float(t))
            return torch.cos(t) * torch.ones_like(y)

        times = torch.tensor([0.0, 1.0], dtype=torch.float64)
        grid = torch.linspace(0.0, 1.0, 8, dtype=torch.float64)
        options = {"grid_constructor": lambda f, y, t, grid=grid: grid}
        by = ExplicitAdams(7, max_order=5)
        if adaptive:
            options = {"first_step": 0.01, "step_t": times[1:]}
            by = {"dopri8": Dopri8, "bosh3": Bosh3}[method](1e-6, 1e-6)
        options |= {} if adaptive else {"max_order": 5}
        y = torch.zeros(1, 1, dtype=torch.float64)
        wanted = odeint(velocity, y, times, rtol=1e-6, atol=1e-6, method=method, options=options)
        asked = []

        def field(y, t, asked=asked):
            asked.append(t)
            return math.cos(t) * torch.ones_like(y)

        close(by.flow(field, y, 0.0, 1.0, QUIET), wanted[-1], rtol=1e-13, atol=1e-13)
        close(torch.tensor(asked), torch.tensor(heard), rtol=0.0, atol=1e-13)
        assert len(rhythm(method, adaptive)[0]) > 2


def test_a_span_of_no_length_and_an_empty_batch_are_left_as_they_are():
    for method in ALL:
        y = normal(2, 2)
        assert method.flow(bent, y, 0.5, 0.5, QUIET) is y
        assert method.flow(bent, y[:0], 1.0, 0.5, QUIET).shape == (0, 2)


# Accuracy


def over(method, y, t, s, steps):
    for late, early in pairwise(torch.linspace(t, s, steps + 1, dtype=torch.float64).tolist()):
        y = method.flow(bent, y, late, early, QUIET)
    return y


@pytest.mark.parametrize("method", FIXED, ids=named)
@pytest.mark.parametrize(("t", "s"), [(1.0, 0.2), (0.2, 1.0)])
def test_fixed_steps_have_their_order_down_and_up(method, t, s):
    y = normal(4, 3)
    if method == ImplicitAdams():
        method = ImplicitAdams(rtol=1e-11, atol=1e-11, max_iterations=40)
    exact = over(RK4(), y, t, s, 512)
    errors = [float((over(method, y, t, s, steps) - exact).norm()) for steps in (4, 8, 16)]
    assert math.log2(errors[-2] / errors[-1]) > method.claims.order - 0.35


@pytest.mark.parametrize("method", [FixedEuler, FixedMidpoint, FixedHeun2, FixedHeun3, FixedRK4])
def test_steps_are_those_of_a_uniform_grid(method):
    sde, x = VPSDE(), normal(4, 3)
    reverse = ReverseSDE(sde, GaussianScore(sde))
    whole = method(steps=7).integrate(reverse, x, 0.9, 0.2, QUIET)
    close(whole, OnGrid(method(), Uniform(7)).integrate(reverse, x, 0.9, 0.2, QUIET))


@pytest.mark.parametrize("method", FIXED, ids=named)
@pytest.mark.parametrize("steps", [1, 2, 3, 9])
def test_evaluations_are_as_claimed(method, steps):
    method = replace(method, steps=steps)
    if method.claims.evaluations is None:
        return
    asked = []
    method.flow(lambda y, t: asked.append(t) or bent(y, t), normal(2, 2), 1.0, 0.5, QUIET)
    assert len(asked) == method.claims.evaluations


def to_eps(method, reverse, x):
    with torch.no_grad():
        return method.integrate(reverse, x, reverse.forward.T, reverse.forward.eps, QUIET)


@cache
def flowed(sde, data):
    """A reverse SDE, a state at T, and where the flow takes it, which all methods share."""
    target = (
        targets.Gaussian(MEANS[:2].double(), torch.diag(VARIANCES[1:]))
        if data == "gaussian"
        else targets.eight_gaussians()
    )
    reverse, x = ReverseSDE(sde, target.score(sde)), sde.at(sde.T).sigma * normal(16, 2)
    return reverse, x, to_eps(Dopri8(1e-10, 1e-10), reverse, x)


@pytest.mark.parametrize("method", [*PAIRS, *SCIPY], ids=named)
@pytest.mark.parametrize(
    "sde", [VPSDE(), pytest.param(VESDE(), marks=pytest.mark.thorough)], ids=named
)
@pytest.mark.parametrize("data", ["gaussian", pytest.param("mixture", marks=pytest.mark.thorough)])
def test_the_error_falls_with_the_tolerance(method, sde, data):
    reverse, x, exact = flowed(sde, data)
    # Of one step it is the estimate that meets the tolerance; what adds up is a multiple of it.
    coarse, fine, multiple = 1e-2, 1e-4, 30.0
    if isinstance(method, Fehlberg2):
        coarse, fine, multiple = 1e-4, 1e-6, 2000.0
    if isinstance(method, tuple(map(type, SCIPY))):  # the norm is over the batch
        fine, multiple = 1e-5, 100.0
    errors = [
        float((to_eps(replace(method, rtol=each, atol=each), reverse, x) - exact).abs().max())
        for each in (coarse, fine)
    ]
    assert errors[1] < 0.1 * errors[0]
    assert errors[1] < multiple * fine


def test_up_and_down_again():
    sde, x = VPSDE(), normal(8, 2)
    reverse = ReverseSDE(sde, targets.eight_gaussians().score(sde))
    by = Dopri5(1e-8, 1e-8)
    up = by.flow(reverse.flow, x, sde.eps, sde.T, QUIET)
    close(by.integrate(reverse, up, sde.T, sde.eps, QUIET), x, rtol=0.0, atol=1e-4)


# The batch


def stiff(y, t):
    """Fast in the first row, slow in the others."""
    rate = torch.ones(len(y), 1, dtype=y.dtype)
    rate[0] = 60.0
    return -rate * (y - math.cos(5.0 * t))


def test_the_worst_row_decides_and_the_batch_norm_hides_it():
    """One fast row in 512: torchdiffeq's norm divides its error by the root of 512."""
    y = torch.full((512, 1), 2.0, dtype=torch.float64)
    exact = Dopri8(1e-11, 1e-11).flow(stiff, y, 0.0, 1.0, QUIET)

    def error(by):
        return float((by.flow(stiff, y, 0.0, 1.0, QUIET) - exact)[0].abs())

    safe, hidden = error(Dopri5(1e-4, 1e-4)), error(Dopri5(1e-4, 1e-4, batch_norm=True))
    assert safe < 1e-4
    assert hidden > 5.0 * safe


def test_the_norm_of_the_worst_row_is_the_norm_of_that_row_alone():
    """So its steps are those that it would take alone, where it is the worst all the time."""
    y = torch.full((5, 1), 2.0, dtype=torch.float64)
    alone, together = [], []
    for rows, asked in ((1, alone), (5, together)):

        def field(y, t, asked=asked):
            asked.append(t)
            return stiff(y, t)

        Dopri5().flow(field, y[:rows], 0.0, 1.0, QUIET)
    assert alone == together


# In a pipeline


def test_it_mixes_as_a_leg_and_between_sweeps_of_a_corrector():
    sde = VPSDE()
    reverse = ReverseSDE(sde, targets.eight_gaussians().score(sde))
    corrected = OnGrid(Corrected(Bosh3(1e-3, 1e-3), AnnealedLangevin()), LogSNR(10))
    legs = (
        Leg(0.3, Dopri5(1e-3, 1e-3)),
        Leg(0.05, corrected),
        Leg(0.02, ScipyRK45()),
        Leg(1e-3, FixedRK4(10)),
    )
    samples = Pipeline(reverse, legs).sample((64, 2), seed=0)
    assert samples.x.shape == (64, 2)
    assert float((samples.x.norm(dim=1) - 1.0).abs().max()) < 0.6


def test_on_a_grid_the_next_span_begins_with_the_step_of_the_last():
    """One evaluation at the start of a span and six in its step: the first span alone has more."""
    sde, steps = VPSDE(), 40
    counted = Counted(GaussianScore(sde))
    by = OnGrid(Dopri5(1e-2, 1e-2), Uniform(steps))
    by.integrate(ReverseSDE(sde, counted), normal(4, 2), 1.0, 1e-3, QUIET)
    assert 7 * steps <= counted.nfe <= 7 * steps + 24


def test_observers_see_the_accepted_states_inside_the_span_each_once():
    sde = VPSDE()
    score = targets.eight_gaussians().score(sde)
    for by in (Dopri5(1e-3, 1e-3), FixedRK4(8)):
        seen = Trajectory()
        samples = Pipeline(ReverseSDE(sde, score), (Leg(1e-3, by),)).sample(
            (16, 2), seed=1, dtype=torch.float64, observers=(seen,)
        )
        assert seen.times[0] == 1.0
        assert seen.times[-1] == 1e-3
        assert all(late > early for late, early in pairwise(seen.times))
        assert len(seen.times) > 6
        assert torch.equal(seen.states[-1], samples.x)
        # Each state is on the solution that leads to the next.
        again = Dopri8(1e-10, 1e-10).integrate(
            ReverseSDE(sde, score), seen.states[3], seen.times[3], seen.times[4], QUIET
        )
        close(again, seen.states[4], rtol=0.0, atol=3e-3)


def test_a_half_precision_state_is_seen_in_its_dtype():
    seen = []
    run = Run(Silence(), (lambda event: seen.append(event.x.dtype),))
    Dopri5(1e-2, 1e-2).flow(bent, normal(3, 2).bfloat16(), 1.0, 0.1, run)
    assert set(seen) == {torch.bfloat16}


def test_a_half_precision_state_is_not_rounded_in_every_step():
    """A thousand steps of 0.0005 from 1: bfloat16 cannot add one of them to 1."""
    y = torch.ones(2, 1, dtype=torch.bfloat16)
    end = FixedRK4(1000).flow(lambda y, t: torch.full_like(y, 0.5), y, 0.0, 1.0, QUIET)
    close(end, torch.full_like(y, 1.5))


def test_alternating_grid_and_adams_agree_with_a_fine_solution():
    sde, x = VPSDE(), normal(4, 3)
    reverse = ReverseSDE(sde, GaussianScore(sde))
    exact = Dopri8(1e-11, 1e-11).integrate(reverse, x, 1.0, 1e-3, QUIET)
    for by, tolerance in (
        (ExplicitAdams(), 1e-3),
        (ImplicitAdams(rtol=1e-8, atol=1e-8, max_iterations=20), 1e-4),
    ):
        got = OnGrid(by, alternating(16, sde)).integrate(reverse, x, 1.0, 1e-3, QUIET)
        close(got, exact, rtol=0.0, atol=tolerance)


def test_memory_does_not_grow_with_the_steps():
    """Of the states and scores of all steps so far, few are alive at any time."""
    held, alive = [], []

    def score(x, t):
        slope = -0.25 * x
        held.extend((weakref.ref(x), weakref.ref(slope)))
        alive[-1] = max(alive[-1], sum(each() is not None for each in held))
        return slope

    calls = []
    for tolerance in (1e-2, 1e-8):
        held.clear()
        alive.append(0)
        with torch.no_grad():
            Dopri5(tolerance, tolerance).integrate(
                ReverseSDE(VPSDE(), score), normal(3, 2), 1.0, 0.1, Run(Silence())
            )
        calls.append(len(held))
    assert calls[1] > 5 * calls[0]
    assert alive[1] <= alive[0]
