"""Twisted particles: exact weights where the guess is exact, and the right law where it is not."""

from __future__ import annotations

import math

import pytest
import torch
from common import SDES, normal

import sdeplug as sp
from sdeplug import LogSNR, OnGrid, PerSampleNoise, ReverseSDE, Run, SharedNoise
from sdeplug.conditioning import SMC, Matrix, Measurement, exact_posterior
from sdeplug.conditioning.smc import _Particles
from sdeplug.errors import ArgumentError
from sdeplug.targets import Gaussian, eight_gaussians

ROW = Matrix(torch.tensor([[0.8, -0.3]], dtype=torch.float64))
KNOWN = Measurement(ROW, torch.tensor([[0.4]], dtype=torch.float64), 0.3)


def sampled(by, target, sde, rows, seed=0):
    reverse = ReverseSDE(sde, target.score(sde))
    x = sde.prior((rows, 2), SharedNoise(seed), torch.float64)
    return by.integrate(reverse, x, sde.T, sde.eps, Run(SharedNoise(seed + 1)))


@pytest.mark.parametrize("sde", SDES, ids=lambda sde: type(sde).__name__)
def test_where_the_guess_is_exact_all_particles_weigh_the_same(sde):
    """A Gaussian of the guessed variance: only the discretisation is left to the weights."""
    smallest = []
    for steps in (50, 100):
        heard = []
        by = OnGrid(SMC(KNOWN, listener=lambda t, size, heard=heard: heard.append(size)),
                    LogSNR(steps))  # fmt: skip
        sampled(by, Gaussian(torch.zeros(2, dtype=torch.float64), std=1.0), sde, 400)
        assert len(heard) == steps
        smallest.append(1.0 - float(torch.stack(heard)[1:].min()) / 400)
    assert smallest[1] < 0.5 * smallest[0] < 0.05


@pytest.mark.parametrize("variance", [0.25, 1.0])
def test_the_modes_have_their_weights_whatever_the_guess(variance):
    """16 runs of 128 particles on the ring: each weight within 5 standard errors, a false alarm
    in some thousand seeds with the 15 degrees of freedom that the errors have."""
    sde, ring, groups = sp.VPSDE(), eight_gaussians(), 16
    # Equal rows of y would be one group: a difference of 1e-9 tells them apart.
    y = KNOWN.y + 1e-9 * torch.arange(groups, dtype=torch.float64)[:, None]
    known = Measurement(ROW, y.repeat_interleave(128, 0), 0.3)
    x = sampled(OnGrid(SMC(known, variance), LogSNR(60)), ring, sde, 128 * groups)
    posterior = exact_posterior(ring, KNOWN)
    shares = ring.responsibilities(x, sde.eps, sde).reshape(groups, 128, 8).mean(1)
    error = shares.std(0) / math.sqrt(groups) + 1e-3
    assert float(((shares.mean(0) - posterior.weights).abs() / error).max()) < 5.0


def test_the_mean_and_spread_are_those_of_the_posterior():
    sde, prior = sp.VPSDE(), Gaussian((0.5, -0.2), ((0.5, 0.2), (0.2, 0.3)))
    x = sampled(OnGrid(SMC(KNOWN), LogSNR(100)), prior, sde, 4000)
    mean, covariance = exact_posterior(prior, KNOWN).moments(sde.eps, sde)
    unit = covariance.diagonal().sqrt()
    assert float(((x.mean(0) - mean) / unit).abs().max()) < 0.12
    assert float((torch.cov(x.T) - covariance).abs().max()) < 0.12 * float(unit.max() ** 2)


def test_a_particle_that_weighs_nothing_is_not_drawn_where_the_draw_is_0():
    class Low(SharedNoise):
        def normal(self, like):
            return torch.full_like(like, -50.0) if like.ndim == 1 else super().normal(like)

    reverse = ReverseSDE(sp.VPSDE(), lambda x, t: -x)
    particles = _Particles(SMC(KNOWN), reverse, Run(Low(0)))
    light = torch.tensor([-1e4, 0.0, -1e4, 0.0], dtype=torch.float64)
    assert particles._drawn(light, 0.5).tolist() == [1, 1, 3, 3]


def test_a_group_sees_no_other_group():
    sde, ring = sp.VPSDE(), eight_gaussians()
    reverse = ReverseSDE(sde, ring.score(sde))
    y = torch.tensor([[0.4], [-0.9]], dtype=torch.float64)

    def particles(rows, numbers):
        known = Measurement(ROW, y[rows].repeat_interleave(8, 0), 0.3)
        noise = PerSampleNoise(0, numbers)
        x = sde.prior((len(numbers), 2), noise, torch.float64)
        by = OnGrid(SMC(known), LogSNR(10))
        return by.integrate(reverse, x, sde.T, sde.eps, Run(noise))

    both = particles([0, 1], range(16))
    torch.testing.assert_close(both[:8], particles([0], range(8)), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(both[8:], particles([1], range(8, 16)), rtol=1e-9, atol=1e-12)


def test_bad_input():
    with pytest.raises(ArgumentError, match=r"noise_std = 0\.0: must be above 0 for SMC"):
        SMC(Measurement(ROW, KNOWN.y))
    uneven = SMC(Measurement(ROW, torch.tensor([[0.1], [0.1], [0.2]], dtype=torch.float64), 0.3))
    with pytest.raises(ArgumentError, match=r"groups of \[2, 1\] equal rows"):
        sampled(OnGrid(uneven, LogSNR(2)), eight_gaussians(), sp.VPSDE(), 3)
    with pytest.raises(ArgumentError, match="of shape"):
        OnGrid(SMC(KNOWN), LogSNR(2)).integrate(
            ReverseSDE(sp.VPSDE(), lambda x, t: -x), normal(4, 3), 1.0, 0.1, Run(SharedNoise(0))
        )
    with pytest.raises(ArgumentError, match="a time with noise"):
        SMC(KNOWN).integrate(
            ReverseSDE(sp.VPSDE(), lambda x, t: -x), normal(4, 2), 1.0, 0.0, Run(SharedNoise(0))
        )
