"""Examples by choice: they cover what there is evenly, and the simplest that fails is found."""

from __future__ import annotations

from collections import Counter

import pytest

from sdeplug.testing import makers
from sdeplug.testing.choices import Rejected, examples, simplest
from sdeplug.testing.contract.calls import explore
from sdeplug.testing.findings import CheckFailed


def pair(choose):
    return choose(range(5)), choose("abcdefghij")


def shrunk(maker, fails):
    """The simplest example that fails, from the first one that does."""
    path = next(path for example, path in examples(maker, 200) if fails(example))
    return simplest(maker, path, fails)


def test_the_simplest_comes_first_and_each_choice_is_covered_evenly():
    first, *others = (example for example, _ in examples(pair, 21))
    assert first == (0, "a")
    numbers, letters = (Counter(each) for each in zip(*others, strict=True))
    assert numbers == dict.fromkeys(range(5), 4)
    assert letters == dict.fromkeys("abcdefghij", 2)
    assert len(set(others)) > 15  # two choices go their own ways


def test_the_same_examples_come_again():
    assert list(examples(pair, 9)) == list(examples(pair, 9))


def test_a_path_makes_its_example_again():
    for example, path in examples(pair, 9):
        assert example == (path[0], "abcdefghij"[path[1]])


def test_what_is_rejected_is_left_out():
    def even(choose):
        if (number := choose(range(10))) % 2:
            raise Rejected
        return number

    first, *others = (example for example, _ in examples(even, 11))
    assert first == 0
    assert sorted(others) == [0, 2, 4, 6, 8]


@pytest.mark.parametrize(
    ("fails", "wanted"),
    [
        (lambda shape: True, (1, 1)),
        (lambda shape: shape[0] > 2, (3, 1)),
        (lambda shape: len(shape) > 3, (1, 1, 1, 1)),
        (lambda shape: max(shape[1:]) > 2, (1, 3)),
    ],
)
def test_the_simplest_that_fails_is_found(fails, wanted):
    assert shrunk(makers.shape, fails) == wanted


def test_the_search_ends_where_nothing_is_simpler_and_after_some_tries():
    calls = []

    def slowly(number):
        calls.append(number)
        return number[0] > 0

    def deep(choose):
        return [choose(range(10**6)) for _ in range(3)]

    assert shrunk(deep, slowly) == [1, 0, 0]
    calls.clear()
    never = iter(range(10**6))  # fails at every second look, however simple
    simplest(deep, (10**6 - 1,) * 3, lambda number: calls.append(number) or next(never) % 2 == 1)
    assert len(calls) <= 200


def test_explore_tells_the_simplest_and_what_it_raised():
    def test(pair):
        if pair[0] > 1:
            raise ValueError("too large")

    with pytest.raises(CheckFailed, match=r"it raised ValueError: too large \(\(2, 'a'\)\)"):
        explore(pair, test)
    assert explore(pair, lambda pair: None, 7).text == "in 7 calls"
