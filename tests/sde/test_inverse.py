"""The time at which the log-SNR has a given value."""

from __future__ import annotations

import pytest
import torch
from common import SDES

from sdeplug.sde import EDMSDE, VPSDE, LinearSDE
from sdeplug.sde.inverse import falling_inverse, tabulated


class Kinked(LinearSDE):
    """A rate of noise that jumps, a flat part of the derivative's, and a pole at T."""

    T, eps = 2.0, 1e-3

    def log_alpha(self, t):
        return torch.log1p(-0.5 * t)

    def sigma(self, t):
        return torch.where(t < 0.7, 0.1 * t, 5.0 * t - 3.43)


class Wrong(Kinked):
    """Its diffusion is not the one that log_alpha and sigma imply."""

    def diffusion(self, t):
        return 1e9 * torch.ones_like(t)


@pytest.mark.parametrize("sde", [*SDES, Kinked(), Wrong(), EDMSDE(T=1e4), VPSDE(T=1e-3)], ids=repr)
def test_the_inverse_of_the_log_snr_is_as_sharp_as_its_rounding(sde):
    """As bisection in long: the wanted value is between those on either side of the answer."""
    t = sde.T * torch.cat(
        (torch.logspace(-12, -1, 400, dtype=torch.float64), torch.linspace(0.1, 1.0, 401)[:-1])
    )
    wanted = sde.log_snr(t)
    found = sde.time_at(wanted.reshape(2, 400)).flatten()
    before, after = (sde.log_snr(found * (1.0 + side)) for side in (-1e-11, 1e-11))
    slack = 1e-14 * wanted.abs().clamp(min=1.0)
    assert bool(((before >= wanted - slack) & (after <= wanted + slack)).all())


def test_the_inverse_takes_few_calls_of_the_schedule():
    sde, count = VPSDE(), 0

    def counted(t):
        nonlocal count
        count += 1
        return sde.log_snr(t)

    def slope(t):
        return -(sde.diffusion(t) / sde.sigma(t)).square()

    table = tabulated(counted, 1.0)
    assert count == 1
    wanted = torch.linspace(-9.0, 9.0, 500, dtype=torch.float64)
    falling_inverse(counted, slope, wanted, 1.0, table)
    assert count <= 6
