"""Forward SDEs: the derived against the closed forms, the schedule against the SDE itself."""

from __future__ import annotations

import math
import pickle
from dataclasses import dataclass, replace

import pytest
import torch
from common import SDES
from hypothesis import given
from hypothesis import strategies as st
from sde.schedules import CLOSED, Linear

from sdeplug import (
    ReverseSDE,
)
from sdeplug.errors import ArgumentError
from sdeplug.sde import VPSDE, LinearSDE, derivative

FRACTIONS = st.floats(0.0, 1.0)


def between(sde: LinearSDE, fraction: float) -> float:
    """A time in [eps, T]."""
    return min(sde.eps + fraction * (sde.T - sde.eps), sde.T)


@pytest.mark.parametrize("sde", SDES, ids=lambda sde: type(sde).__name__)
@given(FRACTIONS)
def test_closed_forms(sde, fraction):
    t = between(sde, fraction)
    now = sde.at(t)
    alpha, variance, drift_rate, g2 = CLOSED[type(sde)](t)
    assert now.alpha == pytest.approx(alpha, rel=1e-11)
    assert now.sigma**2 == pytest.approx(variance, rel=1e-8)
    assert now.drift_rate == pytest.approx(drift_rate, rel=1e-11)
    assert now.diffusion**2 == pytest.approx(g2, rel=1e-11)
    assert now.log_snr == pytest.approx(math.log(alpha**2 / variance), rel=1e-8, abs=1e-8)


@given(FRACTIONS)
def test_overridden_rates_are_those_of_automatic_differentiation(any_sde, fraction):
    t = torch.tensor([between(any_sde, fraction)], dtype=torch.float64)
    for name in ("drift_rate", "diffusion"):
        given_, derived = getattr(any_sde, name)(t), getattr(LinearSDE, name)(any_sde, t)
        torch.testing.assert_close(given_, derived, rtol=1e-10, atol=1e-10)


@given(FRACTIONS)
def test_two_functions_are_a_schedule(fraction):
    t = between(Linear(), fraction)
    now = Linear().at(t)
    assert (now.alpha, now.sigma) == pytest.approx((1 - t / 2, t), rel=1e-12)
    assert now.drift_rate == pytest.approx(-0.5 / (1 - t / 2), rel=1e-12)
    assert now.diffusion**2 == pytest.approx(2 * t + t**2 / (1 - t / 2), rel=1e-12)
    ReverseSDE(Linear(), lambda x, t: -x)
    assert Linear().prior_std == 1.0


@dataclass(frozen=True)
class Derived(LinearSDE):
    """Another SDE by its alpha and sigma alone."""

    sde: LinearSDE = VPSDE()  # noqa: RUF009  a value
    T: float = 1.0

    def log_alpha(self, t):
        return self.sde.log_alpha(t)

    def sigma(self, t):
        return self.sde.sigma(t)


@given(FRACTIONS)
def test_what_is_derived_is_what_is_written(any_sde, fraction):
    derived = Derived(any_sde, any_sde.T)
    t = between(any_sde, fraction)
    a, b = derived.at(t), any_sde.at(t)
    assert (a.drift_rate, a.diffusion) == pytest.approx(
        (b.drift_rate, b.diffusion), rel=1e-9, abs=1e-12
    )


@given(st.floats(0.05, 0.95))
def test_the_variance_obeys_its_own_equation(any_sde, fraction):
    """d sigma^2 / dt = 2 a sigma^2 + g^2, and d alpha / dt = a alpha, by central differences."""
    t = between(any_sde, fraction)
    h = 1e-5 * t
    now, early, late = any_sde.at(t), any_sde.at(t - h), any_sde.at(t + h)
    slope = (late.sigma**2 - early.sigma**2) / (2 * h)
    terms = 2 * now.drift_rate * now.sigma**2, now.diffusion**2
    assert slope == pytest.approx(sum(terms), rel=1e-6, abs=1e-6 * max(map(abs, terms)))
    assert (late.alpha - early.alpha) / (2 * h) == pytest.approx(
        now.drift_rate * now.alpha, rel=1e-6
    )


@given(st.lists(FRACTIONS, min_size=3, max_size=3))
def test_transitions_compose(any_sde, fractions):
    s, t, u = sorted(between(any_sde, each) for each in fractions)
    (a, v), (b, w), (c, x) = (any_sde.transition(*ends) for ends in ((s, t), (t, u), (s, u)))
    assert a * b == pytest.approx(c, rel=1e-12)
    assert b**2 * v + w == pytest.approx(x, rel=1e-9, abs=1e-13 * any_sde.at(u).sigma ** 2)


