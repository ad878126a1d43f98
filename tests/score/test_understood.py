"""A network that cannot be asked says so in one sentence, at its first evaluation."""

from __future__ import annotations

import pytest
import torch

from sdeplug import (
    VPSDE,
    FromNoise,
    LogSNR,
    OnGrid,
    PairingError,
    ReverseSDE,
    sample,
    solver,
)
from sdeplug.score import Counted

SDE = VPSDE()
LEVELS = torch.nn.Embedding(1000, 2)


def with_labels(x, t, labels):
    return x


def of_levels(x, t):
    return x + LEVELS(t)


def of_three(x, t):
    return torch.nn.functional.linear(x, torch.eye(3))


def beyond(x, t):
    return x + LEVELS((2000 * torch.ones_like(t)).long())


def in_half(x, t):
    return torch.nn.functional.linear(x, torch.eye(2).half())


def of_a_class(x, t, y=None):
    assert y is not None, "must specify y if and only if the model is class-conditional"


def of_diffusers(x, t, class_labels=None):
    raise ValueError("class_labels should be provided when num_class_embeds > 0")


def without_a_label(x, t, y=None):
    return x + y.float()


def of_one_time(x, t):
    return x if t > 0.5 else -x


def broken(x, t):
    raise RuntimeError("the disk is gone")


def mistaken(x, t):
    return x + None


def forgotten(x, t):
    return x.flattened(1)


@pytest.mark.parametrize("by", [None, OnGrid(solver("ode/heun"), LogSNR(3))], ids=["auto", "heun"])
@pytest.mark.parametrize(
    ("network", "said"),
    [
        (with_labels, "missing 1 required positional argument: 'labels'.*FromNoise\\(Bound"),
        (of_levels, r"in a table, .*LevelLabel\(whole=True\).*scalar types"),
        (of_three, r"x of shape \(2,\): must be of the shape that the network was trained on"),
        (beyond, r"in a table, .*LevelLabel\(whole=True\).*index out of range"),
        (in_half, "dtype of x: must be that of the network. InDtype"),
        (of_a_class, "must specify y .*Labels and other inputs are bound"),
        (of_diffusers, "class_labels should be provided .*Labels and other inputs are bound"),
        (without_a_label, "NoneType.*Labels and other inputs are bound"),
        (of_one_time, r"another time than t in \[0, T\] for each row.*ambiguous"),
    ],
)
def test_what_it_cannot_take_is_told(network, said, by):
    with pytest.raises(PairingError, match=said) as found:
        sample(ReverseSDE(SDE, FromNoise(network, SDE)), (4, 2), by)
    assert found.value.__cause__ is not None


@pytest.mark.parametrize(
    ("network", "error"),
    [(broken, RuntimeError), (mistaken, TypeError), (forgotten, AttributeError)],
)
def test_another_error_stays_as_it_is(network, error):
    with pytest.raises(error) as found:
        sample(ReverseSDE(SDE, FromNoise(network, SDE)), (4, 2))
    assert not isinstance(found.value, PairingError)


def test_a_later_evaluation_is_not_blamed_on_what_it_was_given():
    def late(x, t):
        if counted.nfe > 1:
            raise RuntimeError("wrong shape of a buffer of mine")
        return x

    counted = Counted(late)
    x, t = torch.zeros(2, 1), torch.zeros(2)
    counted(x, t)
    with pytest.raises(RuntimeError, match="of mine") as found:
        counted(x, t)
    assert not isinstance(found.value, PairingError)
