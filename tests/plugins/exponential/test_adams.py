"""Adams-Bashforth: its weights on irregular times, and its memory."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest
import torch
from common import GaussianScore, normal
from hypothesis import given
from hypothesis import strategies as st

from sdeplug import VPSDE, At, Corrected, Corrector, ForwardSDE, OnGrid, ReverseSDE, Run, Silence
from sdeplug_ode import AdamsBashforth, Heun
from sdeplug_ode.adams import adams_weights

close = torch.testing.assert_close
ADAMS = [AdamsBashforth(order) for order in (1, 2, 3, 4)]
QUIET = Run(Silence())


@dataclass(frozen=True)
class Polynomial(ForwardSDE):
    """dx = p(t) dt: no noise, so that the probability flow is a polynomial of time."""

    coefficients: tuple[float, ...] = ()

    def drift(self, x, t):
        return sum(c * t**power for power, c in enumerate(self.coefficients)).expand(x.shape)

    def diffusion(self, t):
        return torch.zeros_like(t)

    def prior(self, shape, noise, dtype=torch.float32, device="cpu"):
        return torch.zeros(shape, dtype=dtype, device=device)

    def prior_log_prob(self, x):
        return torch.zeros(len(x), dtype=x.dtype)


gaps = st.floats(0.02, 0.5)


@given(st.lists(gaps, min_size=0, max_size=3), gaps, st.floats(0.0, 1.0), st.sampled_from([-1, 1]))
def test_the_weights_integrate_polynomials_exactly(older, step, t, direction):
    times = [t]
    for gap in older:
        times.append(times[-1] - direction * gap)
    s = t + direction * step
    weights = adams_weights(times, t, s)
    size = sum(map(abs, weights))
    for power in range(len(times)):
        got = sum(w * time**power for w, time in zip(weights, times, strict=True))
        wanted = (s ** (power + 1) - t ** (power + 1)) / (power + 1)
        largest = max(1.0, *(abs(time) for time in times)) ** power
        assert got == pytest.approx(wanted, abs=1e-12 * size * largest)


@given(
    st.sampled_from(ADAMS),
    st.lists(st.floats(0.01, 0.99), min_size=1, max_size=9, unique=True),
    st.lists(st.floats(-3.0, 3.0), min_size=4, max_size=4),
)
def test_polynomials_of_lower_degree_are_integrated_exactly(method, points, coefficients):
    points = [point for k, point in enumerate(sorted(points)) if k % 2 or point > 0.5]
    points = [p for p, q in pairwise((*points, 1.0)) if q - p > 0.01]  # no nearly equal times
    sde = Polynomial(tuple(coefficients[: method.order]))
    by = OnGrid(method, At(tuple(reversed(points))))
    reverse = ReverseSDE(sde, lambda x, t: torch.zeros_like(x))
    got = by.integrate(reverse, torch.zeros(1, 1, dtype=torch.float64), 1.0, 0.0, QUIET)
    wanted = -sum(c / (power + 1) for power, c in enumerate(sde.coefficients))
    assert float(got) == pytest.approx(wanted, abs=1e-9)


def test_a_polynomial_of_its_own_degree_is_not():
    for method in ADAMS:
        sde = Polynomial((0.0,) * method.order + (1.0,))
        by = OnGrid(method, At((0.9, 0.75, 0.6, 0.4, 0.3, 0.1)))
        reverse = ReverseSDE(sde, lambda x, t: torch.zeros_like(x))
        got = by.integrate(reverse, torch.zeros(1, 1, dtype=torch.float64), 1.0, 0.0, QUIET)
        assert abs(float(got) + 1.0 / (method.order + 1)) > 1e-4


def test_the_known_weights_of_equal_steps():
    """Hairer, Norsett & Wanner, equation III.1.5."""
    known = {2: (3 / 2, -1 / 2), 3: (23 / 12, -16 / 12, 5 / 12), 4: (55, -59, 37, -9)}
    for count, wanted in known.items():
        weights = adams_weights([0.1 * k for k in range(count)], 0.0, -0.1)
        scale = 24.0 if count == 4 else 1.0
        assert [-10.0 * scale * w for w in weights] == pytest.approx(wanted, rel=1e-12)


class Nudge(Corrector):
    """Moves the state at times below a limit, and returns it as it is elsewhere."""

    def correct(self, reverse, x, t, run):
        return x + 0.01 if t < 0.5 else x


@pytest.mark.parametrize("method", ADAMS)
def test_it_starts_afresh_when_the_state_was_moved(method):
    """With memory down to t = 0.5, then Runge-Kutta steps only."""
    sde = VPSDE()
    reverse = ReverseSDE(sde, GaussianScore(sde))
    times, x = (0.9, 0.8, 0.72, 0.66, 0.6, 0.55, 0.45, 0.4, 0.3), normal(3, 2)
    by = OnGrid(Corrected(method, Nudge()), At(times[1:-1]))
    got = by.integrate(reverse, x, times[0], times[-1], QUIET)
    remembered = OnGrid(method, At(times[1:6])).integrate(reverse, x, times[0], times[6], QUIET)
    manual = remembered + 0.01
    for late, early in pairwise(times[6:]):
        manual = method.flow(reverse.flow, manual, late, early, QUIET) + 0.01
    close(got, manual, rtol=1e-13, atol=1e-13)


def test_the_memory_is_used_and_ends_with_the_run():
    sde = VPSDE()
    calls = []

    def score(x, t):
        calls.append(float(t[0]))
        return -x

    reverse = ReverseSDE(sde, score)
    by, x = OnGrid(AdamsBashforth(3), At((0.8, 0.7, 0.6, 0.5))), normal(2, 2)
    first = by.integrate(reverse, x, 0.9, 0.4, QUIET)
    # Two Runge-Kutta steps of four evaluations, then one evaluation for each of three steps.
    assert len(calls) == 2 * 4 + 3
    assert torch.equal(by.integrate(reverse, x, 0.9, 0.4, QUIET), first)
    assert len(calls) == 2 * (2 * 4 + 3)


def test_no_more_points_are_remembered_than_the_order_says():
    """The method of order 2 in closed form, step by step on an irregular grid."""
    times, y = (0.9, 0.8, 0.72, 0.6, 0.55, 0.4, 0.3, 0.1), normal(3, 2)
    reverse = ReverseSDE(VPSDE(), GaussianScore(VPSDE()))
    got = OnGrid(AdamsBashforth(2), At(times[1:-1])).integrate(reverse, y, 0.9, 0.1, QUIET)
    before, y = reverse.flow(y, 0.9), Heun().integrate(reverse, y, 0.9, 0.8, QUIET)
    for early, t, s in zip(times, times[1:], times[2:], strict=False):
        h, ratio, now = s - t, 0.5 * (s - t) / (t - early), reverse.flow(y, t)
        y, before = y + h * ((1.0 + ratio) * now - ratio * before), now
    close(got, y, rtol=1e-12, atol=1e-12)


def test_two_runs_at_once_do_not_share_memory():
    sde = VPSDE()
    reverse = ReverseSDE(sde, GaussianScore(sde))
    method, times = AdamsBashforth(2), (0.9, 0.8, 0.7, 0.6)
    one, other = normal(2, 2), normal(2, 2, seed=1)
    alone = OnGrid(method, At(times[1:-1])).integrate(reverse, one, 0.9, 0.6, QUIET)
    first, second = method.begin(reverse, QUIET), method.begin(reverse, QUIET)
    for t, s in pairwise(times):
        one, other = first(one, t, s), second(other, t, s)
    assert torch.equal(one, alone)
