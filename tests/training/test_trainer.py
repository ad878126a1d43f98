"""The trainer: what it does, to the last bit, and what it refuses."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from training.nets import Net, by_hand, same
from training.quick import CLASSES, DATA, LOSS, QUICK

from sdeplug import (
    SharedNoise,
)  # fmt: skip
from sdeplug.training import (
    Journal,
    Labels,
    Trainer,
    WarmUp,
)  # fmt: skip

pytest.importorskip("accelerate")


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
