"""Schedules that are not sound, and SDEs that are not linear."""

from __future__ import annotations

import math

import pytest
import torch
from common import SDES, Cubic, GaussianScore, normal
from sde.schedules import CLOSED, Linear

from sdeplug import (
    Denoise,
    Leg,
    LogSNR,
    OnGrid,
    PairingError,
    Pipeline,
    ReverseSDE,
    Run,
    SharedNoise,
    Uniform,
    solver,
)
from sdeplug.errors import ArgumentError
from sdeplug.sde import EDMSDE, VESDE, VPSDE, CosineVPSDE, LinearSDE, SubVPSDE


def changed(**members: object) -> LinearSDE:
    cls = type("Changed", (Linear,), {k: (lambda self, t, f=f: f(t)) for k, f in members.items()})
    return cls()


@pytest.mark.parametrize(
    ("sde", "message"),
    [
        (changed(sigma=lambda t: 2 - t), "falling log-SNR"),
        (changed(sigma=lambda t: 0.1 + 0 * t, log_alpha=lambda t: 0 * t), "falling log-SNR"),
        (changed(sigma=lambda t: (0.5 - t).sqrt()), "finite"),
        (changed(log_alpha=lambda t: -1 / (t - 1)), "finite"),
        (changed(sigma=lambda t: -t), "positive alpha and sigma"),
        (changed(sigma=lambda t: t - 0.001), "positive alpha and sigma"),
        (changed(log_alpha=lambda t: -1e4 * t), "positive alpha and sigma"),
        (changed(diffusion=lambda t: 1 + t), "diffusion"),
        (changed(drift_rate=lambda t: -t), "drift_rate"),
    ],
)
def test_unsound_schedules_are_refused_when_the_reverse_sde_is_built(sde, message):
    for _ in range(2):  # and not only the first time
        with pytest.raises(ArgumentError, match=message):
            ReverseSDE(sde, lambda x, t: -x)


@pytest.mark.parametrize(
    "make",
    [
        lambda: VESDE(sigma_min=1.0, sigma_max=1.0),
        lambda: VESDE(sigma_min=0.0),
        lambda: CosineVPSDE(T=1.0),
        lambda: VPSDE(beta_max=0.0),
        lambda: VPSDE(beta_min=-0.1),
        lambda: EDMSDE(T=0.0),
        lambda: EDMSDE(T=math.nan),
        lambda: VPSDE(T="1"),
        lambda: SubVPSDE(eps=-1e-3),
    ],
)
def test_options_that_make_no_sde_are_refused_at_once(make):
    with pytest.raises(ArgumentError):
        make()


@pytest.mark.parametrize("eps", [1.0, 2.0])
def test_eps_is_below_the_end(eps):
    with pytest.raises(ArgumentError, match=r"eps.*0 <= eps < T = 1\.0"):
        ReverseSDE(VPSDE(eps=eps), lambda x, t: -x)
    with pytest.raises(ArgumentError, match="eps"):
        ReverseSDE(Cubic(eps=eps), lambda x, t: -x)


@pytest.mark.parametrize("sde", [VPSDE(eps=0.0), VESDE(eps=0.0), EDMSDE(eps=0.0)])
def test_eps_may_be_zero(sde):
    ReverseSDE(sde, GaussianScore(sde))


# SDEs that are not linear.


def test_a_general_sde_runs_with_what_needs_only_drift_and_diffusion():
    reverse = ReverseSDE(Cubic(), lambda x, t: -x)
    legs = (Leg(0.5, OnGrid(solver("song/euler-maruyama"), Uniform(5))),)
    out = Pipeline(reverse, legs).sample((4, 2), seed=1, dtype=torch.float64)
    noise = SharedNoise(1)
    x = noise.normal(torch.empty(4, 2, dtype=torch.float64))
    for _ in range(5):
        x = x - 0.1 * (-(x**3) + x) + math.sqrt(0.1) * noise.normal(x)
    torch.testing.assert_close(out.x, x)
    assert out.nfe == 5


@pytest.mark.parametrize(
    "by",
    [
        Denoise(),
        solver("song/reverse-diffusion"),
        OnGrid(solver("song/ancestral"), Uniform(3)),
        OnGrid(solver("song/euler-maruyama"), LogSNR(3)),
    ],
    ids=repr,
)
def test_a_general_sde_is_refused_by_what_needs_a_linear_one(by):
    with pytest.raises(PairingError, match=r"needs a LinearSDE, not Cubic"):
        Pipeline(ReverseSDE(Cubic(), lambda x, t: -x), (Leg(0.0, by),))


def test_a_general_sde_has_no_alpha():
    reverse = ReverseSDE(Cubic(), lambda x, t: -x)
    with pytest.raises(PairingError, match="must be a LinearSDE"):
        reverse.denoised(normal(2, 2), 0.5)
    by = OnGrid(solver("song/euler-maruyama"), LogSNR(3))
    with pytest.raises(PairingError, match=r"LogSNR.*Use Uniform or At"):
        by.integrate(reverse, normal(2, 2), 1.0, 0.5, Run(SharedNoise(0)))


def test_every_sde_of_the_core_is_tested():
    from sdeplug.sde import BUILTIN_SDES

    assert {type(sde) for sde in SDES} == set(BUILTIN_SDES.values()) == set(CLOSED)
