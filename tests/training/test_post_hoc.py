"""Averages whose length is chosen when the training is over."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn
from training.nets import Net, same

from sdeplug import VPSDE, ArgumentError
from sdeplug.training import DenoisingLoss, Journal, PostHoc, Trainer, WarmUp, post_hoc_average
from sdeplug.training.averages import WIDEST, Averages, Power, exponent
from sdeplug.training.post_hoc import Profile, combination, forget, snapshots

pytest.importorskip("accelerate")
pytest.importorskip("safetensors")

DATA = 0.5 * torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
TRAINER = Trainer(
    DenoisingLoss(VPSDE()), partial(torch.optim.Adam, lr=0.02), ema=(0.5,), batch=16, rate=WarmUp(0)
)


@pytest.mark.parametrize("width", [0.02, 0.1, 0.25])
def test_the_width_is_the_deviation_of_the_steps_that_count(width):
    """By the mean and the variance of the density (g + 1) u^g on [0, 1]."""
    g = exponent(width)
    mean, square = (g + 1) / (g + 2), (g + 1) / (g + 3)
    assert math.sqrt(square - mean**2) == pytest.approx(width, rel=1e-9)


def test_an_average_is_the_sum_over_all_steps():
    network = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    averages = Averages(network, (Power(0.1),))
    path = torch.randn(30, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for step, value in enumerate(path):
        nn.init.constant_(network.weight, float(value))
        averages.update(step)
    edges = torch.linspace(0.0, 1.0, 31, dtype=torch.float64) ** (exponent(0.1) + 1.0)
    assert float(averages.networks[0].weight) == pytest.approx(
        float((edges.diff() * path).sum()), rel=1e-12
    )


def test_a_combination_is_the_nearest():
    """Its density against that of the wanted average, on a fine grid of steps."""
    kept = [Profile(step, width) for step in (20, 40, 60, 80) for width in (0.05, 0.1)]
    grid = (torch.arange(40_000, dtype=torch.float64) + 0.5) / 500

    def density(profile):
        g, n = exponent(profile.width), profile.step
        return torch.where(grid < n, (g + 1) * (grid / n) ** g / n, 0.0)

    columns = torch.stack([density(each) for each in kept], 1)
    for width in (0.07, 0.15):
        wanted = density(Profile(80, width))
        best = torch.linalg.lstsq(columns, wanted[:, None]).solution[:, 0]
        found = combination(kept, Profile(80, width))
        assert torch.allclose(found, best / best.sum(), atol=2e-3)
    for number, profile in enumerate(kept[-2:]):
        assert combination(kept, profile)[-2 + number] == pytest.approx(1.0, abs=1e-9)


def test_a_width_that_is_chosen_later_is_the_one_that_was_followed(tmp_path):
    """In a training that follows three, from the other two."""
    post_hoc = PostHoc(widths=(0.05, 0.07, 0.1), every=5)
    trainer = replace(TRAINER, post_hoc=post_hoc)
    trained = trainer.fit(Net(), DATA, 62, journal=Journal(tmp_path))
    assert len(trained.averages) == 1
    files = snapshots(tmp_path)
    assert {each.step for each in files} == {*range(5, 61, 5), 62}
    followed = {step: post_hoc_average(Net(seed=3), tmp_path, 0.07, step) for step in (40, 62)}
    for profile, path in files.items():
        if profile.width == 0.07:
            path.unlink()
    for step, wanted in followed.items():
        found = post_hoc_average(Net(), tmp_path, 0.07, step)
        moved = _flat(wanted) - _flat(Net())
        assert float((_flat(found) - _flat(wanted)).norm() / moved.norm()) < 3e-3
    assert not same(followed[40], followed[62])
    assert not any(each.requires_grad for each in found.parameters())
    assert not found.training


def _flat(network):
    return torch.cat([each.detach().flatten() for each in network.inner.parameters()])


def test_a_training_that_goes_on_writes_the_same_snapshots(tmp_path):
    """Those that were written after its checkpoint are another's, and are forgotten."""
    trainer = replace(TRAINER, post_hoc=PostHoc(every=3))
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    trainer.fit(Net(), DATA, 10, journal=Journal(whole, every=2))
    trainer.fit(Net(), DATA, 6, journal=Journal(cut, every=2))
    Profile(8, 0.05).path(cut / "snapshots").write_bytes(b"of another training")
    trainer.fit(Net(seed=5), DATA, 10, journal=Journal(cut, every=2))
    one, two = snapshots(whole), snapshots(cut)
    assert list(one) == list(two)
    assert {each.step for each in one} == {3, 6, 9, 10}
    assert all(one[each].read_bytes() == two[each].read_bytes() for each in one)
    forget(whole, 6)
    assert {each.step for each in snapshots(whole)} == {3, 6}
    with pytest.raises(ArgumentError, match=r"post_hoc = None.*There it was PostHoc"):
        TRAINER.fit(Net(), DATA, 12, journal=Journal(cut))


def test_buffers_are_those_of_the_step(tmp_path):
    network = nn.Sequential(nn.BatchNorm1d(2))
    network.forward = lambda x, t: network[0](x)
    trainer = replace(TRAINER, post_hoc=PostHoc(every=2))
    trainer.fit(network, DATA, 4, journal=Journal(tmp_path))
    found = post_hoc_average(network, tmp_path, 0.1)
    assert torch.equal(found[0].running_mean, network[0].running_mean)
    early = post_hoc_average(network, tmp_path, 0.1, 2)
    assert int(early[0].num_batches_tracked) == 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("kept")
    trainer = replace(TRAINER, post_hoc=PostHoc(every=2))
    trainer.fit(Net(), DATA, 4, journal=Journal(made))
    return made


@pytest.mark.parametrize(
    ("network", "width", "step", "message"),
    [
        (Net(), 0.3, None, r"width = 0\.3: must be a number in \(0, 0\.2887\)"),
        (Net(), "0.1", None, "width = '0.1'"),
        (Net(), 0.01, None, r"width = 0\.01: .*4 averages.*The nearest is \d+% off: take a wider"),
        (Net(), 0.1, 3, "step = 3: must be one of 2, 4"),
        (Net(3), 0.1, None, r"classes\.weight has shape \(4, 2\) and not \(4, 3\)"),
        (3, 0.1, None, "network = 3: must be a torch.nn.Module"),
    ],
)
def test_what_cannot_be_made_is_told(folder, network, width, step, message):
    with pytest.raises(ArgumentError, match=message):
        post_hoc_average(network, folder, width, step)


def test_a_folder_without_snapshots_and_a_damaged_one_are_told(folder, tmp_path):
    with pytest.raises(ArgumentError, match=r"folder = .*post_hoc=PostHoc\(\)"):
        post_hoc_average(Net(), tmp_path, 0.1)
    Profile(4, 0.1).path(folder / "snapshots").write_bytes(b"cut")
    with pytest.raises(ArgumentError, match=r"00000004-0\.1\.safetensors.*It is damaged"):
        post_hoc_average(Net(), folder, 0.1)
    for widths in ((0.0,), (WIDEST,)):
        with pytest.raises(ArgumentError, match="widths"):
            PostHoc(widths=widths)
    with pytest.raises(ArgumentError, match=r"journal = .*one with a folder"):
        replace(TRAINER, post_hoc=PostHoc()).fit(Net(), DATA, 1)
