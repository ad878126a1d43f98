"""Data to latents and back."""

from __future__ import annotations

import math

import pytest
import torch

from sdeplug import (
    VPSDE,
    ArgumentError,
    Counted,
    ForwardSDE,
    LogSNR,
    OnGrid,
    PairingError,
    ReverseSDE,
    SharedNoise,
    solver,
)
from sdeplug.likelihood import decode, encode, interpolate, log_likelihood
from sdeplug.targets import eight_gaussians

FINE = OnGrid(solver("ode/rk4"), LogSNR(40))
SPREAD = 0.7
X = torch.randn(3, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def variance(sde, t):
    return (sde.at(t).alpha * SPREAD) ** 2 + sde.at(t).sigma ** 2


def gaussian(sde):
    """The exact score of N(0, 0.7^2 I), whose flow is a scale."""

    def score(x, t):
        total = (sde.alpha(t.double()) * SPREAD) ** 2 + sde.sigma(t.double()) ** 2
        return -x / total.reshape(-1, *[1] * (x.ndim - 1))

    return ReverseSDE(sde, score)


@pytest.mark.parametrize("t", [None, 0.3])
def test_the_latent_of_a_gaussian_is_a_scale(any_sde, t):
    early = any_sde.eps if t is None else t
    factor = math.sqrt(variance(any_sde, any_sde.T) / variance(any_sde, early))
    z = encode(gaussian(any_sde), X, t=t)
    assert torch.allclose(z, factor * X, rtol=1e-5)
    assert torch.allclose(decode(gaussian(any_sde), z, t=t), X, rtol=1e-5)
    cold = decode(gaussian(any_sde), z, t=t, temperature=0.5)
    assert torch.allclose(cold, 0.5 * X, rtol=1e-5)


def test_two_solvers_give_one_latent_and_it_is_that_of_the_likelihood():
    target, sde = eight_gaussians(), VPSDE()
    x = target.sample(4, noise=SharedNoise(0), t=sde.eps, sde=sde, dtype=torch.float64)
    reverse = ReverseSDE(sde, target.score(sde))
    usual = encode(reverse, x)
    assert torch.allclose(
        usual, encode(reverse, x, OnGrid(solver("ode/rk4"), LogSNR(100))), atol=1e-4
    )
    assert torch.allclose(decode(reverse, usual), x, atol=1e-4)
    assert torch.equal(encode(reverse, x, FINE), log_likelihood(reverse, x, FINE).latent)


def test_fifty_evaluations_each_way_lead_back_to_the_ring(any_sde):
    """To 1e-4 of a coordinate, and to the latents that four times as many lead to."""
    ring = eight_gaussians()
    x = ring.sample(64, noise=SharedNoise(0), t=any_sde.eps, sde=any_sde, dtype=torch.float64)
    there, back = Counted(ring.score(any_sde)), Counted(ring.score(any_sde))
    z = encode(ReverseSDE(any_sde, there), x, nfe=50)
    assert float((decode(ReverseSDE(any_sde, back), z, nfe=50) - x).abs().max()) <= 1e-4
    assert (there.nfe, back.nfe) == (50, 50)
    fine = encode(ReverseSDE(any_sde, ring.score(any_sde)), x, nfe=200)
    assert float((z - fine).abs().max()) <= 1e-4 * any_sde.prior_std


def test_a_network_is_followed_in_much_noise_too():
    """Where an exact score has nothing to tell, it has."""
    ring, sde = eight_gaussians(), VPSDE()
    known, x = ring.score(sde), X.flatten(2)[:, 0]
    steps = OnGrid(solver("ode/adams-moulton"), LogSNR(20))
    for score, same in ((known, False), (lambda x, t: known(x, t), True)):
        reverse = ReverseSDE(sde, score)
        assert torch.equal(encode(reverse, x, nfe=20), encode(reverse, x, steps)) is same


def test_dtype_and_gradients_are_those_of_the_data():
    x = X.float().requires_grad_()
    z = encode(gaussian(VPSDE()), x, FINE)
    assert z.dtype == torch.float32
    (slope,) = torch.autograd.grad(z.sum(), x)
    factor = math.sqrt(variance(VPSDE(), 1.0) / variance(VPSDE(), 1e-3))
    assert torch.allclose(slope, torch.full_like(slope, factor), rtol=1e-3)
    assert encode(gaussian(VPSDE()), X.half(), FINE).dtype == torch.float16


def test_interpolation_goes_along_a_great_circle():
    """At equal angles, on the sphere where both ends are on one."""
    ends = torch.nn.functional.normalize(X.flatten(1), dim=1).reshape(X.shape)
    path = interpolate(ends, ends.flip(0), 5)
    assert path.shape == (5, 3, 2, 2)
    assert torch.allclose(path[0], ends)
    assert torch.allclose(path[-1], ends.flip(0))
    assert torch.allclose(path.flatten(2).norm(dim=2), torch.ones(5, 3).double())
    chords = path.diff(dim=0).flatten(2).norm(dim=2)
    assert torch.allclose(chords, chords[:1].expand(4, 3))
    assert torch.equal(path[:, 1], path[:1, 1].expand(5, 2, 2))  # from a latent to itself


@pytest.mark.parametrize("angle", [1e-9, math.pi])
def test_where_the_circle_is_no_circle_it_is_a_line(angle):
    one = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    other = torch.tensor([[math.cos(angle), math.sin(angle)]], dtype=torch.float64)
    assert torch.allclose(interpolate(one, other, 3)[1], (one + other) / 2, atol=1e-12)


REVERSE = gaussian(VPSDE())


class Own(ForwardSDE):
    """One that is not linear."""

    T, eps = 1.0, 1e-3

    def drift(self, x, t):
        return -x

    def diffusion(self, t):
        return torch.ones_like(t)

    def prior(self, shape, noise, dtype):
        raise NotImplementedError

    def prior_log_prob(self, x):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: encode(REVERSE, X, solver("song/ancestral")), "it draws noise"),
        (lambda: encode(VPSDE(), X), "must be a ReverseSDE"),
        (lambda: encode(REVERSE, X[0, 0]), "x = .*samples, then the shape of one"),
        (lambda: encode(REVERSE, X, t=2.0), "t = 2.0"),
        (lambda: decode(REVERSE, X.numpy()), "z = 'ndarray'"),
        (lambda: encode(REVERSE, X, nfe=0), "nfe = 0: must be a whole number of evaluations"),
        (lambda: encode(REVERSE, X, 50), "by = 50: must be a flow integrator. nfe=50 spends"),
        (lambda: decode(REVERSE, X, FINE, nfe=50), "nfe = 50: must be left out beside by"),
        (lambda: encode(ReverseSDE(Own(), lambda x, t: -x), X, nfe=50), "needs a LinearSDE"),
        (lambda: decode(REVERSE, X, temperature=-1.0), "temperature = -1.0"),
        (lambda: interpolate(X, X[:2], 3), "of the shape of z0"),
        (lambda: interpolate(X, X, 1), "n = 1"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(call, message):
    with pytest.raises((ArgumentError, PairingError), match=message):
        call()
