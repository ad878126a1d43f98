"""The posterior of a mixture: Bayes' theorem, point by point."""

from __future__ import annotations

import pytest
import torch
from common import normal

from sdeplug.conditioning import Downsample, Mask, Matrix, Measurement, exact_posterior
from sdeplug.errors import ArgumentError, PairingError
from sdeplug.targets import Empirical, Gaussian, GaussianMixture, mixture_64

close = torch.testing.assert_close
MIXTURE = GaussianMixture(
    (0.5, 1.5, 3.0), normal(3, 4), factors=normal(3, 4, 2, seed=1), std=(0.1, 0.4, 0.2)
)


@pytest.mark.parametrize("noise_std", [0.05, 1.0])
@pytest.mark.parametrize("count", [1, 3])
def test_it_is_the_prior_times_the_likelihood(noise_std, count):
    known = Measurement(Matrix(normal(count, 4, seed=2)), normal(1, count, seed=3), noise_std)
    posterior = exact_posterior(MIXTURE, known)
    x = posterior.means[0] + 0.3 * normal(20, 4, seed=4)
    evidence = MIXTURE.log_prob(x) + known.log_prob(x) - posterior.log_prob(x)
    close(evidence, evidence[:1].expand(20), rtol=1e-9, atol=1e-8)


def test_images_keep_their_shape():
    prior = Gaussian(normal(1, 4, 4), std=0.5)
    operator = Downsample(2)
    known = Measurement(operator, operator.forward(normal(1, 1, 4, 4, seed=1)), 0.1)
    posterior = exact_posterior(prior, known)
    assert posterior.shape == (1, 4, 4)
    # Each block has a law of its own: its mean is as sure as A A^T = 1/4 says.
    pooled = operator.forward(posterior.means)
    wanted = operator.forward(prior.means)
    gain = 0.25 * 0.25 / (0.25 * 0.25 + 0.01)
    close(pooled, wanted + gain * (known.y - wanted))


def test_points_are_only_weighed():
    data = normal(5, 3)
    known = Measurement(Mask(torch.tensor([True, False, True])), data[:1, [0, 2]], 0.5)
    posterior = exact_posterior(Empirical(data), known)
    close(posterior.means, data)
    close(posterior.weights.log() - known.log_prob(data), (posterior.weights.log()
          - known.log_prob(data))[:1].expand(5))  # fmt: skip


def test_without_noise_what_is_seen_is_known():
    known = Measurement(Mask(torch.tensor([True, False, False, True])), normal(1, 2, seed=5))
    posterior = exact_posterior(MIXTURE, known)
    close(posterior.means[:, [0, 3]], known.y.expand(len(posterior.means), 2))
    assert float(posterior.covariances[:, [0, 3]].abs().max()) < 1e-14


def test_the_covariances_of_a_mixture_are_those_of_its_moments():
    law = mixture_64()
    mean = law.means
    second = (
        law.weights[:, None, None] * (law.covariances + mean[:, :, None] * mean[:, None])
    ).sum(0)
    close(second - torch.outer(law.mean, law.mean), law.covariance)


@pytest.mark.parametrize(
    ("prior", "y", "noise_std", "words"),
    [
        (MIXTURE, normal(2, 4), 0.1, "of one sample"),
        (Gaussian(normal(5), std=1.0), normal(1, 4), 0.1, "of one sample of shape"),
        (Empirical(normal(3, 4)), normal(1, 4), 0.0, "noise_std = 0.0"),
    ],
)
def test_bad_input(prior, y, noise_std, words):
    known = Measurement(Matrix(torch.eye(4, dtype=torch.float64)), y, noise_std)
    with pytest.raises(ArgumentError, match=words):
        exact_posterior(prior, known)


def test_a_prior_that_is_no_mixture():
    known = Measurement(Matrix(torch.eye(4, dtype=torch.float64)), normal(1, 4), 0.1)
    with pytest.raises(PairingError, match="must be a GaussianMixture"):
        exact_posterior("prior", known)
