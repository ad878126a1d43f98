"""torchdiffeq's solvers: conformance, the span, both directions, tolerances, observers."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from bundled import BRIEF, SHARED, checks_of
from common import normal
from hypothesis import given, settings
from hypothesis import strategies as st
from plugins.torchdiffeq.methods import ADAMS, FIXED, PAIRS, QUIET, RUNGE_KUTTA, SCIPY, bent, named

from sdeplug import (
    Corrected,
    solver,
)
from sdeplug.registry import registry
from sdeplug.testing import parametrize_with_checks
from sdeplug_song import AnnealedLangevin
from sdeplug_torchdiffeq import (
    AdaptiveHeun,
    Bosh3,
    Dopri5,
    Dopri8,
    ExplicitAdams,
    Fehlberg2,
    FixedHeun2,
    FixedRK4,
    ScipyDOP853,
    ScipyRK23,
    ScipyRK45,
)
from sdeplug_torchdiffeq.rhythm import rhythm

close = torch.testing.assert_close
ALL = [*PAIRS, *SCIPY, *FIXED]


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
