from __future__ import annotations

import inspect
import pickle

import pytest
import torch

from sdeplug import errors
from sdeplug.errors import ArgumentError, NonFiniteError, SdeplugError, argument_type

ALL = [
    cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, Exception) and cls.__module__.startswith(errors.__name__)
]


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_an_error_is_ours_and_also_a_builtin(cls):
    if issubclass(cls, UserWarning) or cls is SdeplugError:
        return
    assert issubclass(cls, SdeplugError)
    builtin = (ValueError, TypeError, ArithmeticError, RuntimeError, ImportError, OSError)
    assert any(issubclass(cls, each) for each in builtin)


def test_an_argument_error_says_all():
    error = ArgumentError("snr", -1.0, "above 0", "The default is 0.16.")
    assert str(error) == "snr = -1.0: must be above 0. The default is 0.16."
    assert str(ArgumentError("snr", -1.0, "above 0")) == "snr = -1.0: must be above 0."
    with pytest.raises(ArgumentError, match=r"name = 3: must be a str, not int\."):
        argument_type("name", 3, "a str")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))]), "Adam(...)"),
        (tuple(range(1000)), "tuple(...)"),
        ("word " * 200, repr("word " * 200)),
    ],
)
def test_a_value_that_is_a_wall_is_shown_as_its_class(value, shown):
    assert str(ArgumentError("it", value, "another")) == f"it = {shown}: must be another."


def test_errors_pickle_whole():
    error = pickle.loads(pickle.dumps(ArgumentError("a", (1, 2), "less", "Try 1.")))
    assert (error.argument, error.value, error.allowed, error.hint) == (
        "a",
        (1, 2),
        "less",
        "Try 1.",
    )
    last = torch.arange(6.0).reshape(2, 3)
    lost = NonFiniteError("row 1", t=0.5, row=1, last=last, last_t=0.6, solver="em", leg=2)
    found = pickle.loads(pickle.dumps(lost))
    assert type(found) is NonFiniteError
    assert str(found) == "row 1"
    assert torch.equal(found.last, last)
    assert (found.t, found.row, found.last_t, found.solver, found.leg) == (0.5, 1, 0.6, "em", 2)
