"""Drawn SDEs are sound, each another, and like none of the schedules of the field."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import sdeplug as sp
from sdeplug.testing.drawn import DrawnSDE, unusual


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.01, 100.0), st.floats(0.0, 0.5))
def test_every_seed_is_a_sound_sde(seed, T, fraction):
    sde = DrawnSDE(seed, T, fraction * T)
    sde.validate()  # the slopes are those of the functions; the log-SNR falls
    assert sde.at(0.0).alpha == pytest.approx(1.0)
    assert sde.at(T).log_snr < -4.9
    assert 6.9 < sde.at(0.0).log_snr < 10.1


def test_seeds_differ_and_one_seed_does_not():
    t = torch.tensor([0.3], dtype=torch.float64)
    seen = {(float(sde.alpha(t)), float(sde.sigma(t))) for sde in map(DrawnSDE, range(20))}
    assert len(seen) == 20
    assert DrawnSDE(3).sigma(t) == DrawnSDE(3).sigma(t)


def test_time_is_in_units_of_T():
    one, other = DrawnSDE(5, 1.0), DrawnSDE(5, 7.0)
    near, far = one.at(0.25), other.at(1.75)
    assert near.alpha == pytest.approx(far.alpha)
    assert near.log_snr == pytest.approx(far.log_snr)
    assert near.drift_rate == pytest.approx(7.0 * far.drift_rate)
    assert near.diffusion**2 == pytest.approx(7.0 * far.diffusion**2)


def test_unusual_sdes_have_no_default_and_no_common_end():
    for sde in unusual():
        sde.validate()
        assert type(sde)() != sde
    assert {type(sde) for sde in unusual()} >= {sp.VPSDE, sp.VESDE, sp.SubVPSDE, sp.EDMSDE}
    assert sum(isinstance(sde, DrawnSDE) for sde in unusual()) >= 3
