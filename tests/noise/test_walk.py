"""Brownian paths that rows walk down in steps of their own.  The test of the law has a fixed seed
and a false-alarm rate of FALSE_ALARM were it drawn afresh."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from common import FALSE_ALARM
from hypothesis import given, settings
from hypothesis import strategies as st
from noise.units import Units
from scipy import stats

from sdeplug import ArgumentError, BrownianWalk, PerSampleNoise, SharedNoise

WIDE = 40


def walk(by=None, rows: int = 3) -> BrownianWalk:
    return BrownianWalk(torch.zeros(rows, WIDE, dtype=torch.float64), 1.0, by or Units())


TRIES = st.lists(
    st.tuples(*[st.tuples(st.floats(0.001, 1.0), st.booleans())] * 3), min_size=1, max_size=WIDE
)


def shown(one: BrownianWalk, tries) -> list[dict[float, torch.Tensor]]:
    """For each row the values of its path, less that at the start, at the times it has seen."""
    seen = [{1.0: torch.zeros(WIDE, dtype=torch.float64)} for _ in range(3)]
    for each in tries:
        here = one.here
        to = here * (1.0 - np.array([part for part, _ in each]))
        ahead = one.ahead(to)
        taken = np.array([each_taken for _, each_taken in each])
        for row in range(3):
            value = seen[row][here[row]] + ahead[row]
            known = seen[row].setdefault(to[row], value)
            torch.testing.assert_close(value, known, rtol=0.0, atol=1e-12)
        one.settle(taken)
        assert np.array_equal(one.here, np.where(taken, to, here))
    return seen


@given(TRIES)
def test_every_row_sees_one_brownian_path_whatever_it_takes(tries):
    """The covariance of all values that were ever seen is exactly that of Brownian motion, and a
    time that is seen again has the value that it had."""
    for row in shown(walk(), tries):
        times = torch.tensor(list(row), dtype=torch.float64)
        weights = torch.stack(list(row.values()))
        wanted = 1.0 - torch.maximum(times[:, None], times)
        torch.testing.assert_close(weights @ weights.T, wanted, rtol=1e-9, atol=1e-12)


@given(TRIES)
def test_a_row_does_not_depend_on_its_neighbours(tries):
    three = shown(walk(PerSampleNoise(5, [7, 8, 9]).normal), tries)
    one, value = walk(PerSampleNoise(5, [8]).normal, rows=1), 0.0
    for each in tries:
        part, taken = each[1]
        value = value + one.ahead(one.here * (1.0 - part))[0] * taken
        one.settle(np.array([taken]))
    torch.testing.assert_close(value, three[1][one.here[0]], rtol=0.0, atol=1e-12)


@settings(max_examples=30)
@given(TRIES, st.integers(0, WIDE), st.sampled_from([(True, False, True), (False, False, True)]))
def test_rows_that_leave_change_nothing_for_the_others(tries, when, stay):
    rows = np.array(stay)
    left, whole = (walk(SharedNoise(1).normal) for _ in range(2))
    for number, each in enumerate(tries):
        if number == when:
            left.keep(rows)
        kept = rows if number >= when else np.ones(3, dtype=bool)
        parts, taken = (np.array(column) for column in zip(*each, strict=True))
        to = whole.here * (1.0 - parts)
        both = left.ahead(to[kept]), whole.ahead(to)
        assert torch.equal(both[0], both[1][torch.from_numpy(kept)])
        left.settle(taken[kept])
        whole.settle(taken)


def test_what_lies_behind_costs_no_memory():
    one, source = walk(SharedNoise(1).normal, rows=2), np.random.default_rng(0)
    layers = []
    for _ in range(300):
        one.ahead(one.here * 0.9)
        one.settle(source.random(2) < 0.7)
        layers.append(one._values.shape[0])
    assert max(layers) < 15
    for _ in range(30):
        one.ahead(one.here * 0.9)
        one.settle(np.array([True, True]))
    assert len(one._falls) == len(one._values) == 1


def test_a_step_of_no_length_and_one_back():
    one = walk()
    assert not one.ahead(one.here).any()
    one.settle(np.ones(3, dtype=bool))
    one.ahead(np.array([0.5, 0.5, 0.5]))
    one.settle(np.array([True, True, False]))
    for to in ([0.5, 0.6, 1.0], [0.1, np.nan, 0.1], [0.1, -np.inf, 0.1], [0.1], [[0.1] * 3]):
        with pytest.raises(ArgumentError, match="not above where the row is"):
            one.ahead(np.array(to))
    with pytest.raises(ArgumentError, match=r"a mask of shape \(3,\)"):
        one.settle(np.array([True]))
    assert one.ahead(np.array([0.5, 0.5, 1.0])).shape == (3, WIDE)


def test_shapes_dtypes_and_an_empty_batch():
    like = torch.zeros(2, 3, 4)
    ahead = SharedNoise(1).walk(like, 1.0).ahead(np.array([0.2, 0.3]))
    assert (ahead.shape, ahead.dtype) == (like.shape, like.dtype)
    none = SharedNoise(1).walk(like[:0], 1.0)
    assert none.ahead(none.here).shape == (0, 3, 4)
    none.settle(np.zeros(0, dtype=bool))


def test_increments_of_steps_that_are_rejected_for_their_noise_are_normal():
    """A step is rejected where its noise is large: what is kept makes up for it."""
    rows = 20_000
    one = BrownianWalk(torch.zeros(rows, 1).double(), 1.0, SharedNoise(3).normal)
    total, length = torch.zeros(rows, 1).double(), np.full(rows, 0.4)
    while (one.here > 0.0).any():
        to = np.maximum(one.here - length, 0.0)
        ahead = one.ahead(to)
        taken = (ahead[:, 0].abs().numpy() < 0.5) | (length < 0.05)
        one.settle(taken)
        total += ahead * torch.from_numpy(taken)[:, None]
        length = np.where(taken, 0.4, 0.5 * length)
    assert stats.kstest(total.flatten().numpy(), "norm").pvalue > FALSE_ALARM
