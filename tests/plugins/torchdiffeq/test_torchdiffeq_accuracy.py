"""torchdiffeq: orders, tolerances, and the norm over the batch."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest
import torch
from common import GaussianScore, normal
from plugins.torchdiffeq.methods import FIXED, PAIRS, QUIET, SCIPY, bent, named
from probing import MEANS, VARIANCES

from sdeplug import (
    VESDE,
    VPSDE,
    OnGrid,
    ReverseSDE,
    Uniform,
    targets,
)
from sdeplug_ode import RK4
from sdeplug_torchdiffeq import (
    Dopri5,
    Dopri8,
    Fehlberg2,
    FixedEuler,
    FixedHeun2,
    FixedHeun3,
    FixedMidpoint,
    FixedRK4,
    ImplicitAdams,
)

close = torch.testing.assert_close


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
