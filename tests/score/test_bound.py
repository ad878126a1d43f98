"""Labels and other inputs bound into a network, and rows that leave the batch."""

from __future__ import annotations

import pytest
import torch
from common import normal

from sdeplug.errors import ArgumentError, PairingError
from sdeplug.score import Bound, FromNoise, ScoreModel, error_of, for_rows, sde_of
from sdeplug.sde import VPSDE
from sdeplug.targets import two_modes

X, T = normal(4, 2), torch.linspace(0.2, 0.8, 4, dtype=torch.float64)
LABELS = torch.tensor([3, 1, 4, 1])


def network(x, t, labels, scale=1.0, shift=None):
    """Something that depends on the label of each row."""
    value = scale * labels.reshape(-1, 1) * x + t[:, None]
    return value if shift is None else value + shift


def test_the_network_gets_its_conditions_by_name():
    bound = Bound(network, labels=LABELS, scale=2.0)
    assert torch.equal(bound(X, T), network(X, T, LABELS, 2.0))
    assert isinstance(bound, ScoreModel)
    assert "labels=tensor of shape (4,), scale=2.0" in repr(bound)


def test_some_rows_get_their_own_conditions():
    bound, rows = Bound(network, labels=LABELS, shift=normal(4, 2, seed=1)), torch.tensor([2, 0])
    whole = bound(X, T)
    assert torch.equal(bound.for_rows(rows)(X[rows], T[rows]), whole[rows])
    again = bound.for_rows(rows).for_rows(torch.tensor([1]))
    assert torch.equal(again(X[:1], T[:1]), whole[:1])
    assert torch.equal(bound(X, T), whole)  # it is not changed


def test_a_condition_of_one_row_is_that_of_all():
    seen = []

    def listening(x, t, text, strength, name):
        seen.append((text, strength, name))
        return x

    strength = torch.tensor(7.5)
    bound = Bound(listening, text=normal(1, 5, 6), strength=strength, name="a cat")
    for model, rows in ((bound, 4), (bound.for_rows(torch.tensor([1, 2])), 2)):
        model(X[:rows], T[:rows])
        text, *others = seen.pop()
        assert text.shape == (rows, 5, 6)
        assert others == [strength, "a cat"]


def test_a_condition_may_have_the_name_of_an_argument():
    assert torch.equal(Bound(lambda x, t, network, self: x, network=1, self=2)(X, T), X)


def test_a_label_for_a_network_that_takes_none_is_refused_before_the_run():
    class Plain(torch.nn.Module):
        def forward(self, x, t):
            return x

    for takes_none in (Plain(), lambda x, t: x):
        with pytest.raises(ArgumentError, match=r"condition = 'labels': .* It takes x, t\."):
            Bound(takes_none, labels=LABELS)
    assert torch.equal(Bound(lambda x, t, **rest: x, labels=LABELS)(X, T), X)


def test_numbers_of_rows_that_do_not_fit_are_refused():
    with pytest.raises(ArgumentError, match=r"conditions = \{'labels': 4, 'shift': 3\}"):
        Bound(network, labels=LABELS, shift=normal(3, 2))
    with pytest.raises(ArgumentError, match=r"labels = .*\(4,\).*: must be a tensor of 3 rows"):
        Bound(network, labels=LABELS)(X[:3], T[:3])
    with pytest.raises(PairingError, match=r"The order is Bound\(network, labels=labels\)"):
        Bound(LABELS, labels=network)


def test_it_knows_what_the_network_knows():
    exact = two_modes().score(VPSDE())
    assert sde_of(Bound(exact)) == VPSDE()
    assert error_of(Bound(exact)) == 0.0
    assert sde_of(Bound(network)) is error_of(Bound(network)) is None


def test_a_network_in_other_units_passes_its_rows_on():
    score, rows = FromNoise(Bound(network, labels=LABELS), VPSDE()), torch.tensor([3, 1])
    assert torch.equal(for_rows(score, rows)(X[rows], T[rows]), score(X, T)[rows])
