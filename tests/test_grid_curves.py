"""The grids that people know by name: their formulas, against what others print and compute."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch

from sdeplug import grid as grids
from sdeplug.errors import ArgumentError
from sdeplug.grid import (
    AlignYourSteps,
    Beta,
    BongTangent,
    KLOptimal,
    LinearQuadratic,
    Shifted,
    Uniform,
    checked_times,
)
from sdeplug.grid.quantile import beta_quantile
from sdeplug.options import option
from sdeplug.sde import EDMSDE, VPSDE, LinearSDE
from sdeplug.testing import Verdict, check_grid


@dataclass(frozen=True)
class Flow(LinearSDE):
    """alpha = 1 - t, sigma = t, whose time is what flow models call sigma."""

    T: float = option(1.0 - 1e-6, help="end of time", gt=0.0, lt=1.0)
    eps: float = option(1e-3, help="smallest time", ge=0.0)

    def log_alpha(self, t):
        return torch.log1p(-t)

    def sigma(self, t):
        return t.clone()

    @property
    def prior_std(self):
        return 1.0


NAMED = {name: cls for name, cls in grids.GRIDS.items() if name != "at"}


@pytest.mark.parametrize("name", NAMED)
def test_every_grid_of_the_core_keeps_its_promises(name):
    report = check_grid(NAMED[name], [Flow()])
    assert report.verdict is Verdict.PASSED, report
    assert len(report.results) == 8


def times(grid, t=1.0, s=0.0, sde=None):
    return checked_times(grid, t, s, VPSDE() if sde is None else sde)


# Beta


@pytest.mark.parametrize("p", [1e-6, 0.1, 0.5, 0.9, 1 - 1e-6])
@pytest.mark.parametrize("e", [0.05, 0.5, 1.0, 3.0, 200.0])
def test_quantiles_where_they_are_known_in_closed_form(p, e):
    one = torch.tensor([p], dtype=torch.float64)
    assert float(beta_quantile(one, e, 1.0)) == pytest.approx(p ** (1 / e), rel=1e-9)
    known = -math.expm1(math.log1p(-p) / e)
    assert float(beta_quantile(one, 1.0, e)) == pytest.approx(known, rel=1e-9)
    arcsine = math.sin(0.5 * math.pi * p) ** 2
    assert float(beta_quantile(one, 0.5, 0.5)) == pytest.approx(arcsine, rel=1e-9)
    assert float(beta_quantile(one, e, e) + beta_quantile(1 - one, e, e)) == pytest.approx(1.0)


@pytest.mark.parametrize(("a", "b"), [(0.6, 0.6), (0.5, 0.7), (2.0, 5.0), (30.0, 0.4), (1e3, 50.0)])
def test_quantiles_are_those_of_scipy(a, b):
    stats = pytest.importorskip("scipy.stats")
    p = torch.linspace(0, 1, 30, dtype=torch.float64)[1:-1]
    wanted = torch.from_numpy(stats.beta.ppf(p.numpy(), a, b))
    assert torch.allclose(beta_quantile(p, a, b), wanted, rtol=1e-11, atol=0.0)


@pytest.mark.parametrize("grid", [Beta(9), Beta(9, 0.5, 0.7), Beta(4, 3.0, 0.2)])
def test_the_parts_of_a_beta_grid_have_equal_weight(grid):
    stats = pytest.importorskip("scipy.stats")
    wanted = [0.9 * stats.beta.ppf(1 - k / grid.steps, grid.a, grid.b) + 0.1
              for k in range(grid.steps + 1)]  # fmt: skip
    assert times(grid, 1.0, 0.1) == pytest.approx(wanted, rel=1e-10)


def test_a_flat_beta_grid_is_uniform():
    assert times(Beta(7, 1.0, 1.0)) == pytest.approx(times(Uniform(7)), abs=1e-15)


# Curves for flows


def test_linear_quadratic_by_hand():
    """Half of 6 steps cover 0.3; then 0.3 + (i - 3) / 10 + (1 - 0.6) ((i - 3) / 3)^2."""
    done = [1 - time for time in times(LinearQuadratic(6, threshold=0.3))]
    wanted = [0.0, 0.1, 0.2, 0.3, 0.4 + 0.4 / 9, 0.5 + 1.6 / 9, 1.0]
    assert done == pytest.approx(wanted, abs=1e-15)


def test_linear_quadratic_is_the_polynomial_that_others_compute():
    n, threshold, half = 9, 0.025, 4
    steps_apart = half - threshold * n
    square = steps_apart / (half * (n - half) ** 2)
    line = threshold / half - 2 * steps_apart / (n - half) ** 2
    late = [square * i**2 + line * i + square * half**2 for i in range(half, n)]
    wanted = [1 - each for each in (*(threshold * i / half for i in range(half)), *late, 1.0)]
    assert times(LinearQuadratic(n)) == pytest.approx(wanted, abs=1e-15)


@pytest.mark.parametrize("steps", [20, 21])
def test_bong_tangent_as_others_print_it(steps):
    """The two arcs of the program that it comes from, with its pivots and slopes."""
    nodes, pivot = steps + 2, 13

    def arc(length, middle, start, end):
        heights = [math.atan(-0.2 / (nodes / 40) * (k - middle)) for k in range(length)]
        top, bottom = heights[0], heights[-1]
        return [end + (start - end) * (each - bottom) / (top - bottom) for each in heights]

    wanted = [*arc(pivot, pivot, 1.0, 0.5)[:-1], *arc(nodes - pivot, 0, 0.5, 0.0)]
    assert times(BongTangent(steps)) == pytest.approx(wanted, abs=1e-14)
    assert times(BongTangent(2)) == pytest.approx([1.0, 0.5, 0.0])


@pytest.mark.parametrize("pivot", [1e-3, 0.3, 0.999])
@pytest.mark.parametrize("steps", [1, 2, 3, 50])
def test_a_bong_tangent_turns_where_it_is_told(pivot, steps):
    above = [time for time in times(BongTangent(steps, pivot=pivot)) if time > 0.5 + 1e-9]
    assert abs(len(above) - pivot * steps) <= 2


# The shift of flows


@pytest.mark.parametrize("shift", [0.5, 1.0, 3.0, 12.0])
def test_a_shift_multiplies_the_noise_ratio_of_a_flow(shift):
    flow = Flow()
    plain, moved = (checked_times(Shifted(8, c), flow.T, 0.0, flow)[1:-1] for c in (1.0, shift))
    ratios = [flow.at(m).sigma / flow.at(m).alpha for m in moved]
    before = Shifted(8, 1.0)
    assert plain == pytest.approx(checked_times(Uniform(8), flow.T, 0.0, flow)[1:-1])
    wanted = [shift * flow.at(p).sigma / flow.at(p).alpha for p in plain]
    assert ratios == pytest.approx(wanted, rel=1e-4)  # T is not quite 1
    assert before == Shifted(8, 1.0)


def test_a_part_of_a_shifted_grid_is_a_shifted_grid():
    whole = times(Shifted(8))
    assert times(Shifted(5), whole[2], whole[7]) == pytest.approx(whole[2:8], rel=1e-12)


def test_a_shift_is_one_of_the_part_of_the_time():
    wanted = [80.0 * time for time in times(Shifted(8))]
    assert checked_times(Shifted(8), 80.0, 0.0, EDMSDE()) == pytest.approx(wanted)


@pytest.mark.parametrize(("tokens", "mu"), [(256, 0.5), (4096, 1.15), (2176, 0.825)])
def test_the_shift_of_flux(tokens, mu):
    assert Shifted.for_tokens(4, tokens).shift == pytest.approx(math.exp(mu))


def test_the_shift_is_that_of_diffusers():
    scheduling = pytest.importorskip("diffusers.schedulers.scheduling_flow_match_euler_discrete")
    theirs = scheduling.FlowMatchEulerDiscreteScheduler(shift=3.0)
    sigma = torch.linspace(1.0, 0.0, 9, dtype=torch.float64)[:-1]
    theirs.set_timesteps(sigmas=sigma.tolist())
    assert times(Shifted(8)) == pytest.approx(theirs.sigmas.tolist(), abs=1e-6)
    dynamic = scheduling.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    dynamic.set_timesteps(sigmas=sigma.tolist(), mu=0.825)
    assert times(Shifted.for_tokens(8, 2176)) == pytest.approx(dynamic.sigmas.tolist(), abs=1e-6)


# In the noise ratio


@pytest.mark.parametrize("std", [0.5, 1.0])
def test_kl_optimal_has_equal_steps_in_the_arctangent(std):
    sde, n = EDMSDE(), 10
    high, low = math.atan(80.0 / std), math.atan(0.002 / std)
    wanted = [std * math.tan(high + k / n * (low - high)) for k in range(n + 1)]
    got = checked_times(KLOptimal(n, std), 80.0, 0.002, sde)
    assert got == pytest.approx(wanted, rel=1e-9)
    to_data = [std * math.tan(high * (1 - k / n)) for k in range(n + 1)]
    assert checked_times(KLOptimal(n, std), 80.0, 0.0, sde) == pytest.approx(to_data, rel=1e-9)


TABLE = (16.0, 4.0, 2.0, 0.125)


def test_a_table_of_ratios_is_followed_and_ends_at_the_data():
    sde = EDMSDE()
    along = AlignYourSteps(3, TABLE)
    assert checked_times(along, 16.0, 0.125, sde) == pytest.approx(TABLE)
    assert checked_times(along, 16.0, 0.0, sde) == pytest.approx([16.0, 4.0, 2.0, 0.0])
    finer = checked_times(AlignYourSteps(6, TABLE), 16.0, 0.125, sde)
    assert finer == pytest.approx([16.0, 8.0, 4.0, math.sqrt(8.0), 2.0, 0.5, 0.125])


def test_a_table_of_ratios_goes_on_beyond_its_ends():
    sde = EDMSDE()
    wider = checked_times(AlignYourSteps(5, TABLE), 64.0, 0.125 / 16, sde)
    assert wider == pytest.approx([64.0, 16.0, 4.0, 2.0, 0.125, 0.125 / 16])
    part = checked_times(AlignYourSteps(2, TABLE), 8.0, math.sqrt(8.0), sde)
    assert part == pytest.approx(
        [8.0, 8.0 ** (5 / 6) * 8.0 ** (1 / 12) * 4 / 8.0 ** (11 / 12), 8.0**0.5]
    )
    below = checked_times(AlignYourSteps(2, TABLE), 0.01, 0.0, sde)
    assert below[1] == pytest.approx(0.01 / 4.0)


def test_the_table_of_the_core_is_that_of_diffusers():
    schedules = pytest.importorskip("diffusers.schedulers.scheduling_utils").AysSchedules
    wanted = schedules["StableDiffusionSigmas"]
    assert AlignYourSteps(10).ratios[:-1] == tuple(wanted[:-1])
    got = checked_times(AlignYourSteps(10), wanted[0], 0.0, EDMSDE())
    assert got == pytest.approx(wanted)


# What is refused


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Beta(3, 0.0), "a = 0"),
        (lambda: Beta(3, 0.6, -1.0), "b = -1"),
        (lambda: LinearQuadratic(3, 0.5), "threshold = 0.5.*below 0.5"),
        (lambda: BongTangent(3, pivot=1.0), "pivot = 1.0.*below 1"),
        (lambda: BongTangent(3, slope=0.0), "slope = 0.0"),
        (lambda: Shifted(3, 0.0), "shift = 0.0"),
        (lambda: KLOptimal(3, 0.0), "data_std = 0.0"),
        (lambda: AlignYourSteps(3, (1.0,)), "two ratios or more"),
        (lambda: AlignYourSteps(3, (1.0, 2.0)), "strictly falling"),
        (lambda: AlignYourSteps(3, (1.0, 0.0)), "ratios"),
    ],
)
def test_options_that_make_no_grid_are_refused_at_once(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()
