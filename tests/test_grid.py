from __future__ import annotations

import math
import pickle
from dataclasses import dataclass
from itertools import pairwise

import pytest
from common import Cubic
from hypothesis import given
from hypothesis import strategies as st

from sdeplug.errors import ArgumentError, PairingError
from sdeplug.grid import (
    GRIDS,
    At,
    Focus,
    Karras,
    LogSNR,
    Quadratic,
    TimeGrid,
    Uniform,
    checked_times,
)
from sdeplug.sde import EDMSDE, VPSDE

STEPPED = [Uniform, Quadratic, LogSNR, Karras, Focus]


@pytest.mark.parametrize("make", [*STEPPED, lambda n: LogSNR(n, 0.5), lambda n: Karras(n, 3.0)])
@given(st.data(), st.integers(1, 200))
def test_every_grid_falls_strictly_from_end_to_end(any_sde, make, data, steps):
    spans = st.tuples(st.floats(0.0, 0.99), st.floats(1e-3, 1.0))
    low, part = data.draw(spans)
    s = any_sde.eps + low * (any_sde.T - any_sde.eps)
    t = min(s + part * (any_sde.T - s), any_sde.T)
    grid = make(steps)
    times = checked_times(grid, t, s, any_sde)
    assert (times[0], times[-1], len(times)) == (t, s, steps + 1)
    assert all(late > early for late, early in pairwise(times))
    assert grid.length == steps


@pytest.mark.parametrize("grid", [Uniform(5), Quadratic(5), Karras(5), Focus(5)])
def test_grids_reach_the_data(any_sde, grid):
    times = checked_times(grid, any_sde.T, 0.0, any_sde)
    assert (times[0], times[-1], len(times)) == (any_sde.T, 0.0, 6)


def test_log_snr_cannot_reach_the_data_where_there_is_no_noise():
    for grid in (LogSNR(5), Focus(5, 0.0)):
        with pytest.raises(ArgumentError, match=r"s = 0\.0.*Run to eps and let Denoise\(\) go"):
            checked_times(grid, 1.0, 0.0, VPSDE())


def test_uniform_has_equal_steps():
    assert checked_times(Uniform(4), 1.0, 0.0, VPSDE()) == [1.0, 0.75, 0.5, 0.25, 0.0]


