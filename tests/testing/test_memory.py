"""What two checks ask for is computed once."""

from __future__ import annotations

import pytest

from sdeplug.testing.memory import forget_all, remembered


def test_equal_arguments_are_computed_once_and_what_has_no_hash_each_time():
    seen = []

    @remembered(2)
    def doubled(value):
        seen.append(value)
        return 2 * value

    assert doubled(3) == doubled(3) == 6
    assert doubled([3]) == doubled([3]) == [3, 3]
    assert seen == [3, [3], [3]]


def test_an_error_of_the_function_is_its_own():
    seen = []

    @remembered(2)
    def fails(value):
        seen.append(value)
        raise TypeError("of the function")

    with pytest.raises(TypeError, match="of the function"):
        fails(3)
    assert seen == [3]


def test_what_is_forgotten_is_computed_afresh():
    seen = []

    @remembered(2)
    def noted(value):
        seen.append(value)

    noted(3)
    forget_all()
    noted(3)
    assert seen == [3, 3]
