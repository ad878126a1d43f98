"""The trainer: what it does, to the last bit, and what it refuses."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from training.nets import Net, by_hand, same

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
    Labels,
    LossBar,
    Pictures,
    Trainer,
    WarmUp,
)  # fmt: skip

pytest.importorskip("accelerate")

LOSS = DenoisingLoss(VPSDE())
DATA = 0.5 * torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
CLASSES = torch.arange(50) % 3
QUICK = Trainer(LOSS, ema=(0.9,), batch=16, rate=WarmUp(3))


def test_it_does_what_one_writes_by_hand():
    """Order, warm-up, clipping, optimiser, average: bit for bit, over three passes of the data."""
    trained = QUICK.fit(Net(), DATA, 10)
    network, average = by_hand(QUICK, Net(), DATA, 10)
    assert same(trained.network, network)
    assert same(trained.average, average)
    assert not same(trained.average, trained.network)


def test_a_trained_network_is_better():
    trainer = Trainer(LOSS, torch.optim.Adam, ema=(0.9,), rate=WarmUp(0))
    held_out = 0.5 * torch.randn(500, 2, generator=torch.Generator().manual_seed(1))
    trained = trainer.fit(Net(), DATA, 100, held_out=held_out, journal=Journal(every=50))
    first, last = trained.history
    assert (first.step, last.step) == (50, 100)
    assert last.held_out < 0.9 * float(LOSS(Net(), held_out, SharedNoise(5)).detach().mean())


def test_the_held_out_loss_is_that_of_the_average_with_the_same_numbers_every_time():
    trained = QUICK.fit(Net(dropout=0.5), DATA, 4, held_out=DATA, journal=Journal(every=2))
    with torch.no_grad():
        noise = SharedNoise(QUICK.seed).stream("held out")
        rows = torch.cat([LOSS(trained.average, part, noise) for part in DATA.split(16)])
    assert trained.history[-1].held_out == float(rows.double().mean())
    assert trained.history[0].held_out != trained.history[1].held_out


def test_several_averages_and_none():
    trained = Trainer(LOSS, ema=(0.0, 0.5), batch=16, rate=WarmUp(0)).fit(Net(), DATA, 20)
    assert same(trained.averages[0], trained.network)  # without memory
    assert not same(trained.averages[1], trained.network)
    alone = Trainer(LOSS, ema=(), batch=16).fit(Net(), DATA, 2)
    assert alone.average is alone.network
    assert not any(each.requires_grad for each in trained.average.parameters())


def test_buffers_of_an_average_are_those_of_the_network():
    network = nn.Sequential(nn.BatchNorm1d(2))
    network.forward = lambda x, t: network[0](x)
    trained = QUICK.fit(network, DATA, 5)
    assert torch.equal(trained.average[0].running_mean, trained.network[0].running_mean)


# Data.


def loader(labels: bool = False) -> DataLoader:
    parts = (DATA, CLASSES) if labels else (DATA,)
    return DataLoader(TensorDataset(*parts), batch_size=16, shuffle=True)


FORMS = {
    "array": DATA.numpy(),
    "a tuple of one": (DATA,),
    "labels": (DATA, CLASSES),
    "loader": loader(),
    "loader with labels": loader(True),
    "list": [*DATA.split(16)],
    "list of pairs": [*zip(DATA.split(16), CLASSES.split(16), strict=True)],
}


@pytest.mark.parametrize("data", FORMS.values(), ids=FORMS)
def test_any_form_of_data_trains(data):
    trained = QUICK.fit(Net(), data, 6)
    assert not same(trained.network, Net())
    assert same(trained.network, QUICK.fit(Net(), data, 6).network)


def test_an_array_is_the_tensor_that_it_is():
    assert same(QUICK.fit(Net(), DATA.numpy(), 4).network, QUICK.fit(Net(), DATA, 4).network)


def test_labels_are_bound_and_dropped():
    seen = []

    class Watched(Net):
        def forward(self, x, t, classes):
            seen.append(classes)
            return super().forward(x, t, classes)

    given = Labels("classes", drop=0.5, null=3)
    Trainer(LOSS, batch=50, ema=(), labels=given).fit(Watched(), (DATA, CLASSES), 20)
    found = torch.stack(seen)
    share = float((found == 3).double().mean())
    assert abs(share - 0.5) < 5 * 0.5 / math.sqrt(found.numel())  # false alarm 6e-7
    assert not torch.equal(found[0] == 3, found[1] == 3)
    kept = [sorted(row[row < 3].tolist()) for row in found]
    assert all(row.count(0) <= 17 and row.count(2) <= 16 for row in kept)


def test_every_pass_sees_every_row_once():
    """Also where a batch ends one pass and begins the next."""
    seen = []

    def loss(network, x0, noise):
        seen.append(x0[:, 0])
        return network(x0, x0[:, 0]).square().sum(1)

    Trainer(loss, batch=16, ema=()).fit(Net(), DATA, 25)
    rows = torch.cat(seen).reshape(8, 50)
    assert all(torch.equal(row.sort().values, DATA[:, 0].sort().values) for row in rows)
    assert len({tuple(row.tolist()) for row in rows}) == 8


def test_the_seed_decides():
    first, again, other = (
        Trainer(LOSS, batch=16, seed=seed).fit(Net(dropout=0.3), DATA, 3).network
        for seed in (0, 0, 1)
    )
    assert same(first, again)
    assert not same(first, other)


def test_the_process_is_left_as_it_was():
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    network = Net().eval()
    QUICK.fit(network, loader(), 2)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not network.training
    assert "forward" not in vars(network)


def test_half_precision_is_accelerates():
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(True)
    seen = []
    try:
        network = Net()
        network.inner.register_forward_hook(lambda module, args, out: seen.append(out.dtype))
        accelerator = Accelerator(mixed_precision="bf16", cpu=True)
        for steps in (3, 2):  # a second time as the first
            trained = QUICK.fit(network, DATA, steps, accelerator=accelerator)
            assert set(seen) == {torch.bfloat16}
            seen.clear()
    finally:
        AcceleratorState._reset_state(True)
    assert not same(trained.network, Net())
    assert {each.dtype for each in trained.network.parameters()} == {torch.float32}
    trained.network(DATA, DATA[:, 0])
    assert seen == [torch.float32]


# Who looks on.


class Watch:
    def __init__(self):
        self.moments, self.over = [], 0

    def __call__(self, moment):
        self.moments.append(moment)
        assert not moment.network.training

    def ended(self):
        self.over += 1


def test_observers_see_every_look_and_the_end():
    watch = Watch()
    trained = QUICK.fit(Net(), DATA, 5, journal=Journal(every=2, observers=(watch,)))
    assert [each.mark for each in watch.moments] == list(trained.history)
    assert [each.mark.step for each in watch.moments] == [2, 4, 5]
    assert watch.moments[0].network is trained.average
    assert (watch.moments[0].steps, watch.over) == (5, 1)


def test_the_loss_that_is_shown_is_the_mean_since_the_last_look():
    rows = []

    def loss(network, x0, noise):
        rows.append(LOSS(network, x0, noise))
        return rows[-1]

    trained = Trainer(loss, batch=16, ema=()).fit(Net(), DATA, 5, journal=Journal(every=2))
    means = [float(each.detach().mean()) for each in rows]
    wanted = [(means[0] + means[1]) / 2, (means[2] + means[3]) / 2, means[4]]
    assert np.allclose([mark.loss for mark in trained.history], wanted, rtol=1e-6)


def test_pictures_are_written_on_the_way(tmp_path):
    pytest.importorskip("matplotlib")
    pictures = Pictures(tmp_path / "seen", lambda network: network(DATA, DATA[:, 0]), every=4)
    QUICK.fit(Net(), DATA, 10, journal=Journal(every=2, observers=(pictures,)))
    names = sorted(each.name for each in (tmp_path / "seen").iterdir())
    assert names == ["samples-000004.png", "samples-000008.png", "samples-000010.png"]


def test_the_bar_shows_its_title_and_both_losses(capsys):
    with LossBar("[mine] {of}") as bar:
        QUICK.fit(Net(), DATA, 4, DATA, Journal(every=2, observers=(bar,)))
    shown = capsys.readouterr().err
    assert "[mine] {of}" in shown
    assert "4/4" in shown
    assert "held out" in shown


# What goes wrong.


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
