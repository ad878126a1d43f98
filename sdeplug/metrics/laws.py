"""Metrics against what is known exactly: moments of Gaussians, and of the modes of mixtures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from sdeplug.metrics.distances import bures_wasserstein, moments
from sdeplug.metrics.metric import Metric, Truth
from sdeplug.targets import Gaussian, GaussianMixture, Target


@dataclass(frozen=True)
class BuresWasserstein(Metric):
    """W2 between the Gaussian with the moments of the samples and that with the exact ones.

    In units of the standard deviation of a coordinate.  For a Gaussian target it is blind to
    nothing that an affine sampler can do wrong; for others it sees mean and covariance only.
    """

    @classmethod
    def suits(cls, target: Target) -> bool:
        """Gaussians: elsewhere two moments say little."""
        return isinstance(target, Gaussian)

    def measure(self, x: Tensor, truth: Truth) -> float:
        """The distance; its floor is about sqrt(D / n)."""
        flat = x.flatten(1).double().cpu()
        return bures_wasserstein(*moments(flat), truth.moments()) / truth.scale()


@dataclass(frozen=True)
class ModeWeights(Metric):
    """Share of the mass that is in the wrong mode: total variation between weights.

    The weight of a mode is the mean of its responsibilities, which varies less than a count.
    """

    @classmethod
    def suits(cls, target: Target) -> bool:
        """Mixtures of at least two components that have densities."""
        return _has_modes(target)

    def measure(self, x: Tensor, truth: Truth) -> float:
        """From 0 to 1."""
        shares = _shares(x, truth).mean(0)
        return 0.5 * float((shares - _mixture(truth).weights).abs().sum())


@dataclass(frozen=True)
class ModeMoments(Metric):
    """Error of mean and spread of the modes, each in units of its own standard deviations.

    Each sample gets a mode at random, by its responsibilities, and is whitened by the covariance
    of that mode: for exact samples the result is exactly N(0, I).  What is given is the root mean
    square, over modes and coordinates, of the errors of means and of standard deviations.
    """

    @classmethod
    def suits(cls, target: Target) -> bool:
        """Mixtures of at least two components that have densities."""
        return _has_modes(target)

    def measure(self, x: Tensor, truth: Truth) -> float:
        """In standard deviations of a mode; a mode without samples counts as 1."""
        shares = _shares(x, truth)
        uniform = torch.special.ndtr(truth.noise("modes").normal(shares[:, :1]))
        labels = torch.searchsorted(shares.cumsum(1), uniform)[:, 0].clamp(max=shares.shape[1] - 1)
        white = _mixture(truth).whitened(x, labels, truth.t, truth.sde).cpu()
        sizes = torch.bincount(labels, minlength=shares.shape[1])[:, None]
        zeros = white.new_zeros(shares.shape[1], white.shape[1])
        count = sizes.clamp(min=1)
        means = zeros.index_add(0, labels, white) / count
        squares = zeros.index_add(0, labels, white.square()) / count
        stds = (squares - means.square()).clamp(min=0.0).sqrt()
        means = torch.where(sizes > 0, means, 1.0)
        return float(torch.cat((means, stds - 1.0)).square().mean().sqrt())


@lru_cache(maxsize=1)  # by identity: the metrics of one cell look at the same samples
def _shares(x: Tensor, truth: Truth) -> Tensor:
    """Responsibilities on the CPU: ``(n, K)``."""
    return _mixture(truth).responsibilities(x, truth.t, truth.sde).cpu()


def _has_modes(target: Target) -> bool:
    return isinstance(target, GaussianMixture) and not target.singular and len(target.weights) > 1


def _mixture(truth: Truth) -> GaussianMixture:
    assert isinstance(truth.target, GaussianMixture)
    return truth.target
