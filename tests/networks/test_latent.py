"""Latent models: densities in closed form, scale, files, and all three networks in one loss."""

from __future__ import annotations

import math

import pytest
import torch
from common import normal
from torch import nn

from sdeplug import VPSDE, FromNoise, Labelled, LogSNRLabel, SharedNoise
from sdeplug.errors import ArgumentError, PairingError, UnwrittenError
from sdeplug.networks import Autoencoder, Latent, Model, SmallAutoencoder, SmallUNet, load, save

SDE = VPSDE()


class Linear(nn.Module):
    """q(z' | x) = N(A x, S^2), x of two numbers, z' of one."""

    def __init__(self, log_variance: float = -1.0) -> None:
        super().__init__()
        self.row = nn.Parameter(torch.tensor([0.6, -0.3], dtype=torch.float64))
        self.log_variance = log_variance

    def forward(self, x):
        mean = x @ self.row[:, None]
        return torch.cat((mean, torch.full_like(mean, self.log_variance)), 1)


def decoder(z):
    return torch.cat((0.8 * z + 0.1, -0.5 * z), 1)


def linear(spread: float = 0.4) -> Autoencoder:
    return Autoencoder(Linear(), decoder, spread).double()


def optimal(x: torch.Tensor) -> tuple[torch.Tensor, Autoencoder]:
    """log p(x) for z ~ N(0, 1), and the autoencoder whose q is the law of z given x."""
    column, off, spread = torch.tensor([0.8, -0.5]).double(), torch.tensor([0.1, 0.0]).double(), 0.4
    law = torch.distributions.MultivariateNormal(
        off, torch.outer(column, column) + spread**2 * torch.eye(2).double()
    )
    precision = 1.0 + float(column @ column) / spread**2
    row = column / spread**2 / precision

    def encoder(x):
        mean = (x - off) @ row[:, None]
        return torch.cat((mean, torch.full_like(mean, -math.log(precision))), 1)

    return law.log_prob(x), Autoencoder(encoder, decoder, spread).double()


def standard(z):
    return torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1)


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (0.7, 2.5)])
def test_with_the_law_of_latents_the_bound_is_the_density_whatever_the_scale(shift, scale):
    """Each draw has the same sum of terms, log p(x)."""
    x = normal(5, 2)
    exact, autoencoder = optimal(x)
    autoencoder.shift.fill_(shift)
    autoencoder.scale.fill_(scale)

    def log_prior(z):
        return standard(z / scale + shift) - math.log(scale)

    found = autoencoder.evidence(x, log_prior, SharedNoise(0), draws=3)
    torch.testing.assert_close(sum(found), exact.expand(3, 5), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found.bound, exact, rtol=1e-6, atol=1e-6)


@torch.no_grad()
def test_with_another_law_it_is_below_by_the_divergence_and_nears_it_with_draws():
    x = normal(1, 2).expand(4000, 2)
    exact, best = optimal(x)
    wrong = linear()
    mine, its = wrong.posterior(x[:1]), best.posterior(x[:1])
    laws = [torch.distributions.Normal(*each) for each in (mine, its)]
    gap = float(torch.distributions.kl_divergence(*laws))
    off = exact - wrong.evidence(x, standard, SharedNoise(0)).bound
    error = float(off.std() / len(x) ** 0.5)
    assert gap > 0.1
    assert abs(float(off.mean()) - gap) < 4.0 * error
    many = exact - wrong.evidence(x, standard, SharedNoise(1), draws=20).bound
    assert 0.0 < float(many.mean()) < 0.2 * gap


@torch.no_grad()
def test_standardised_latents_have_mean_0_and_variance_1_and_decode_to_the_same():
    autoencoder, x, noise = linear(), 3.0 + 2.0 * normal(20_000, 2), SharedNoise(0)
    before = autoencoder(x)
    assert autoencoder.standardise(x) is autoencoder
    z = autoencoder.encode(x, noise)
    assert abs(float(z.mean())) < 4.0 * 20_000**-0.5
    assert abs(float(z.var()) - 1.0) < 4.0 * (2.0 / 20_000) ** 0.5
    torch.testing.assert_close(autoencoder(x), before, rtol=1e-5, atol=1e-6)
    assert float(autoencoder.standardise(x).encode(x).mean()) == pytest.approx(0.0, abs=1e-6)


