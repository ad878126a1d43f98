"""The schedule of a table: exact at its levels, smooth between them, with the network's labels."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from common import BETAS, LEVELS, TABLES, GaussianScore, normal
from hypothesis import given, settings
from hypothesis import strategies as st

from sdeplug import (
    VESDE,
    VPSDE,
    ArgumentError,
    CosineVPSDE,
    Focus,
    Karras,
    Leg,
    LogSNR,
    Pipeline,
    ReverseSDE,
    TabulatedSDE,
    from_spec,
    sample,
    solver,
    to_spec,
)
from sdeplug.grid import checked_times
from sdeplug.sde import ForwardSDE, LinearSDE
from sdeplug.sde.cubic import MonotoneCubic

DDPM = TABLES["betas"]


def test_at_the_levels_it_is_the_table():
    kept = torch.cumprod(1.0 - BETAS, 0)
    t = (torch.arange(1000, dtype=torch.float64) + 1.0) / 1000.0
    torch.testing.assert_close(DDPM.alpha(t), kept.sqrt(), rtol=1e-12, atol=0.0)
    torch.testing.assert_close(DDPM.sigma(t), (1.0 - kept).sqrt(), rtol=1e-11, atol=0.0)
    same = TabulatedSDE(alphas_cumprod=kept)
    torch.testing.assert_close(same.log_alpha(t), DDPM.log_alpha(t), rtol=1e-11, atol=0.0)
    noisy = TABLES["sigmas"]
    at = torch.tensor([noisy.time_of(k) for k in range(40)], dtype=torch.float64)
    torch.testing.assert_close(noisy.sigma(at), LEVELS, rtol=1e-12, atol=0.0)
    assert bool((noisy.alpha(at) == 1.0).all())


def test_a_geometric_table_is_the_exploding_sde_between_its_levels_too():
    """log sigma is a straight line there, and a straight line is interpolated exactly."""
    sde, table = VESDE(sigma_min=0.01, sigma_max=50.0), TABLES["sigmas"]
    t = torch.linspace(1 / 40, 1.0, 301, dtype=torch.float64)
    there = (40.0 * t - 1.0) / 39.0  # VESDE has its first level at t = 0
    torch.testing.assert_close(table.sigma(t), sde.sigma(there), rtol=1e-12, atol=0.0)
    torch.testing.assert_close(
        table.diffusion(t), sde.diffusion(there) * math.sqrt(40.0 / 39.0), rtol=1e-12, atol=0.0
    )


def sampled(sde: LinearSDE, levels: int) -> TabulatedSDE:
    """A schedule of which the levels alone are known; its T becomes 1."""
    t = sde.T * torch.arange(1, levels + 1, dtype=torch.float64) / levels
    return TabulatedSDE(alphas_cumprod=(2.0 * sde.log_alpha(t)).exp())


def test_a_schedule_with_straight_beta_comes_back_exactly():
    t = torch.linspace(0.0, 1.0, 997, dtype=torch.float64)
    for name in ("log_alpha", "sigma", "drift_rate", "diffusion"):
        found, wanted = getattr(sampled(VPSDE(), 40), name)(t), getattr(VPSDE(), name)(t)
        torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-14)


def test_between_levels_log_alpha_is_of_fourth_order_and_its_rate_of_third():
    sde, t = CosineVPSDE(T=0.8), torch.linspace(0.2, 0.8, 997, dtype=torch.float64)
    wanted = sde.log_alpha(0.8 * t), 0.8 * sde.drift_rate(0.8 * t)
    errors = []
    for levels in (50, 100):
        table = sampled(sde, levels)
        found = table.log_alpha(t), table.drift_rate(t)
        errors.append([float((a / b - 1).abs().max()) for a, b in zip(found, wanted, strict=True)])
    order = [math.log2(coarse / fine) for coarse, fine in zip(*errors, strict=True)]
    assert order == pytest.approx([4.0, 3.0], abs=0.3)


@settings(max_examples=25)
@given(st.lists(st.floats(1e-5, 0.5), min_size=2, max_size=8), st.floats(0.0, 1.0))
def test_any_table_makes_a_sound_schedule(betas, fraction):
    sde = TabulatedSDE(betas=betas)
    sde.validate()
    t = torch.tensor([sde.T * fraction], dtype=torch.float64)
    for name in ("drift_rate", "diffusion"):
        derived = getattr(LinearSDE, name)(sde, t)
        torch.testing.assert_close(getattr(sde, name)(t), derived, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("levels", [2, 10, 999, 1000, 4000])
def test_the_levels_have_their_own_numbers(levels, dtype):
    betas = torch.full((levels,), 1e-3, dtype=torch.float64)
    wanted = torch.arange(levels)
    t = ((wanted + 1).to(torch.float64) / levels).to(dtype)
    sde = TabulatedSDE(betas=betas)
    assert torch.equal(sde.index(t), wanted)
    torch.testing.assert_close(sde.label(t), wanted.to(dtype), rtol=1e-6, atol=1e-6 * levels)
    assert [sde.time_of(k) for k in (0, levels - 1)] == [1.0 / levels, 1.0]
    falling = TabulatedSDE(sigmas=torch.linspace(9.0, 1.0, levels, dtype=torch.float64))
    assert torch.equal(falling.index(t), wanted.flip(0))
    assert [falling.time_of(k) for k in (0, levels - 1)] == [1.0, 1.0 / levels]


def test_cutting_off_is_wrong_for_five_labels():
    """As is usual: the reason for rounding."""
    t = ((torch.arange(1000) + 1).to(torch.float64) / 1000.0).float()
    assert int(((1000 * t - 1).long() != torch.arange(1000)).sum()) == 5
    assert torch.equal(DDPM.index(t), torch.arange(1000))


@pytest.mark.parametrize("sde", TABLES.values(), ids=TABLES)
def test_labels_outside_the_levels_are_those_of_the_ends(sde):
    ends = sde.label(torch.tensor([0.0, 1.0], dtype=torch.float64)).tolist()
    assert sorted(ends) == [0.0, sde.levels - 1.0]
    for label in (-1.0, float(sde.levels), math.nan):
        with pytest.raises(ArgumentError, match="label = "):
            sde.time_of(label)
    middle = sde.time_of(0.5 * (sde.levels - 1))
    assert float(sde.label(middle)) == pytest.approx(0.5 * (sde.levels - 1))


def test_time_ends_before_levels_that_are_noise_alone():
    betas = BETAS.clone()
    betas[-1] = 1.0
    sde = TabulatedSDE(betas=betas)
    assert (sde.T, sde.levels, sde.label(sde.T)) == (0.999, 1000, 998.0)
    assert sde.at(sde.T).alpha == pytest.approx(DDPM.at(0.999).alpha, rel=1e-12)
    sde.validate()
    twice = TabulatedSDE(alphas_cumprod=[0.9, 0.5, 0.0, 0.0])
    assert twice.T == 0.5


def test_ends_of_ones_own():
    sde = TabulatedSDE(betas=BETAS, T=0.5, eps=0.01)
    assert (sde.T, sde.eps) == (0.5, 0.01)
    assert replace(DDPM, betas=BETAS[:500]).T == 1.0
    with pytest.raises(ArgumentError, match="eps = -1"):
        TabulatedSDE(betas=BETAS, eps=-1.0)


@pytest.mark.parametrize(
    ("table", "match"),
    [
        ({}, r"tables = \[\]: must be one of betas, alphas_cumprod, sigmas"),
        ({"betas": BETAS, "sigmas": LEVELS}, r"tables = \['betas', 'sigmas'\]"),
        ({"betas": [0.1]}, r"betas = .*two levels"),
        ({"betas": [0.1, 0.0, 0.1]}, r"betas\[1\] = 0\.0: must be in \(0, 1\)"),
        ({"betas": [0.1, 1.0, 0.1]}, r"betas\[1\] = 1\.0"),
        ({"betas": [0.1, 1.5]}, r"betas = .*at most 1"),
        ({"betas": [0.1, math.nan]}, "betas = "),
        ({"alphas_cumprod": [0.9, 0.9, 0.1]}, r"alphas_cumprod\[1\] = 0\.9"),
        ({"alphas_cumprod": [1.0, 0.9, 0.1]}, r"alphas_cumprod\[0\] = 1\.0"),
        ({"alphas_cumprod": [0.9, 0.0, 0.1]}, r"alphas_cumprod\[1\] = 0\.0"),
        ({"alphas_cumprod": [0.9, 0.0, 0.0]}, r"alphas_cumprod\[1\] = 0\.0"),
        ({"sigmas": [1.0, 2.0, 1.5]}, r"sigmas = \[2.*rising or falling"),
        ({"sigmas": [2.0, 1.0, 1.0]}, "sigmas = .*rising or falling"),
        ({"sigmas": [0.0, 1.0]}, "sigmas = .*above 0"),
        ({"betas": "0.1"}, "betas = '0.1'"),
    ],
)
def test_what_is_no_table_is_refused(table, match):
    with pytest.raises(ArgumentError, match=match):
        TabulatedSDE(**table)


@pytest.mark.parametrize("kind", [list, tuple, np.array, lambda them: BETAS.clone()])
def test_tables_come_as_people_have_them(kind):
    assert TabulatedSDE(betas=kind(BETAS.tolist())) == DDPM


@pytest.mark.parametrize("sde", TABLES.values(), ids=TABLES)
def test_it_is_a_value(sde):
    assert from_spec(to_spec(sde), ForwardSDE) == sde
    assert pickle.loads(pickle.dumps(sde)).at(0.3) == replace(sde).at(0.3)
    assert len(repr(sde)) < 80


@pytest.mark.parametrize("sde", TABLES.values(), ids=TABLES)
def test_an_adaptive_solver_arrives_at_the_exact_state(sde):
    """Along the flow of Gaussian data x - alpha m keeps its ratio to its standard deviation."""
    score, start, end = GaussianScore(sde), sde.at(sde.T), sde.at(sde.eps)
    x = start.sigma * normal(4, 2)
    by = Leg(sde.eps, solver("row-tsit5", rtol=1e-6, atol=1e-6))
    out = Pipeline(ReverseSDE(sde, score, 0.0), by).sample((4, 2), x=x)
    spread = [math.sqrt(now.alpha**2 * score.variance + now.sigma**2) for now in (start, end)]
    exact = end.alpha * score.mean + (x - start.alpha * score.mean) * spread[1] / spread[0]
    torch.testing.assert_close(out.x, exact, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("sde", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("grid", [LogSNR(7), Karras(7), Focus(7)])
def test_grids_by_noise_level_span_it(sde, grid):
    times = checked_times(grid, sde.T, sde.eps, sde)
    levels = [sde.at(t).log_snr for t in times]
    if isinstance(grid, LogSNR):
        assert np.diff(levels) == pytest.approx([(levels[-1] - levels[0]) / 7] * 7, rel=1e-8)


@pytest.mark.parametrize("name", ["ddim", "dpmpp-2m-sde", "unipc", "er-sde", "reverse-diffusion"])
def test_bundled_solvers_draw_from_it(name):
    """Samples of N(0.4, 0.25): their mean, with four standard errors, and their spread."""
    for sde in TABLES.values():
        out = sample(ReverseSDE(sde, GaussianScore(sde)), (512, 4), solver(name), seed=0)
        assert float(out.x.mean()) == pytest.approx(0.4, abs=0.05)
        assert float(out.x.std()) == pytest.approx(0.5, abs=0.05)


def test_a_cubic_through_points_of_a_line_is_the_line_and_turns_nowhere():
    line = MonotoneCubic(torch.tensor([1.0, 3.0, 5.0, 7.0], dtype=torch.float64))
    u = torch.linspace(-1.0, 4.0, 11, dtype=torch.float64)
    torch.testing.assert_close(line(u), 1.0 + 2.0 * u)
    torch.testing.assert_close(line.slope(u), torch.full_like(u, 2.0))
    step = MonotoneCubic(torch.tensor([0.0, 0.0, -1.0, -1.0, -9.0, -9.5], dtype=torch.float64))
    fine = step(torch.linspace(0.0, 5.0, 1001, dtype=torch.float64))
    assert bool((fine.diff() <= 1e-15).all())
    nodes = step(torch.arange(6, dtype=torch.float64)).tolist()
    assert nodes == [0.0, 0.0, -1.0, -1.0, -9.0, -9.5]
    two = MonotoneCubic(torch.tensor([0.0, 2.0], dtype=torch.float64))
    assert two(torch.tensor([0.25], dtype=torch.float64)).tolist() == [0.5]
