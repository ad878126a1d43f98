"""Class labels, from training to samples of a network that was saved; and wrong ones."""

from __future__ import annotations

import pytest
import torch
from common import normal

from sdeplug import (
    VPSDE,
    ArgumentError,
    Bound,
    FromNoise,
    Labelled,
    Leg,
    LogSNR,
    LogSNRLabel,
    OnGrid,
    Pipeline,
    ReverseSDE,
    networks,
    solver,
)
from sdeplug.training import DenoisingLoss, Labels, Trainer, WarmUp

SDE, NONE = VPSDE(), 3
X, CLASSES = normal(6, 1, 8, 8).float(), torch.arange(6) % 3
SOLVERS = {
    "grid": OnGrid(solver("ode/heun"), LogSNR(3)),
    "rows that leave": solver("adaptive/row-dopri5", rtol=0.1, atol=0.1),
}


def network():
    torch.manual_seed(0)
    return Labelled(networks.SmallUNet(1, width=8, classes=3), SDE, LogSNRLabel())


def drawn(of, labels, by):
    score = FromNoise(Bound(of, labels=labels), SDE)
    return Pipeline(ReverseSDE(SDE, score), Leg(0.6, by)).sample((4, 1, 8, 8)).x


@pytest.fixture(scope="module")
def trained():
    """Trained with a third of the labels dropped, so that it knows images without one, too."""
    trainer = Trainer(
        DenoisingLoss(SDE), labels=Labels(drop=0.3, null=NONE), batch=12, ema=(0.5,),
        rate=WarmUp(0),
    )  # fmt: skip
    before = network().network.embedding.classes.weight
    done = trainer.fit(network(), (X, CLASSES), steps=4).average
    moved = (done.network.embedding.classes.weight != before).any(1)
    assert moved.all(), "a label, or that of none, was never seen"
    return done


@pytest.mark.parametrize("by", SOLVERS.values(), ids=SOLVERS)
def test_labels_reach_the_network_from_training_to_a_saved_sampler(trained, by, tmp_path):
    networks.save(tmp_path, trained, SDE, FromNoise)
    model = networks.load(tmp_path)
    labels = torch.tensor([0, 1, NONE, 2])
    found = drawn(model.network, labels, by)
    assert torch.equal(found, drawn(trained, labels, by))
    assert torch.equal(found, drawn(trained, labels.to(torch.uint8), by))
    other = drawn(trained, torch.tensor([0, 1, NONE, 1]), by)
    assert [torch.equal(a, b) for a, b in zip(found, other, strict=True)] == [True] * 3 + [False]


def test_one_number_is_for_all_rows_and_none_is_no_class(trained):
    t = torch.full((6,), 0.5)
    twos = trained(X, t, labels=torch.full((6,), 2))
    assert torch.equal(trained(X, t, labels=2), twos)
    assert torch.equal(Bound(trained, labels=torch.tensor(2))(X, t), twos)
    assert torch.equal(trained(X, t), trained(X, t, labels=NONE))
    assert not torch.equal(trained(X, t), twos)


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (torch.tensor([0, 1, 4, 0, 0, 0]), "with 4"),
        (-1, "with -1"),
        (torch.zeros(6), r"of shape \(6,\), torch.float32"),
        (torch.zeros(6, 3, dtype=torch.int64), r"of shape \(6, 3\).*one_hot.argmax\(1\) are"),
        (torch.zeros(2, dtype=torch.int64), r"of shape \(2,\)"),
        ([0, 1, 2, 0, 1, 2], r"of type list.*torch.tensor\(labels\)"),
    ],
)
def test_labels_that_are_no_classes_are_refused(labels, told):
    with pytest.raises(ArgumentError, match=rf"labels = '{told}.*") as caught:
        network()(X, torch.full((6,), 0.5), labels=labels)
    assert "whole numbers from 0 to 3, one for each row or one for all; 3: no class" in str(
        caught.value
    )


def test_wrong_labels_of_data_say_which_number():
    wrong = (X, CLASSES + 2)
    with pytest.raises(ArgumentError, match="labels = 'with 4'"):
        Trainer(DenoisingLoss(SDE), batch=6).fit(network(), wrong, steps=1)
