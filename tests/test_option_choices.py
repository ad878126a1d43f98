"""Options that are one of a few, and numbers that do not fit."""

from __future__ import annotations

import abc
import copy
import pickle
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numbers_sample import Numbers

from sdeplug.errors import ArgumentError
from sdeplug.options import Configured, option, options_of, parse_options
from sdeplug.values import OneOf


class Weight(abc.ABC):
    @abc.abstractmethod
    def of(self): ...


class Even(Weight):
    of = None


class Odd(Weight):
    of = None


@dataclass(frozen=True)
class Weighted(Configured):
    weight: Weight = option(Even(), help="an object of some class")
    kind: type[Weight] = option(Even, help="a class")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": Odd}, r"must be of type Weight\. Odd\(\) makes one\."),
        ({"weight": "odd"}, r"of type Weight\. The default is .*Even object.*; there are Odd, too"),
        ({"kind": Odd()}, r"must be a class of Weight\. The default is Even\."),
        ({"kind": float}, r"kind = <class 'float'>: must be a class of Weight"),
    ],
)
def test_what_there_is_instead_is_told(options, message):
    with pytest.raises(ArgumentError, match=message):
        Weighted(**options)
    assert Weighted(weight=Odd(), kind=Odd).kind is Odd


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", np.float64(2.0)),
        ("count", np.int64(0)),
        ("count", np.bool_(True)),
        ("count", torch.tensor([2])),
        ("count", np.array([2])),
        ("share", np.float32(1.0)),
        ("share", np.float64("nan")),
        ("flag", np.int64(1)),
        ("points", np.array([[1.0]])),
        ("points", "12"),
    ],
)
def test_numbers_that_do_not_fit_are_refused_wherever_they_come_from(name, value):
    with pytest.raises(ArgumentError, match=f"{name} = "):
        Numbers(**{name: value})


def test_a_bound_may_lie_outside():
    share = options_of(Numbers)[1]
    assert share.allowed == "of type float, at least 0 and below 1"
    assert Numbers(share=0.999)
    with pytest.raises(ArgumentError, match=r"share = 1\.0: must be .*below 1"):
        Numbers(share=1.0)


class Colour(OneOf):
    RED = object()
    DARK_BLUE = object()


@dataclass(frozen=True)
class Painted(Configured):
    colour: Colour = option(Colour.RED, help="which")
    other: Colour | None = option(None, help="another, or none")


@pytest.mark.parametrize("given", [Colour.DARK_BLUE, "dark-blue", "DARK_BLUE"])
def test_one_of_a_few_is_given_by_name(given):
    made = Painted(given, other=given)
    assert made.colour is made.other is Colour.DARK_BLUE
    assert repr(made) == "Painted(colour='dark-blue', other='dark-blue')"
    assert pickle.loads(pickle.dumps(made)) == copy.deepcopy(made) == made
    assert str(made.colour) == "dark-blue"


def test_one_of_a_few_is_read_from_text():
    texts = {"colour": "dark-blue", "other": "none"}
    assert parse_options(Painted, texts) == {"colour": Colour.DARK_BLUE, "other": None}


@pytest.mark.parametrize("wrong", ["green", "", 1, None, object()])
def test_what_is_none_of_them_is_refused_with_all_of_them(wrong):
    with pytest.raises(ArgumentError, match=r"must be one of red, dark-blue.*default is 'red'"):
        Painted(wrong)
    if isinstance(wrong, str):
        with pytest.raises(ArgumentError, match="must be one of red, dark-blue"):
            parse_options(Painted, {"colour": wrong})
