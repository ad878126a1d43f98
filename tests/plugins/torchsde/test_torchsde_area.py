"""Brownian motion with its area: exact covariances, whatever is asked and in whatever order."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sdeplug_torchsde.area import AreaPath

close = torch.testing.assert_close
EIGHTHS = st.integers(1, 40).map(lambda k: k / 8.0)


class Units:
    """Unit vectors in place of normals, so that what is drawn is the row of its weights."""

    def __init__(self) -> None:
        self.draws = 0

    def __call__(self) -> torch.Tensor:
        noise = torch.zeros(1, 64, dtype=torch.float64)
        noise[0, self.draws] = 1.0
        self.draws += 1
        return noise


@given(times=st.lists(st.floats(1e-3, 5.0), min_size=1, max_size=9), rate=st.floats(0.1, 3.0))
def test_the_law_is_exact_in_whatever_order_it_is_asked(times, rate):
    """W and H of neighbouring intervals are independent, of variances h and h / 12."""
    path = AreaPath(Units(), rate)
    for time in times:
        path.increment(0.0, time)
    weights, wanted = [], []
    for start, end in pairwise(sorted({0.0, *times})):
        length = end - start
        increment, integral = path.increment(start, end)
        area = integral / length - 0.5 * increment
        weights += [increment, area * (12.0**0.5)]
        wanted += [rate * length] * 2
    rows = torch.cat(weights)
    close(rows @ rows.T, torch.tensor(wanted, dtype=torch.float64).diag(), rtol=1e-7, atol=1e-9)


@given(times=st.lists(EIGHTHS, min_size=3, max_size=8, unique=True))
def test_the_parts_add_up_to_the_whole(times):
    """A split changes neither W nor the integral of what it splits."""
    end = max(times)
    path = AreaPath(Units())
    before = path.increment(0.0, end)
    for time in times:
        path.increment(0.0, time)
    for old, new in zip(before, path.increment(0.0, end), strict=True):
        close(new, old, rtol=0.0, atol=1e-12)


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_the_integral_is_that_of_the_path(share, other):
    """cov(W_u, integral of W over [0, 1]) = u - u^2 / 2, and of two integrals likewise."""
    path = AreaPath(Units())
    _, whole = path.increment(0.0, 1.0)
    increment, integral = path.increment(0.0, share)
    path.increment(0.0, other)
    close(float(increment.flatten() @ whole.flatten()), share - 0.5 * share**2, atol=1e-12, rtol=0)
    covariance = 0.5 * share**2 - share**3 / 6.0
    close(float(integral.flatten() @ whole.flatten()), covariance, atol=1e-12, rtol=0)


def test_a_new_time_costs_two_draws_and_a_known_one_none():
    units = Units()
    path = AreaPath(units)
    for end, draws in ((1.0, 2), (0.5, 4), (1.0, 4), (0.75, 6), (2.0, 8)):
        path.increment(0.0, end)
        assert units.draws == draws


def test_what_is_forgotten_costs_no_memory():
    path = AreaPath(lambda: torch.zeros(1, 1))
    for step in range(100):
        now = float(step)
        for start, end in ((now, now + 4.0), (now, now + 2.0), (now, now + 1.0)):
            path.increment(start, end)
        path.forget(now + 1.0)
        assert len(path.pieces) <= 4


@pytest.mark.parametrize("share", [1e-9, 1.0 - 1e-9])
def test_a_split_near_an_end_is_finite(share):
    path = AreaPath(Units())
    path.increment(0.0, 1.0)
    left, right = path.increment(0.0, share), path.increment(share, 1.0)
    assert all(bool(each.isfinite().all()) for each in (*left, *right))
