"""The evidence bound of a latent model: in closed form where everything is normal."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from training.quadrature import MEAN, VARIANCE, Exact, Scripted

from sdeplug import VPSDE, CosineVPSDE, FromNoise, Labelled, LogSNRLabel, SharedNoise, SubVPSDE
from sdeplug.errors import ArgumentError, PairingError
from sdeplug.networks import Latent, SmallAutoencoder, SmallUNet
from sdeplug.training import (
    EvidenceLoss,
    GridTimes,
    ImportanceTimes,
    Labels,
    Trainer,
    UniformTimes,
    WarmUp,
)

SHORT = VPSDE(beta_max=3.0, eps=0.1)  # at T data are seen, and at eps noise
SDES = [VPSDE(), SubVPSDE(), CosineVPSDE(), SHORT]
X = torch.tensor([0.9], dtype=torch.float64)
SLOPE, STD, SPREAD = 0.7, 0.3, 0.5  # q(z|x) = N(SLOPE x, STD^2), p(x|z) = N(z, SPREAD^2)


class Normal(nn.Module):
    """A model of latents N(MEAN, VARIANCE) with the exact noise, and one number between."""

    def __init__(self, sde, off: float = 0.0) -> None:
        super().__init__()
        self.exact, self.off = Exact(sde), off
        self.slope = nn.Parameter(torch.tensor(SLOPE, dtype=torch.float64))
        self.log_std = nn.Parameter(torch.tensor(math.log(STD), dtype=torch.float64))
        self.autoencoder = SimpleNamespace(posterior=self.posterior, log_prob=self.log_prob)

    def posterior(self, x):
        return self.slope * x, self.log_std.exp().expand_as(x)

    def log_prob(self, x, z):
        return torch.distributions.Normal(z, SPREAD).log_prob(x).sum(1)

    def forward(self, z, t):
        exact = self.exact.noise_of(self.exact.score(z, t), z, t)
        return exact + self.off * self.exact.levels(z, t)[1]  # of the score, -off


def expected(network: Normal, sde) -> Tensor:
    """E[-log p(x | z) + log q(z | x) - log p(z)] at the first time, by hand; and at T, where the
    score model starts from the prior, E[log p(z) - log prior(z)]."""
    first = sde.at(sde.eps)
    mean, variance = latents(network, first)
    decoded = 0.5 * (math.log(2 * math.pi * SPREAD**2) + ((X - mean) ** 2 + variance) / SPREAD**2)
    entropy = 0.5 * (2 * math.pi * math.e * variance).log()
    end = latents(network, sde.at(sde.T))
    start = cross(end, 0.0, sde.prior_std**2) - cross(end, *data_at(sde.at(sde.T)))
    return (decoded - entropy + cross((mean, variance), *data_at(first)) + start).sum()


def latents(network: Normal, now) -> tuple[Tensor, Tensor]:
    """Mean and variance of z_t given x."""
    return now.alpha * network.slope * X, now.alpha**2 * (2 * network.log_std).exp() + now.sigma**2


def data_at(now) -> tuple[float, float]:
    """Mean and variance of the model's z_t."""
    return now.alpha * MEAN, now.alpha**2 * VARIANCE + now.sigma**2


def cross(law: tuple[Tensor, Tensor], mean: float, variance: float) -> Tensor:
    """Mean of -log N(mean, variance) under a normal law."""
    off = (law[0] - mean) ** 2 + law[1]
    return 0.5 * (math.log(2 * math.pi * variance) + off / variance)


def nodes(times: int) -> tuple[Tensor, Scripted, Tensor]:
    """Times, draws of the latent, noise; and their weights."""
    u, share = np.polynomial.legendre.leggauss(times)
    points, weights = np.polynomial.hermite_e.hermegauss(3)
    weights = weights / weights.sum()
    axes = (0.5 * (u + 1.0), points, points)
    u, draw, epsilon = (g.flatten() for g in map(torch.from_numpy, np.meshgrid(*axes)))
    shares = np.meshgrid(0.5 * share, weights, weights)
    weight = torch.from_numpy(np.prod(shares, axis=0)).flatten()
    script = Scripted(draw[:, None], torch.special.ndtri(u), epsilon[:, None])
    return X.expand(len(u), 1), script, weight


def mean_of(loss: EvidenceLoss, network: Normal, times: int = 40) -> Tensor:
    x, noise, weight = nodes(times)
    return (weight * loss(network, x, noise)).sum()


TIMES = ImportanceTimes(low_discrepancy=False)


