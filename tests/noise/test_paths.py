"""Brownian paths."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from common import normal
from hypothesis import given
from hypothesis import strategies as st
from noise.numbers import SOURCES, assert_normal, assert_uncorrelated, like
from noise.units import Units

from sdeplug.errors import ArgumentError
from sdeplug.noise import BrownianBridge, NoiseSource, PerSampleNoise, SharedNoise

UNIT = st.floats(0.0, 1.0)


class Ones(NoiseSource):
    """The smallest source that a user can write."""

    def normal(self, like):
        return torch.ones_like(like)


def test_a_source_of_normals_has_paths_too():
    path = Ones().brownian(like(4), 1.0, 0.0)
    assert bool((path.increment(0.5, 1.0) == 0.5**0.5).all())


def path(t: float = 1.0, s: float = 0.0, rows: int = 3) -> BrownianBridge:
    return BrownianBridge(like(rows), t, s, PerSampleNoise(99, range(rows)).normal)


@given(UNIT, UNIT, UNIT)
def test_increments_add_up(u, v, w):
    one = path()
    whole, parts = one.increment(u, w), one.increment(u, v) + one.increment(v, w)
    torch.testing.assert_close(parts, whole, rtol=0.0, atol=1e-14)
    assert not one.increment(u, u).any()
    assert torch.equal(one.increment(u, v), -one.increment(v, u))


@given(st.lists(st.tuples(UNIT, UNIT), min_size=1, max_size=6), st.data())
def test_an_answer_stays_what_it_was(spans, data):
    one = path()
    answers = [one.increment(*span) for span in spans]
    for i in data.draw(st.permutations(range(len(spans)))):
        torch.testing.assert_close(one.increment(*spans[i]), answers[i], rtol=0.0, atol=1e-14)


@given(
    start=st.floats(0.0, 10.0),
    length=st.floats(1e-3, 10.0),
    fractions=st.lists(UNIT, min_size=1, max_size=6),
)
def test_the_law_is_exact_in_whatever_order_it_is_asked(start, length, fractions):
    end = start + length
    times = [min(start + length * each, end) for each in fractions]
    one = BrownianBridge(like(1, 60), end, start, Units())
    for u in times:
        one.increment(u, end)
    known = sorted({end, *times}, reverse=True)
    spans = list(itertools.pairwise(known))
    weights = torch.stack([one.increment(a, b)[0] for a, b in spans] or [like(1, 60)[0]])
    wanted = torch.tensor([a - b for a, b in spans] or [0.0], dtype=torch.float64)
    close = {"rtol": 1e-9, "atol": 1e-12 * length}
    torch.testing.assert_close(weights @ weights.T, wanted.diag(), **close)


def test_a_new_time_costs_one_draw_and_a_known_one_none():
    units = Units()
    one = BrownianBridge(like(2, 20), 1.0, 0.0, units)
    for u, draws in ((0.5, 1), (0.75, 2), (0.5, 2), (0.0, 3), (0.75, 3), (1.0, 3)):
        one.increment(u, 1.0)
        assert units.draws == draws


def test_what_is_forgotten_costs_no_memory_and_is_refused():
    one, now = path(), 1.0
    for _ in range(50):
        one.increment(0.8 * now, now)
        tried = one.increment(0.9 * now, now)
        one.forget(0.9 * now)
        now *= 0.9
        assert len(one._increments) <= 2
    assert tried.isfinite().all()
    ahead = one.increment(0.5 * now, now)
    one.forget(now)
    assert torch.equal(one.increment(0.5 * now, now), ahead)
    with pytest.raises(ArgumentError, match="forgotten"):
        one.increment(2.0 * now, now)


def test_increments_are_normal_independent_and_of_the_right_variance():
    times = [1.0, 0.83, 0.5, 0.49, 0.1, 0.0]
    one = PerSampleNoise(1, range(5000)).brownian(like(5000, 2), 1.0, 0.0)
    unit = [one.increment(u, v) / math.sqrt(u - v) for u, v in itertools.pairwise(times)]
    for each in unit:
        assert_normal(each)
    for a, b in itertools.combinations(unit, 2):
        assert_uncorrelated(a, b)
    assert_uncorrelated(unit[0][:, 0], unit[0][:, 1])
    assert_uncorrelated(unit[0][1:], unit[0][:-1])


@pytest.mark.parametrize("u", [1.1, 0.49, math.nan])
def test_a_path_is_asked_only_inside_its_span(u):
    one = path(1.0, 0.5)
    for ends in ((u, 0.7), (0.7, u)):
        with pytest.raises(ArgumentError, match=r"\[0\.5, 1\.0\]"):
            one.increment(*ends)


@pytest.mark.parametrize("source", SOURCES, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize(("t", "s"), [(0.5, 0.5), (0.4, 0.5), (math.nan, 0.5)])
def test_a_path_needs_a_span(source, t, s):
    with pytest.raises(ArgumentError, match=r"s = 0\.5"):
        source.brownian(like(4), t, s)


def test_the_state_itself_does_not_matter():
    assert torch.equal(SharedNoise(1).normal(normal(2, 3)), SharedNoise(1).normal(like(2)))
