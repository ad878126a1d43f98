"""Labels reach the network, and some of them do not."""

from __future__ import annotations

import pytest
import torch
from training.quadrature import Scripted

from sdeplug import ArgumentError, SharedNoise
from sdeplug.training import Labels

X, T = torch.zeros(4, 2), torch.zeros(4)


def test_labels_arrive_under_their_name():
    bound = Labels("classes").bind(lambda x, t, classes: classes, torch.arange(4), SharedNoise(0))
    assert bound(X, T).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("labels", [torch.arange(4), torch.arange(4)[:, None].expand(4, 3)])
def test_a_row_is_dropped_where_its_number_is_below_the_share(labels):
    u = torch.tensor([0.19, 0.21, 0.9, 0.0], dtype=torch.float64)
    given = Labels(drop=0.2, null=10)
    bound = given.bind(lambda x, t, labels: labels, labels, Scripted(torch.special.ndtri(u)))
    wanted = torch.where((u < 0.2).reshape(-1, *[1] * (labels.ndim - 1)), 10, labels)
    assert torch.equal(bound(X, T), wanted)


def test_nothing_is_drawn_where_nothing_is_dropped():
    Labels(null=10).bind(lambda x, t, labels: labels, torch.arange(4), Scripted())


def test_all_may_be_dropped():
    bound = Labels(drop=1.0, null=3).bind(
        lambda x, t, labels: labels, torch.arange(4), SharedNoise(0)
    )
    assert bound(X, T).tolist() == [3, 3, 3, 3]


def test_dropping_needs_something_in_the_place():
    with pytest.raises(ArgumentError, match="null = None: must be given where labels are dropped"):
        Labels(drop=0.1)
    with pytest.raises(ArgumentError, match="drop"):
        Labels(drop=1.5, null=0)
