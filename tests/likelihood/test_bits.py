"""Bits per dimension, term by term."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from sdeplug import (
    VESDE,
    VPSDE,
    ArgumentError,
    ReverseSDE,
    SharedNoise,
    SubVPSDE,
    solver,
)
from sdeplug.likelihood import (
    Hutchinson,
    Likelihood,
    bits_per_dim,
    dequantised,
    log_likelihood,
)
from sdeplug.noise import Silence

IMAGES = torch.arange(12).reshape(3, 1, 2, 2) * 20


def found(log_prob, std_error=None, size=4):
    rows = len(log_prob)
    latent = torch.zeros(rows, size, dtype=torch.float64)
    return Likelihood(log_prob, std_error, latent, 0.25 * log_prob, 0.75 * log_prob, 0.0, 1, 1, 0.0)


LOG_PROB = torch.tensor([-4.0, -6.0, 1.0, 2.0], dtype=torch.float64)


@pytest.mark.parametrize(
    ("data_range", "constant"), [((-1.0, 1.0), 7.0), ((0, 1), 8.0), ((0.0, 256.0), 0.0)]
)
def test_the_constant_is_that_of_the_range(data_range, constant):
    bits = bits_per_dim(found(LOG_PROB), data_range=data_range)
    assert torch.allclose(bits.rescaling, torch.full((4,), constant, dtype=torch.float64))
    assert torch.allclose(bits.total, constant - LOG_PROB / (4 * math.log(2.0)))
    assert torch.allclose(bits.prior * 3.0, bits.flow)
    assert bits.mean == pytest.approx(float(bits.total.mean()))
    assert set(bits.terms) == {"prior", "flow", "rescaling", "dequantisation", "truncation"}
    assert "rescaling +" in repr(bits)


def test_real_numbers_are_not_rescaled():
    assert not bits_per_dim(found(LOG_PROB), levels=None).rescaling.any()


def test_a_density_of_one_on_the_range_costs_all_the_levels():
    """Uniform data: the probability of a level is 1 / L, whatever the range."""
    for levels, low, high in ((256, -1.0, 1.0), (17, 0.0, 3.0)):
        flat = torch.full((2,), -4 * math.log(high - low), dtype=torch.float64)
        bits = bits_per_dim(found(flat), levels=levels, data_range=(low, high))
        assert torch.allclose(bits.total, torch.full_like(bits.total, math.log2(levels)))


def test_several_draws_are_a_tighter_bound():
    bits = bits_per_dim(found(LOG_PROB), draws=2)
    mean = LOG_PROB.reshape(2, 2).exp().mean(1).log()
    assert bits.total.shape == (2,)
    assert torch.allclose(bits.total, 7.0 - mean / (4 * math.log(2.0)))
    assert (bits.dequantisation < 0.0).all()
    assert not bits_per_dim(found(LOG_PROB)).dequantisation.any()


def test_truncation_counts_before_the_draws_are_joined():
    cut = torch.tensor([0.5, -0.5, 0.0, 2.0], dtype=torch.float64)
    bits = bits_per_dim(found(LOG_PROB), truncation=cut, draws=2)
    mean = (LOG_PROB + cut).reshape(2, 2).exp().mean(1).log()
    assert torch.allclose(bits.total, 7.0 - mean / (4 * math.log(2.0)))
    assert torch.allclose(bits.truncation, -cut.reshape(2, 2).mean(1) / (4 * math.log(2.0)))


def test_standard_errors_are_in_bits_and_count_with_their_draw():
    off = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    assert bits_per_dim(found(LOG_PROB)).std_error is None
    alone = bits_per_dim(found(LOG_PROB, off)).std_error
    assert torch.allclose(alone, off / (4 * math.log(2.0)))
    joint = bits_per_dim(found(LOG_PROB, off), draws=2).std_error
    share = torch.tensor([1.0 / (1.0 + math.exp(-2.0)), 1.0 / (1.0 + math.exp(2.0))]).double()
    wanted = ((share * off[:2]).square().sum().sqrt()) / (4 * math.log(2.0))
    assert torch.allclose(joint[0], wanted)


def test_every_number_stays_in_the_bin_of_its_level():
    options = {"draws": 50, "data_range": (0.0, 1.0), "dtype": torch.float64}
    x = dequantised(IMAGES, **options)
    assert x.shape == (150, 1, 2, 2)
    u = (256 * x).reshape(3, 50, 1, 2, 2) - IMAGES[:, None]
    assert 0.0 <= u.min() < 0.02
    assert 0.98 < u.max() < 1.0
    assert abs(u.mean() - 0.5) < 5 * (12 * 600) ** -0.5  # a false alarm in two million
    assert torch.equal(
        x, dequantised(IMAGES, SharedNoise(0), draws=50, data_range=(0, 1), dtype=torch.float64)
    )
    middle = dequantised(IMAGES, Silence())  # u = 1/2
    assert middle.dtype == torch.float32
    assert torch.allclose(middle, (IMAGES + 0.5) / 128 - 1.0)


def reference(sde, score, x, probe):
    """The reference implementation of Song et al., written out: x in [-1, 1], one fixed probe,
    scipy's RK45 on the whole batch at 1e-5, from t = 1e-5 to 1."""
    rows, size = x.shape

    def velocity(x, t):
        times = torch.full((rows,), t, dtype=torch.float64)
        return sde.drift(x, times) - 0.5 * sde.diffusion(times)[:, None] ** 2 * score(x, times)

    def field(t, y):
        x = torch.from_numpy(y[: rows * size]).reshape(rows, size).requires_grad_()
        v = velocity(x, t)
        (slope,) = torch.autograd.grad((v * probe).sum(), x)
        return np.concatenate((v.detach().numpy().ravel(), (slope * probe).sum(1).numpy()))

    start = np.concatenate((x.numpy().ravel(), np.zeros(rows)))
    end = solve_ivp(field, (1e-5, 1.0), start, rtol=1e-5, atol=1e-5, method="RK45").y[:, -1]
    z = torch.from_numpy(end[: rows * size]).reshape(rows, size)
    total = sde.prior_log_prob(z) + torch.from_numpy(end[rows * size :])
    return -total / (size * math.log(2.0)) + 7.0


