"""Schedules whose end is far beyond where any data could be seen: alpha(T) of 2e-22."""

from __future__ import annotations

import math

import pytest
import torch
from common import SDES, GaussianScore

from sdeplug import (
    EDMSDE,
    VPSDE,
    Karras,
    Leg,
    LogSNR,
    OnGrid,
    Pipeline,
    ReverseSDE,
    Uniform,
    solver,
    targets,
)

EXTREME = VPSDE(beta_max=200.0)


def test_the_horizon_is_where_the_data_are_one_part_in_1e5():
    assert EXTREME.at(1.0).alpha < 2e-22
    now = EXTREME.at(EXTREME.horizon)
    assert now.sigma / now.alpha == pytest.approx(1e5, rel=1e-9)
    assert EDMSDE(T=1e6).horizon == pytest.approx(1e5)


@pytest.mark.parametrize("sde", SDES, ids=lambda sde: type(sde).__name__)
def test_common_schedules_end_before_it(sde):
    assert sde.horizon == sde.T
    x = torch.ones(2, 3)
    assert sde.from_horizon(x, sde.T, sde.eps) == (x, sde.T)


def test_a_state_keeps_its_law_on_the_way_to_the_horizon():
    """x / sigma stands still, as the flow says to one part in 1e5."""
    sde = EDMSDE(T=1e6)
    start = torch.full((1, 1), 2e6, dtype=torch.float64)
    x, t = sde.from_horizon(start, sde.T, sde.eps)
    assert t == sde.horizon
    reverse = ReverseSDE(sde, GaussianScore(sde), 0.0)
    flowed = Pipeline(reverse, (Leg(t, solver("row-tsit5", rtol=1e-7)),)).sample((1, 1), x=start)
    assert float(x) == pytest.approx(float(flowed.x), rel=1e-5)


def test_a_span_that_does_not_cross_it_is_left_alone():
    x, beyond = torch.ones(1, 1), 0.5 * (EXTREME.horizon + 1.0)
    for t, s in ((1.0, beyond), (1.0, EXTREME.horizon), (EXTREME.horizon, 0.1), (0.3, 0.1)):
        assert EXTREME.from_horizon(x, t, s) == (x, t)


GRIDDED = ("ddim", "deis", "sde-dpm", "dpmpp-2m-sde", "er-sde", "exp-heun")


@pytest.mark.parametrize("level", [1.0, 0.0])
@pytest.mark.parametrize("grid", [LogSNR(30), Karras(30), Uniform(30)], ids=repr)
@pytest.mark.parametrize("name", GRIDDED)
def test_no_solver_multiplies_rounding_by_the_ratio_of_the_alphas(name, grid, level):
    """deis and sde-dpm returned 1e7 to 1e16, in silence; the data have radius 1."""
    by = OnGrid(solver(f"exponential/{name}"), grid)
    assert_near_the_data(by, level)


@pytest.mark.parametrize("level", [1.0, 0.0])
@pytest.mark.parametrize("name", ["edm-heun", "restart"])
def test_nor_does_one_with_a_grid_of_its_own(name, level):
    assert_near_the_data(solver(f"exponential/{name}"), level)


def assert_near_the_data(by, level):
    score = targets.eight_gaussians().score(EXTREME)
    pipeline = Pipeline(ReverseSDE(EXTREME, score, level), (Leg(EXTREME.eps, by),))
    radii = pipeline.sample((30, 2)).x.norm(dim=1)
    assert math.isfinite(float(radii.max()))
    assert 0.7 < float(radii.mean()) < 2.0
