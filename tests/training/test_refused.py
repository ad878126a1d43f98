"""The trainer: what goes wrong is told."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from training.nets import Net, same
from training.quick import CLASSES, DATA, LOSS, QUICK, Watch

from sdeplug import (
    EDMSDE,
    VESDE,
    VPSDE,
    ArgumentError,
    FromNoise,
    PairingError,
    SharedNoise,
    TrainingError,
)  # fmt: skip
from sdeplug.training import (
    DenoisingLoss,
    Journal,
    Trainer,
    WarmUp,
)  # fmt: skip

pytest.importorskip("accelerate")


def broken(at: int, what: str):
    """A loss that is no number from some step on: in its value, or in its gradient alone."""
    calls = []

    def loss(network, x0, noise):
        calls.append(x0)
        rows = LOSS(network, x0, noise)
        if len(calls) <= at:
            return rows
        if what == "value":
            return torch.where(torch.arange(len(rows)) == 5, torch.nan, rows)
        return (
            rows + 0.0 * (network.inner[0].bias - network.inner[0].bias.detach()).abs().sqrt().sum()
        )

    return loss


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("value", "step 3: the loss of 1 of 16 rows is not finite, the first 5"),
        ("gradient", "step 3: the gradient of inner.0.bias is not finite"),
    ],
)
def test_what_is_no_number_is_named_at_once_and_what_was_trained_is_kept(what, message):
    watch = Watch()
    trainer = Trainer(broken(3, what), ema=(0.9,), batch=16, rate=WarmUp(3))
    with pytest.raises(TrainingError, match=message) as caught:
        trainer.fit(Net(), DATA, 10, journal=Journal(observers=(watch,)))
    trained = QUICK.fit(Net(), DATA, 3)
    assert caught.value.step == 3
    assert same(caught.value.trained.network, trained.network)
    assert same(caught.value.trained.average, trained.average)
    assert watch.over == 1


def test_data_that_go_bad_on_the_way_are_named():
    bad = DATA[:16].clone()
    bad[3, 0] = math.nan
    with pytest.raises(TrainingError, match=r"step 1: .* the first 3, whose data are not finite"):
        QUICK.fit(Net(), [DATA[:16], bad], 5)


NAN = torch.where(torch.arange(50)[:, None] == 7, torch.nan, DATA)
REFUSED = {
    "nan": (NAN, ArgumentError, "data = 'with a number that is not finite in 1 rows"),
    "infinite": (NAN.nan_to_num(nan=math.inf), ArgumentError, "not finite"),
    "whole": (DATA.long(), ArgumentError, r"data\.float\(\) / 127.5 - 1"),
    "bytes": (np.zeros((9, 1, 8, 8), np.uint8), ArgumentError, "of dtype torch.uint8"),
    "empty": (torch.zeros(0, 2), ArgumentError, "at least one row"),
    "a number": (torch.zeros(()), ArgumentError, "at least one row"),
    "large": (255.0 * torch.rand(9, 2), ArgumentError, r"size 1.*would not hide them.*/ 127.5"),
    "empty loader": ([], ArgumentError, "it gave 0 in all"),
    "generator": (iter([DATA[:4], DATA[4:8]]), ArgumentError, "it gave 2 in all.*no generator"),
    "dictionary": ([{"image": DATA}], ArgumentError, "dict.*x0, or .x0, labels"),
    "a mapping": ({"x": DATA}, ArgumentError, "a tensor, .data, labels., or a loader"),
    "nothing": (None, ArgumentError, "a tensor, .data, labels., or a loader"),
    "labels too few": ((DATA, CLASSES[:4]), ArgumentError, "as many labels as rows"),
    "rank": (DATA[:, 0], PairingError, r"first batch, of shape \(16,\).*vectors .B, D"),
    "width": (torch.zeros(9, 5), PairingError, r"first batch, of shape \(16, 5\)"),
    "labels out of range": ((DATA, CLASSES + 9), PairingError, r"labels of shape \(16,\)"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_data_that_cannot_be_trained_on_are_refused(data, error, message):
    network = Net()
    with pytest.raises(error, match=message):
        QUICK.fit(network, data, 4)
    assert network.training


@pytest.mark.parametrize("sde", [VPSDE(), VESDE(), EDMSDE()], ids=repr)
def test_data_of_a_usual_size_are_taken(sde):
    data = torch.rand(16, 2) * 2 - 1
    Trainer(DenoisingLoss(sde), ema=(), batch=8).fit(Net(), data, 1)


def test_held_out_data_are_checked_too():
    with pytest.raises(ArgumentError, match="held_out = 'with a number that is not finite"):
        QUICK.fit(Net(), DATA, 4, held_out=NAN)
    for wrong in (3, "data.npz", [3.0]):
        with pytest.raises(ArgumentError, match=r"held_out = .*must be .*batches"):
            QUICK.fit(Net(), DATA, 1, held_out=wrong)
    with pytest.raises(ArgumentError, match="held_out"):
        QUICK.fit(Net(), DATA, 4, held_out=[])


def test_data_of_numpy_are_in_float64():
    """And a network in float32 trains on them, as on the same numbers."""
    wide, narrow = (QUICK.fit(Net(), each, 2).network for each in (DATA.double(), DATA))
    assert same(wide, narrow)
    trained = QUICK.fit(Net().double(), DATA.double().numpy(), np.int64(2))
    assert trained.network.inner[0].weight.dtype == torch.float64


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"optimiser": torch.optim.Adam([torch.zeros(1)])},
            r"optimiser = Adam\(\.\.\.\): .*partial",
        ),
        ({"optimiser": lambda parameters: None}, "which returned None.*what makes an optimiser"),
        ({"rate": 1e-3}, "rate = 0.001: .*belongs to the optimiser"),
        ({"rate": lambda step: None}, "which returned None.*what makes a number"),
        ({"loss": DenoisingLoss}, r"loss = <class.*DenoisingLoss\(VPSDE\(\)\) is one"),
        ({"ema": 1.0}, r"ema = \(1\.0,\)"),
    ],
)
def test_what_does_not_fit_in_a_trainer_is_told(options, message):
    with pytest.raises(ArgumentError, match=message):
        replace(QUICK, **options).fit(Net(), DATA, 1)


def test_one_decay_is_one_average():
    assert replace(QUICK, ema=0.9).ema == (0.9,)


def test_what_is_no_network_or_loss_is_refused():
    with pytest.raises(PairingError, match=r"must be a torch\.nn.Module.*no FromNoise around"):
        QUICK.fit(FromNoise(Net(), VPSDE()), DATA, 4)
    with pytest.raises(PairingError, match="parameters that can be trained"):
        QUICK.fit(Net().requires_grad_(False), DATA, 4)
    with pytest.raises(PairingError, match=r"a number for each of the 16 rows, and returned \(\)"):
        Trainer(lambda *a: LOSS(*a).mean(), batch=16).fit(Net(), DATA, 4)
    with pytest.raises(ArgumentError, match="steps = 0"):
        QUICK.fit(Net(), DATA, 0)
    with pytest.raises(ArgumentError, match="journal = 'run'"):
        QUICK.fit(Net(), DATA, 4, journal="run")
    with pytest.raises(ArgumentError, match="accelerator = 'cuda'"):
        QUICK.fit(Net(), DATA, 1, accelerator="cuda")
    with pytest.raises(PairingError, match=r"noise = 0: must be a NoiseSource.*loss\(network, x0"):
        LOSS(Net(), DATA, 0)
    with pytest.raises(PairingError, match="network = None"):
        LOSS(None, DATA, SharedNoise(0))
    with pytest.raises(ArgumentError, match="ema"):
        Trainer(LOSS, ema=(1.0,))
