"""Fixed-step flow integrators: conformance, order conditions, both directions, all SDEs."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from bundled import BRIEF, checks_of, sampled_checks_of
from common import GaussianScore, normal
from hypothesis import given
from hypothesis import strategies as st
from probing import gentle, order_and_limit

from sdeplug import (
    VPSDE,
    Corrected,
    LogSNR,
    OnGrid,
    PerSampleNoise,
    ReverseSDE,
    Run,
    SharedNoise,
    Silence,
)
from sdeplug.testing import parametrize_with_checks
from sdeplug_ode import RK4, AdamsBashforth, Euler, Heun
from sdeplug_ode.runge_kutta import CLASSICAL, EULER, HEUN
from sdeplug_song import AnnealedLangevin

close = torch.testing.assert_close
ADAMS = [AdamsBashforth(order) for order in (1, 2, 3, 4)]
METHODS = [Euler(), Heun(), RK4(), *ADAMS]
QUIET = Run(Silence())


@parametrize_with_checks([Heun(), AdamsBashforth(2)], fast=True)
def test_conformance(check):
    check()


@checks_of(
    [
        *(each for each in METHODS if each not in (Heun(), AdamsBashforth(2))),
        Corrected(AdamsBashforth(2), AnnealedLangevin(), before=True),
    ],
    kept=BRIEF,
)
def test_conformance_of_the_others(check):
    check()


@pytest.mark.slow
@sampled_checks_of([Heun(), AdamsBashforth(4)])
def test_conformance_by_sampling(check):
    check()


# Runge-Kutta


@pytest.mark.parametrize("tableau", [EULER, HEUN, CLASSICAL])
def test_order_conditions(tableau):
    """One condition for each rooted tree; Hairer, Norsett & Wanner, table II.2.1."""
    stages = len(tableau.b)
    assert len(tableau.c) == stages
    assert len(tableau.a) == stages - 1
    a = torch.zeros(stages, stages, dtype=torch.float64)
    for row, weights in enumerate(tableau.a, 1):
        assert len(weights) == row
        a[row, :row] = torch.tensor(weights, dtype=torch.float64)
    b, c = (torch.tensor(each, dtype=torch.float64) for each in (tableau.b, tableau.c))
    close(a.sum(1), c)
    conditions = {
        1: [(b.sum(), 1)],
        2: [(b @ c, 2)],
        3: [(b @ c**2, 3), (b @ a @ c, 6)],
        4: [
            (b @ c**3, 4),
            (b @ (c * (a @ c)), 8),
            (b @ a @ c**2, 12),
            (b @ a @ a @ c, 24),
        ],
    }
    for order in range(1, tableau.order + 1):
        for value, inverse in conditions[order]:
            assert float(value) == pytest.approx(1.0 / inverse, rel=1e-14)
    if tableau.order < 4:
        assert any(abs(float(v) - 1.0 / k) > 0.01 for v, k in conditions[tableau.order + 1])


def bent(y, t):
    """A field that is neither linear nor autonomous."""
    return torch.sin(3.0 * t + y) - 0.5 * y


def over(method, y, t, s, steps):
    for late, early in pairwise(torch.linspace(t, s, steps + 1, dtype=torch.float64).tolist()):
        y = method.flow(bent, y, late, early, QUIET)
    return y


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("t", "s"), [(1.0, 0.2), (0.2, 1.0)])
def test_a_flow_runs_down_and_up_with_its_order(method, t, s):
    y = normal(4, 3)
    exact = over(RK4(), y, t, s, 512)
    errors = [float((over(method, y, t, s, steps) - exact).norm()) for steps in (8, 16, 32)]
    # Adams-Bashforth without memory is the method that starts it.
    order = {3: 4}.get(method.claims.order, method.claims.order)
    assert math.log2(errors[-2] / errors[-1]) == pytest.approx(order, abs=0.25)


@pytest.mark.parametrize("method", [Euler(), Heun(), RK4()])
def test_there_and_back_again(method):
    y, order = normal(4, 3), method.claims.order
    gaps = [
        float((over(method, over(method, y, 0.2, 1.0, n), 1.0, 0.2, n) - y).norm())
        for n in (16, 32, 64)
    ]
    assert gaps[-1] < 0.1**order
    assert math.log2(gaps[-2] / gaps[-1]) > order - 0.2


@given(st.floats(1e-6, 1.0), st.floats(1e-6, 1.0))
def test_the_field_is_never_asked_past_the_span(t, s):
    if t == s:
        return
    asked = []

    def field(y, time):
        asked.append(time)
        return -y

    for method in METHODS:
        method.flow(field, torch.ones(1, 1), t, s, QUIET)
    assert min(asked) >= min(t, s)
    assert max(asked) <= max(t, s)
    assert t in asked
    assert s in asked


# All methods on all SDEs

LIMITS = {1: 1e-2, 2: 1.5e-4, 4: 1e-6}


@pytest.mark.parametrize(
    "method",
    [
        *(Heun(), ADAMS[1]),
        *(pytest.param(each, marks=pytest.mark.thorough) for each in (Euler(), RK4(), ADAMS[3])),
    ],
)
def test_weak_order(any_sde, method):
    grid = "alternating" if isinstance(method, AdamsBashforth) else "log-snr"
    order, limit = order_and_limit(method, gentle(any_sde), grid)
    assert order > method.claims.order - 0.2
    assert limit < LIMITS[method.claims.order]


@pytest.mark.parametrize("grid", ["quadratic", "karras"])
@pytest.mark.thorough
def test_weak_order_on_other_grids(any_sde, grid):
    order, limit = order_and_limit(AdamsBashforth(2), gentle(any_sde), grid, steps=256)
    assert order > 1.8
    assert limit < 1.5e-4


@pytest.mark.thorough
@pytest.mark.parametrize("method", METHODS)
def test_every_shape_and_dtype_on_every_sde(any_sde, method):
    sde = gentle(any_sde)
    reverse, sampler = ReverseSDE(sde, GaussianScore(sde)), OnGrid(method, LogSNR(30))

    def sampled(*shape, dtype=torch.float64):
        x = sde.prior((4, *shape), PerSampleNoise(0, range(4)), torch.float64).to(dtype)
        return sampler.integrate(reverse, x, sde.T, sde.eps, QUIET)

    flat = sampled(8)
    for shape in ((2, 4), (1, 2, 4), (2, 1, 2, 2)):
        close(sampled(*shape).flatten(1), flat, rtol=1e-10, atol=1e-10)
    single = sampled(8, dtype=torch.float32)
    assert single.dtype == torch.float32
    close(single.double(), flat, rtol=0.0, atol=3e-6)


@pytest.mark.parametrize("method", METHODS)
def test_the_stochasticity_does_not_matter(method):
    sde, x = VPSDE(), normal(3, 2)
    by = OnGrid(method, LogSNR(5))
    one, other = (
        by.integrate(ReverseSDE(sde, GaussianScore(sde), level), x, 1.0, 1e-3, Run(SharedNoise(0)))
        for level in (0.0, 1.0)
    )
    assert torch.equal(one, other)
