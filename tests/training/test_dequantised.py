"""Whole numbers with uniform noise, and a learning rate that falls to 0."""

from __future__ import annotations

import math

import pytest
import torch
from common import normal

from sdeplug import VPSDE, ArgumentError, SharedNoise
from sdeplug.training import Cosine, DenoisingLoss, Dequantised

LEVEL = 0.25


def seen(rows: int = 4000) -> torch.Tensor:
    """What the loss inside is given in the place of zeros, in levels."""
    given = []

    def loss(network, x0, noise):
        given.append(x0)
        return x0.sum(1)

    Dequantised(loss, LEVEL)(None, torch.zeros(rows, 2), SharedNoise(3))
    return given[0].double() / LEVEL


def test_the_noise_is_uniform_on_one_level_around_the_number():
    u = seen() + 0.5
    assert 0.0 <= float(u.min()) < 0.01
    assert 0.99 < float(u.max()) <= 1.0
    wanted = torch.arange(1, u.numel() + 1, dtype=torch.float64) / u.numel()
    gap = float((u.flatten().sort().values - wanted).abs().max())
    assert gap < 2.0 / math.sqrt(u.numel())  # Kolmogorov-Smirnov, rate 7e-4


def test_every_number_has_noise_of_its_own():
    u = seen()
    assert abs(float(torch.corrcoef(u.T)[0, 1])) < 5.0 / math.sqrt(len(u))


def test_it_is_the_loss_of_the_moved_data():
    loss, x0 = DenoisingLoss(VPSDE()), normal(8, 3)
    network = lambda x, t: 0.1 * x  # noqa: E731
    mine = Dequantised(loss, LEVEL)(network, x0, SharedNoise(0))
    noise = SharedNoise(0)
    moved = x0 + LEVEL * (torch.special.ndtr(noise.normal(x0)) - 0.5)
    torch.testing.assert_close(mine, loss(network, moved, noise))
    assert Dequantised(loss, LEVEL).sde == VPSDE()


def test_a_level_is_above_0():
    with pytest.raises(ArgumentError, match="level"):
        Dequantised(DenoisingLoss(VPSDE()), 0.0)


def test_the_rate_rises_and_falls_to_0_along_a_cosine():
    rate = Cosine(steps=100, warm_up=10)
    assert rate(4) == pytest.approx(0.5 * 0.5 * (1.0 + math.cos(0.04 * math.pi)))
    assert rate(50) == pytest.approx(0.5)
    assert rate(100) == rate(101) == pytest.approx(0.0)
    assert Cosine(steps=100, warm_up=0)(0) == 1.0