@given(FRACTIONS)
def test_transitions_start_from_the_data_law(any_sde, fraction):
    t = between(any_sde, fraction)
    now, start = any_sde.at(t), any_sde.at(0.0)
    scale, variance = any_sde.transition(0.0, t)
    assert scale == pytest.approx(now.alpha / start.alpha, rel=1e-12)
    assert variance + (scale * start.sigma) ** 2 == pytest.approx(now.sigma**2, rel=1e-10)


@given(FRACTIONS, st.floats(1e-12, 1e-6))
def test_transitions_between_close_times_have_the_rate_of_the_diffusion(any_sde, fraction, step):
    s = between(any_sde, fraction * 0.99)
    t = s + step * any_sde.T
    variance = any_sde.transition(s, t)[1]
    assert variance > 0.0
    exact = (t - s) * any_sde.at(0.5 * (s + t)).diffusion ** 2
    rounding = 1e-4 + 1e-15 * t / (t - s)  # of the angle of a schedule, close to its pole
    assert variance == pytest.approx(exact, rel=rounding, abs=1e-14 * any_sde.at(t).sigma ** 2)


@given(FRACTIONS)
def test_time_at_inverts_the_log_snr(any_sde, fraction):
    t = between(any_sde, fraction)
    found = any_sde.time_at(torch.tensor([any_sde.at(t).log_snr], dtype=torch.float64))
    assert float(found) == pytest.approx(t, rel=1e-8)


def test_time_at_is_clamped_to_the_ends(any_sde):
    ends = any_sde.time_at(torch.tensor([[math.inf, 1e4], [-1e4, -math.inf]], dtype=torch.float64))
    torch.testing.assert_close(
        ends, torch.tensor([[0.0, 0.0], [any_sde.T] * 2], dtype=torch.float64)
    )


def test_the_log_snr_falls(any_sde):
    t = torch.linspace(0.0, any_sde.T, 1001, dtype=torch.float64)
    assert bool((any_sde.log_snr(t).diff() < 0.0).all())


def test_the_memo_changes_nothing(any_sde):
    times = [between(any_sde, each) for each in torch.linspace(0, 1, 50).tolist()]
    one_by_one, at_once = replace(any_sde), replace(any_sde)
    at_once.prepare(times)
    assert [one_by_one.at(t) for t in times] == [at_once.at(t) for t in times]
    assert one_by_one.at(times[3]) is one_by_one.at(times[3])
    assert one_by_one == at_once == any_sde
    assert hash(one_by_one) == hash(any_sde)


def test_the_memo_stays_small():
    sde = VPSDE()
    for k in range(5):
        sde.prepare(torch.linspace(0.0, 1.0, 5000 + k, dtype=torch.float64).tolist())
    assert len(sde._memo) <= 16384
    assert sde.at(0.5) == VPSDE().at(0.5)


@pytest.mark.parametrize("t", [-1e-9, math.nan, math.inf, 81.0])
def test_times_outside_are_refused(any_sde, t):
    with pytest.raises(ArgumentError, match="t = "):
        any_sde.at(t)
    with pytest.raises(ArgumentError, match="t = "):
        any_sde.prepare((0.5, t))
    with pytest.raises(ArgumentError, match="t = "):
        any_sde.transition(0.5, t)


def test_pickles_work_the_same(any_sde):
    any_sde.at(0.5)
    copy = pickle.loads(pickle.dumps(any_sde))
    assert copy == any_sde
    assert copy.at(0.3) == replace(any_sde).at(0.3)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_any_grad_mode_gives_the_same_marginal(any_sde, mode):
    for sde in (any_sde, Derived(any_sde, any_sde.T)):
        wanted = sde.at(0.37)
        with mode():
            assert replace(sde).at(0.37) == wanted
            ReverseSDE(replace(sde), lambda x, t: -x)


def test_derivatives_have_no_graph_and_constants_slope_zero():
    t = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    slope = derivative(lambda u: u**3, t)
    assert slope.tolist() == [3.0, 12.0]
    assert not slope.requires_grad
    assert derivative(lambda u: torch.ones(2), t).tolist() == [0.0, 0.0]


def test_nothing_overflows_near_the_data(any_sde):
    start = any_sde.at(0.0)
    assert start.alpha == 1.0
    assert math.isfinite(start.sigma + start.drift_rate + start.diffusion)
    for t in (1e-300, 1e-12, any_sde.eps):
        now = any_sde.at(t)
        assert all(map(math.isfinite, (now.alpha, now.sigma, now.drift_rate, now.diffusion)))
        assert now.log_snr > 0.0
        assert any_sde.transition(0.0, t)[1] >= 0.0
    for t in (1e-9, any_sde.eps):
        assert any_sde.at(t).sigma > 0.0
