"""Examples by choice: they cover what there is evenly, and the simplest that fails is told."""

from __future__ import annotations

from collections import Counter

import pytest

from sdeplug.testing.choices import Rejected, examples
from sdeplug.testing.contract.calls import explore
from sdeplug.testing.findings import CheckFailed


def pair(choose):
    return choose(range(5)), choose("abcdefghij")


def test_the_simplest_comes_first_and_each_choice_is_covered_evenly():
    first, *others = examples(pair, 21)
    assert first == (0, "a")
    numbers, letters = (Counter(each) for each in zip(*others, strict=True))
    assert numbers == dict.fromkeys(range(5), 4)
    assert letters == dict.fromkeys("abcdefghij", 2)
    assert len(set(others)) > 15  # two choices go their own ways


def test_the_same_examples_come_again():
    assert list(examples(pair, 9)) == list(examples(pair, 9))


def test_what_is_rejected_is_left_out():
    def even(choose):
        if (number := choose(range(10))) % 2:
            raise Rejected
        return number

    first, *others = examples(even, 11)
    assert first == 0
    assert sorted(others) == [0, 2, 4, 6, 8]


def test_explore_tells_the_simplest_and_what_it_raised():
    def test(pair):
        if pair[0] > 1:
            raise ValueError("too large")

    with pytest.raises(CheckFailed, match=r"it raised ValueError: too large \(\(2, 'a'\)\)"):
        explore(pair, test)
    assert explore(pair, lambda pair: None, 7).text == "in 7 calls"


def test_a_failure_that_is_not_seen_again_is_told_of_as_it_was():
    seen = []

    def once(pair):
        seen.append(pair)
        if len(seen) == 3:
            raise ValueError("once")

    with pytest.raises(CheckFailed, match="once"):
        explore(pair, once)
    assert len(seen) > 3