@pytest.mark.parametrize("sde", SDES, ids=repr)
def test_with_the_score_of_the_latents_the_loss_is_the_evidence_and_so_is_its_gradient(sde):
    """The gradient by the encoder, too, through all four terms."""
    network = Normal(sde)
    loss = EvidenceLoss(sde, times=TIMES)
    found, wanted = mean_of(loss, network), expected(network, sde)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)
    parameters = (network.slope, network.log_std)
    slopes = [torch.autograd.grad(each, parameters) for each in (found, wanted)]
    for mine, its in zip(*slopes, strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-6, atol=1e-6)
        assert abs(float(its)) > 0.05


def test_a_wrong_score_costs_its_weighted_distance():
    """The score is off by c at all times, and the encoder right: half the integral of g^2 c^2."""
    sde, off = VPSDE(), 0.4
    right, wrong = Normal(sde), Normal(sde, off)
    for each in (right, wrong):
        each.slope.data.fill_(MEAN / float(X))
    loss = EvidenceLoss(sde, times=TIMES)
    more = (mean_of(loss, wrong) - mean_of(loss, right)).detach()
    integral = sde.beta_min + 0.5 * (sde.beta_max - sde.beta_min)
    at_eps = sde.beta_min * sde.eps + 0.5 * (sde.beta_max - sde.beta_min) * sde.eps**2
    assert float(more) == pytest.approx(0.5 * off**2 * (integral - at_eps), rel=1e-6)


@torch.no_grad()
def test_it_is_the_same_for_other_times_and_shared_out_over_the_numbers_of_data():
    sde, x = VPSDE(eps=0.05), torch.zeros(40_000, 1, dtype=torch.float64)
    even = EvidenceLoss(sde, times=UniformTimes(), mean=False)(Normal(sde), x, SharedNoise(0))
    drawn = EvidenceLoss(sde, mean=False)(Normal(sde), x, SharedNoise(1))
    error = float((even.var() / len(x) + drawn.var() / len(x)).sqrt())
    assert abs(float(even.mean() - drawn.mean())) < 4.0 * error < 0.2
    wide = x[:50].expand(50, 3)
    nats, share = (
        EvidenceLoss(sde, mean=mean)(Normal(sde), wide, SharedNoise(0)) for mean in (False, True)
    )
    torch.testing.assert_close(nats, 3.0 * share)


def test_a_trainer_trains_all_three_networks_and_their_averages():
    torch.manual_seed(0)
    sde = VPSDE()
    inner = Labelled(SmallUNet(2, width=8, classes=3), sde, LogSNRLabel())
    latent = Latent(inner, SmallAutoencoder(1, latent_channels=2, width=8))
    before = {name: each.clone() for name, each in latent.named_parameters()}
    data = torch.linspace(-1.0, 1.0, 8 * 64).reshape(8, 1, 8, 8)
    labels = torch.arange(8) % 3
    named = Labels(drop=0.1, null=3)
    trainer = Trainer(EvidenceLoss(sde), batch=8, ema=(0.5,), labels=named, rate=WarmUp(0))
    trained = trainer.fit(latent, (data, labels), steps=3)
    moved = [n for n, each in latent.named_parameters() if not torch.equal(each, before[n])]
    for part in ("network.network.last", "autoencoder.encoder.0", "autoencoder.decoder.0"):
        assert f"{part}.weight" in moved
    assert "autoencoder.log_spread" in moved
    assert trained.average.decode(trained.average.autoencoder.encode(data)).shape == data.shape


def test_what_does_not_fit_is_refused():
    sde = VPSDE()
    with pytest.raises(PairingError, match=r"Latent\(network, autoencoder\) is one with both"):
        EvidenceLoss(sde)(lambda x, t: x, X[None], SharedNoise(0))
    with pytest.raises(ArgumentError, match=r"times = .*ImportanceTimes or UniformTimes"):
        EvidenceLoss(sde, times=GridTimes())
    with pytest.raises(ArgumentError, match="times at which an error has a weight"):
        EvidenceLoss(replace(sde, eps=0.0))
    with pytest.raises(ArgumentError, match=r"sde = .*: must be of type LinearSDE"):
        EvidenceLoss(FromNoise)
    with pytest.raises(ArgumentError, match=r"0 to 255 are x0.float\(\) / 127.5 - 1"):
        EvidenceLoss(sde)(Normal(sde), torch.zeros(3, 1, dtype=torch.int64), SharedNoise(0))


def test_a_network_that_is_told_the_time_under_another_sde_is_refused():
    inner = Labelled(SmallUNet(2, width=8), VPSDE(), LogSNRLabel())
    latent, data = Latent(inner, SmallAutoencoder(1, 2, width=8)), torch.zeros(2, 1, 8, 8)
    for network in (inner, latent):
        with pytest.raises(PairingError, match=r"sde = SubVPSDE.* under VPSDE.*Labelled\("):
            Trainer(EvidenceLoss(SubVPSDE())).fit(network, data, steps=1)
