from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import MISSING, dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numbers_sample import Numbers

from sdeplug.errors import ArgumentError
from sdeplug.options import Configured, build, option, options_of, parse_options

FLOATS = st.floats(allow_nan=False)


@dataclass(frozen=True)
class Sample(Configured):
    steps: int = option(help="how many", ge=1)
    snr: float = option(0.16, help="size", gt=0.0, le=2.0)
    name: str = option("a", help="label")
    flag: bool = option(False, help="switch")
    limit: int | None = option(None, help="most", ge=0)
    points: tuple[float, ...] = option((), help="times", ge=0.0)
    rule: float | Callable[[float], float] = option(1.0, help="number or rule", ge=0.0)
    mixed: int | float | str = option(1, help="whatever")
    anything: Any = option(None, help="anything")


OPTIONS = {each.name: each for each in options_of(Sample)}


def accepts(name: str, value: object) -> bool:
    try:
        OPTIONS[name].checked(value)
    except ArgumentError:
        return False
    return True


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("steps", [1, 10**9], [0, -1, 1.0, 1.5, True, "1", None]),
        ("snr", [0.1, 1, 2], [0, 0.0, -1.0, 2.1, True, "0.1", None, math.nan, math.inf]),
        ("name", ["", "x"], [1, None, b"x"]),
        ("flag", [True, False], [0, 1, "true", None]),
        ("limit", [None, 0, 3], [-1, 0.0, False]),
        (
            "points",
            [(), (0.0, 1), (3.0,), [1.0], 1.0],
            [[-1.0], (-1.0,), (1.0, math.nan), (True,), ("1",), -1.0, True, "1"],
        ),
        ("rule", [0, 0.5, math.sqrt], [-1.0, "x", None, math.nan]),
        ("mixed", [1, 1.5, "x"], [None, True, ()]),
        ("anything", [None, 1, object()], []),
    ],
)
def test_types_and_bounds(name, good, bad):
    assert all(accepts(name, value) for value in good)
    assert not any(accepts(name, value) for value in bad)


@given(low=FLOATS, high=FLOATS, value=FLOATS)
def test_bounds_are_inclusive_or_not_as_declared(low, high, value):
    @dataclass(frozen=True)
    class Closed(Configured):
        x: float = option(help="", ge=low, le=high)

    @dataclass(frozen=True)
    class Open(Configured):
        x: float = option(help="", gt=low)

    for cls, inside in ((Closed, low <= value <= high), (Open, low < value)):
        if inside:
            assert cls(value).x == value
        else:
            with pytest.raises(ArgumentError, match="x = "):
                cls(value)


def test_an_object_is_checked_whenever_it_is_built():
    with pytest.raises(ArgumentError, match=r"steps = 0: must be of type int, at least 1"):
        Sample(0)
    with pytest.raises(
        ArgumentError, match=r"snr = -1\.0.*above 0 and at most 2.*default is 0\.16"
    ):
        Sample(1, snr=-1.0)
    with pytest.raises(ArgumentError, match="steps"):
        replace(Sample(1), steps=0)


def test_options_are_read_back():
    assert list(OPTIONS) == [
        "steps", "snr", "name", "flag", "limit", "points", "rule", "mixed", "anything",
    ]  # fmt: skip
    assert OPTIONS["steps"].required
    assert OPTIONS["steps"].default is MISSING
    assert not OPTIONS["anything"].required
    assert OPTIONS["snr"].default == 0.16
    assert OPTIONS["snr"].help == "size"
    assert OPTIONS["limit"].type_name == "int or None"
    assert OPTIONS["points"].type_name == "tuple of float"
    assert OPTIONS["rule"].type_name == "float or function"
    assert options_of(int) == ()


def test_build_names_what_is_allowed():
    assert build(Sample, {"steps": 3, "snr": 1.0}) == Sample(3, 1.0)
    with pytest.raises(ArgumentError, match=r"Did you mean 'steps'\?.*x/y takes no other options"):
        build(Sample, {"step": 3}, "x/y")
    with pytest.raises(ArgumentError, match=r"options of Sample.*steps \(int\)"):
        build(Sample, {"snr": 1.0})

    @dataclass(frozen=True)
    class Bare(Configured):
        pass

    assert build(Bare, {}) == Bare()
    with pytest.raises(ArgumentError, match="Bare takes no options"):
        build(Bare, {"steps": 3})


@given(FLOATS, st.integers(), st.lists(FLOATS, min_size=1))
def test_numbers_survive_text(number, whole, many):
    assert OPTIONS["snr"].parse(repr(number)) == number
    assert OPTIONS["steps"].parse(str(whole)) == whole
    assert OPTIONS["points"].parse(",".join(map(repr, many))) == tuple(many)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("flag", "true", True),
        ("flag", "False", False),
        ("limit", "none", None),
        ("limit", "3", 3),
        ("name", "none", "none"),
        ("points", "1, 2.5", (1.0, 2.5)),
        ("rule", "0.5", 0.5),
        ("mixed", "2", 2),
        ("mixed", "2.5", 2.5),
        ("mixed", "x", "x"),
    ],
)
def test_texts_become_values(name, text, value):
    parsed = OPTIONS[name].parse(text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("steps", "1.5"),
        ("snr", "x"),
        ("limit", ""),
        ("points", "1,x"),
        ("rule", "sqrt"),
        ("flag", "yes"),
    ],
)
def test_texts_that_cannot_be_read_are_refused(name, text):
    with pytest.raises(ArgumentError, match=f"{name} = '{text}'"):
        OPTIONS[name].parse(text)


def test_unknown_names_pass_the_parser_and_fail_in_build():
    texts = parse_options(Sample, {"steps": "3", "wrong": "1"})
    assert texts == {"steps": 3, "wrong": "1"}
    with pytest.raises(ArgumentError, match="wrong"):
        build(Sample, texts)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("count", np.int64(5), 5),
        ("count", torch.tensor(5), 5),
        ("share", np.float64(0.25), 0.25),
        ("share", np.float32(0.25), 0.25),
        ("share", np.array(0.25), 0.25),
        ("share", torch.tensor(0.25), 0.25),
        ("share", np.int64(0), 0),
        ("flag", np.bool_(True), True),
        ("limit", np.float32(0.5), 0.5),
        ("points", [1.0, np.float32(0.5)], (1.0, 0.5)),
        ("points", np.array([1.0, 0.5]), (1.0, 0.5)),
        ("points", torch.tensor([1.0, 0.5]), (1.0, 0.5)),
        ("points", (np.float64(1.0),), (1.0,)),
        ("pair", [[1, 2], np.array([3])], ((1, 2), (3,))),
    ],
)
def test_numbers_of_numpy_and_torch_become_those_of_python(name, value, wanted):
    made = Numbers(**{name: value})
    assert getattr(made, name) == wanted
    assert repr(made) == repr(Numbers(**{name: wanted}))
    assert hash(made) == hash(Numbers(**{name: wanted}))
