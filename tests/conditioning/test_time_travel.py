"""Time travel: up by the forward SDE, down by a solver, and what imputation gains by it."""

from __future__ import annotations

import math

import pytest
import torch
from common import GaussianScore, normal

from sdeplug.compose import Corrected, OnGrid
from sdeplug.conditioning import Mask, Measurement, Replacement, TimeTravel
from sdeplug.errors import ArgumentError
from sdeplug.grid import LogSNR
from sdeplug.noise import SharedNoise, Silence
from sdeplug.pipeline import sample
from sdeplug.registry import solver
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import VPSDE
from sdeplug.targets import GaussianMixture

FINE = OnGrid(solver("ode/heun"), LogSNR(20))


def moved(sde, x, t, noise, **options):
    """x once, by the corrector alone, and what the data are like in GaussianScore."""
    reverse = ReverseSDE(sde, GaussianScore(sde))
    by = options.pop("integrator", FINE)
    return TimeTravel(by, **options).correct(reverse, x, t, Run(noise))


def test_the_law_at_the_time_is_left_as_it_is(any_sde):
    """Affine in x and z, a x + b z + c: so mean and variance after it are known exactly."""
    t, x, z = 0.4 * any_sde.T, normal(3, 2), SharedNoise(5).normal(normal(3, 2))
    level = any_sde.at(t)
    mean, variance = 0.4 * level.alpha, level.sigma**2 + 0.25 * level.alpha**2
    shift = moved(any_sde, torch.zeros_like(x), t, Silence())
    a = (moved(any_sde, x, t, Silence()) - shift) / x
    b = (moved(any_sde, torch.zeros_like(x), t, SharedNoise(5)) - shift) / z
    close = {"rtol": 2e-3, "atol": 2e-3 * level.sigma}
    torch.testing.assert_close(a * mean + shift, torch.full_like(x, mean), **close)
    torch.testing.assert_close(
        a**2 * variance + b**2, torch.full_like(x, variance), rtol=5e-3, atol=0.0
    )
    assert float(b.min() ** 2) > 0.5 * variance  # most of the state is new


def test_it_goes_up_by_so_many_nats_of_log_snr_and_no_farther_than_the_horizon():
    sde, seen = VPSDE(beta_max=80.0), []

    class Heard(type(FINE)):
        def integrate(self, reverse, x, t, s, run):
            seen.append((t, s))
            return x

    down = Heard(FINE.integrator, FINE.grid)
    moved(sde, normal(1, 2), 0.3, Silence(), integrator=down, rise=1.5)
    moved(sde, normal(1, 2), 0.3, Silence(), integrator=down, rise=100.0)
    (up, t), (top, _) = seen
    assert t == 0.3
    assert top == sde.horizon < sde.T
    assert sde.at(t).log_snr - sde.at(up).log_snr == pytest.approx(1.5, abs=1e-6)


@pytest.mark.parametrize("t", [0.0, 0.1, 0.8, VPSDE().horizon])
def test_outside_its_span_at_the_data_and_at_the_horizon_nothing_moves(t):
    x = normal(2, 2)
    span = (0.2, 0.7) if 0.0 < t < 0.9 else None
    assert moved(VPSDE(), x, t, Silence(), span=span) is x


def test_at_the_ends_of_its_span_it_moves():
    x = normal(2, 2)
    assert moved(VPSDE(), x, 0.2, Silence(), span=(0.2, 0.7)) is not x


def test_imputation_returns_members_of_the_data_that_agree():
    """200 points in 16 dimensions, half of whose numbers are known: the empirical score."""
    sde, points, known = VPSDE(), normal(200, 16), torch.arange(16) < 8
    mask, wanted = Mask(known), points[:40]
    step = Corrected(solver("song/ancestral"), Replacement(Measurement(mask, mask.forward(wanted))))

    def right(by):
        reverse = ReverseSDE(sde, GaussianMixture(None, points, std=0.0).score(sde))
        x = sample(reverse, wanted.shape, OnGrid(by, LogSNR(16)), seed=1).x
        return int(((x.double() - wanted).abs().amax(1) < 0.05).sum())

    assert right(step) <= 20
    assert right(Corrected(step, TimeTravel(step), sweeps=20)) >= 28


def test_claims_are_those_of_the_way_down_with_noise():
    claims = TimeTravel(OnGrid(solver("ode/heun"), LogSNR(4))).claims
    assert claims.evaluations == 8
    assert claims.stochastic
    assert claims.randomised
    assert claims.floor == math.inf
    by = Corrected(solver("song/ancestral"), TimeTravel(solver("song/ancestral")), sweeps=3)
    assert by.claims.evaluations == 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rise": 0.0}, "rise = 0.0: must be .*above 0"),
        ({"rise": math.inf}, "rise = inf: must be"),
        ({"span": (0.5, 0.1)}, r"span = \(0.5, 0.1\): must be two times"),
        ({"integrator": solver("song/langevin")}, "integrator = .*must be of type Integrator"),
    ],
)
def test_bad_input(options, said):
    with pytest.raises(ArgumentError, match=said):
        TimeTravel(**{"integrator": FINE, **options})