def test_quadratic_has_equal_steps_in_the_root():
    times = checked_times(Quadratic(4), 1.0, 0.0, VPSDE())
    assert times == pytest.approx([1.0, 9 / 16, 1 / 4, 1 / 16, 0.0])


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_log_snr_has_equal_steps_in_the_log_snr(any_sde, power):
    t, s, n = any_sde.T, any_sde.eps, 7
    start, end = any_sde.at(t).log_snr, any_sde.at(s).log_snr
    got = [any_sde.at(u).log_snr for u in checked_times(LogSNR(n, power), t, s, any_sde)]
    wanted = [start + (k / n) ** power * (end - start) for k in range(n + 1)]
    assert got == pytest.approx(wanted, rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("rho", [1.0, 3.0, 7.0])
def test_karras_on_edm_is_equation_5(rho):
    n, high, low = 18, 80.0, 0.002
    wanted = [
        (high ** (1 / rho) + i / (n - 1) * (low ** (1 / rho) - high ** (1 / rho))) ** rho
        for i in range(n)
    ]
    got = checked_times(Karras(n - 1, rho), high, low, EDMSDE())
    assert got == pytest.approx(wanted, rel=1e-9)


def test_karras_has_equal_steps_in_the_power_of_the_noise_level(any_sde):
    times = checked_times(Karras(6), any_sde.T, any_sde.eps, any_sde)
    levels = [math.exp(-any_sde.at(u).log_snr / 14) for u in times]
    steps = [late - early for late, early in pairwise(levels)]
    assert steps == pytest.approx([steps[0]] * 6, rel=1e-6)


@pytest.mark.parametrize(("low", "high"), [(0.01, 5.0), (0.1, 1.0), (0.0, 20.0), (0.003, math.inf)])
def test_focus_has_equal_steps_between_its_bounds(any_sde, low, high):
    times = checked_times(Focus(6, low, high), any_sde.T, any_sde.eps, any_sde)
    ratios = [math.exp(-any_sde.at(u).log_snr / 2) for u in times]
    places = [math.log(q + low) - math.log(q / high + 1.0) for q in ratios]
    steps = [late - early for late, early in pairwise(places)]
    assert steps == pytest.approx([steps[0]] * 6, rel=1e-6)


def test_focus_without_bounds_is_log_snr(any_sde):
    spans = (any_sde.T, any_sde.eps, any_sde)
    assert Focus(9, 0.0, math.inf).times(*spans) == pytest.approx(LogSNR(9).times(*spans))


def test_the_bounds_of_focus_are_in_order():
    with pytest.raises(ArgumentError, match=r"low = 2\.0: must be below high = 2\.0"):
        Focus(5, 2.0, 2.0)


@given(st.sets(st.floats(0.0, 2.0), max_size=8), st.floats(0.0, 0.4), st.floats(0.5, 1.0))
def test_at_keeps_the_points_inside(points, s, t):
    falling = tuple(sorted(points, reverse=True))
    times = checked_times(At(falling), t, s, VPSDE())
    assert times == [t, *(point for point in falling if s < point < t), s]
    assert At(falling).length is None


@pytest.mark.parametrize("points", [(0.1, 0.2), (0.2, 0.2), (-0.1,), (math.nan,), [0.1, 0.2]])
def test_points_that_are_no_grid_are_refused_at_once(points):
    with pytest.raises(ArgumentError, match="points = "):
        At(points)


def test_points_may_be_a_list():
    assert At([0.2, 0.1]) == At((0.2, 0.1))


@pytest.mark.parametrize("make", STEPPED)
@pytest.mark.parametrize("steps", [0, -1, 1.5, 2.0, True, "3", None])
def test_a_number_of_steps_is_a_whole_number_above_0(make, steps):
    with pytest.raises(ArgumentError, match="steps = "):
        make(steps)


@pytest.mark.parametrize("make", [lambda: LogSNR(3, 0.0), lambda: Karras(3, rho=-1.0)])
def test_exponents_are_above_0(make):
    with pytest.raises(ArgumentError, match="above 0"):
        make()


@pytest.mark.parametrize(
    ("t", "s"), [(0.5, 0.5), (0.4, 0.5), (1.1, 0.5), (0.5, -0.1), (math.nan, 0.1), (0.5, math.nan)]
)
@pytest.mark.parametrize("grid", [Uniform(3), At((0.3,))])
def test_spans_run_down_inside_the_time_of_the_sde(grid, t, s):
    with pytest.raises(ArgumentError, match=r"0 <= s < t <= T = 1\.0"):
        checked_times(grid, t, s, VPSDE())


@dataclass(frozen=True)
class Given(TimeGrid):
    given: list

    def times(self, t, s, sde):
        return self.given


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ((), r"from 1\.0 to 0\.5.*ends are \(\)"),
        ((1.0,), r"from 1\.0 to 0\.5"),
        ((0.5, 1.0), r"from 1\.0 to 0\.5.*ends are \(0\.5, 1\.0\)"),
        ((0.9, 0.5), r"ends are \(0\.9, 0\.5\)"),
        ((1.0, 0.4), r"ends are \(1\.0, 0\.4\)"),
        ((1.0, 0.7, 0.7, 0.5), r"strictly falling.*0\.7 before 0\.7: use fewer steps"),
        ((1.0, 0.6, 0.7, 0.5), "strictly falling"),
        ((1.0, math.nan, 0.5), "strictly falling"),
        ((1.0, 0.4, 0.5), "strictly falling"),
    ],
)
def test_grids_of_others_are_checked(times, message):
    with pytest.raises(ArgumentError, match=message):
        checked_times(Given([*times]), 1.0, 0.5, VPSDE())
    assert checked_times(Given([1, 0.75, 0.5]), 1.0, 0.5, VPSDE()) == [1.0, 0.75, 0.5]


def test_more_steps_than_there_are_floats_are_refused():
    with pytest.raises(ArgumentError, match="use fewer steps"):
        checked_times(Uniform(10), math.nextafter(0.5, 1.0), 0.5, VPSDE())


@pytest.mark.parametrize("grid", [LogSNR(3), Karras(3), Focus(3)])
def test_grids_in_the_noise_level_need_a_linear_sde(grid):
    with pytest.raises(PairingError, match=r"needs a LinearSDE.*Use Uniform or At"):
        checked_times(grid, 1.0, 0.5, Cubic())
    assert len(checked_times(Uniform(3), 1.0, 0.5, Cubic())) == 4


def test_grids_are_values_with_names():
    assert {*STEPPED, At} <= set(GRIDS.values())
    for grid in (Uniform(3), LogSNR(3, 0.5), At((0.5, 0.1))):
        assert pickle.loads(pickle.dumps(grid)) == grid
        assert hash(pickle.loads(pickle.dumps(grid))) == hash(grid)