@pytest.mark.parametrize("sde", [VPSDE(), SubVPSDE(), VESDE()], ids=repr)
def test_with_the_settings_of_the_reference_it_is_the_number_of_the_reference(sde):
    generator = torch.Generator().manual_seed(0)
    factor = torch.randn(3, 3, generator=generator, dtype=torch.float64) / 3
    covariance = factor @ factor.T + 0.04 * torch.eye(3, dtype=torch.float64)

    def score(x, t):
        alpha, sigma = sde.alpha(t.double()), sde.sigma(t.double())
        total = alpha[:, None, None] ** 2 * covariance + sigma[:, None, None] ** 2 * torch.eye(3)
        return -torch.linalg.solve(total, x[..., None])[..., 0]

    x = dequantised(torch.tensor([[10, 100, 200], [128, 90, 255]]), dtype=torch.float64)
    probes = SharedNoise(0)
    likelihood = log_likelihood(
        ReverseSDE(sde, score), x, solver("torchdiffeq/scipy-rk45"), t=1e-5,
        divergence=Hutchinson(1), noise=probes,
    )  # fmt: skip
    ours = bits_per_dim(likelihood).total
    signs = Hutchinson(1).directions(x, SharedNoise(0).stream("probes"))[0]
    assert torch.allclose(ours, reference(sde, score, x, signs), atol=2e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bits_per_dim(LOG_PROB), "must be a Likelihood"),
        (lambda: bits_per_dim(found(LOG_PROB), levels=1), "levels = 1"),
        (lambda: bits_per_dim(found(LOG_PROB), data_range=(1, -1)), "the lower first"),
        (lambda: bits_per_dim(found(LOG_PROB), data_range=2), "data_range = 2"),
        (lambda: bits_per_dim(found(LOG_PROB), draws=3), "divides the 4 rows"),
        (lambda: bits_per_dim(found(LOG_PROB), truncation=0.1), r"shape \(4,\), in nats"),
        (lambda: dequantised(IMAGES / 255), "images = 'numbers from 0 to 0.862745'"),
        (lambda: dequantised(IMAGES, levels=16), "from 0 to levels - 1 = 15"),
        (lambda: dequantised(IMAGES.numpy()), r"shape \(B, \*D\)"),
        (lambda: dequantised(IMAGES, draws=0), "draws = 0"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