def small() -> Latent:
    torch.manual_seed(0)
    network = Labelled(SmallUNet(2, width=8, classes=3), SDE, LogSNRLabel())
    return Latent(network, SmallAutoencoder(1, latent_channels=2, width=8).standardise(IMAGES))


IMAGES = normal(6, 1, 8, 12).float()


def test_both_networks_and_the_scale_come_back_from_a_folder(tmp_path):
    latent = small()
    z = latent.autoencoder.encode(IMAGES)
    assert z.shape == (6, 2, 2, 3)
    save(tmp_path, latent, SDE, FromNoise, step=7)
    model = load(tmp_path)
    assert torch.equal(model.decode(z), latent.decode(z))
    assert torch.equal(model.network.autoencoder.encode(IMAGES), z)
    t, labels = torch.full((6,), 0.3), torch.tensor([0, 1, 2, 3, 0, 0])
    assert torch.equal(model.network(z, t, labels=labels), latent(z, t, labels=labels))
    assert torch.equal(model.score(z, t), FromNoise(latent.network, SDE)(z, t))
    assert float(latent.autoencoder.scale) != 1.0


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "model").write_text("mine")
    with pytest.raises(UnwrittenError, match=r"folder = '.*model.*' could not be written"):
        save(tmp_path / "model", small(), SDE, FromNoise)
    assert (tmp_path / "model").read_text() == "mine"


def test_parts_of_ones_own_are_filled_together(tmp_path):
    own = Latent(Labelled(nn.Bilinear(1, 1, 1), SDE, LogSNRLabel()), linear())
    save(tmp_path, own, SDE, FromNoise)
    other = Latent(Labelled(nn.Bilinear(1, 1, 1), SDE, LogSNRLabel()), linear(spread=2.0))
    with pytest.raises(ArgumentError, match=r"Latent, a class that sdeplug does not know"):
        load(tmp_path)
    assert load(tmp_path, other).network is other
    assert torch.equal(other.autoencoder.log_spread, own.autoencoder.log_spread)


def test_samples_of_a_model_of_data_are_data():
    model = Model(small().network, SDE, FromNoise)
    assert model.decode(IMAGES) is IMAGES


def test_what_does_not_fit_is_refused():
    with pytest.raises(PairingError, match=r"decoder = 3.*Autoencoder\(encoder, decoder\)"):
        Autoencoder(nn.Identity(), 3)
    with pytest.raises(ArgumentError, match=r"spread = 0.0: must be above 0"):
        Autoencoder(nn.Identity(), nn.Identity(), 0.0)
    with pytest.raises(PairingError, match=r"encoder returned \(6, 1, 8, 12\).*\(B, 2 C, ...\)"):
        Autoencoder(nn.Identity(), nn.Identity()).encode(IMAGES)
    with pytest.raises(PairingError, match=r"decoder returned shape \(5, 1\) .* \(5, 2\)"):
        Autoencoder(nn.Identity(), nn.Identity()).log_prob(normal(5, 2), normal(5, 1))
    with pytest.raises(ArgumentError, match=r"\(6, 1, 8, 11\).* sides that 4 divides"):
        SmallAutoencoder(width=8).encode(IMAGES[..., 1:])
    for make in (SmallAutoencoder, SmallUNet):
        with pytest.raises(ArgumentError, match="width = 12: must be a multiple of 8"):
            make(width=12)
    with pytest.raises(ArgumentError, match=r"draws = 0"):
        linear().evidence(normal(5, 2), standard, SharedNoise(0), draws=0)
    with pytest.raises(PairingError, match=r"autoencoder = Linear.*Latent\(network, autoencoder\)"):
        Latent(linear(), nn.Linear(1, 1))
