"""Distances between laws, each formula once: of samples, of Gaussians, of mixtures on a line.

The noise of a distance between samples is that of the samples, so that none says anything
without its floor, the distance between two sets of exact draws.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from sdeplug.noise import NoiseSource

_PAIRED = 2000  # rows that an energy distance is computed from; its cost grows with the square
_NODES = 512  # of a table of a distribution function, for each component
_REACH = 9.0  # standard deviations from the mean that the table goes; beyond is nothing


def sliced_w2(x: Tensor, y: Tensor, noise: NoiseSource, directions: int = 64) -> float:
    """Sliced Wasserstein distance: root mean square over random directions of the distance W2.

    Bonneel et al. 2015.

    Args:
        x: samples, shape ``(n, *shape)``.
        y: as many exact draws.
        noise: draws the directions.
        directions: how many.

    Returns:
        In units of x; the same order of size as a shift of all samples along one axis, over
        the root of the dimension.
    """
    flat, other = x.flatten(1).double(), y.flatten(1).double()
    axes = unit_vectors(noise, directions, flat.shape[1])
    return gap(slices(flat, axes), slices(other, axes))


def energy_distance(x: Tensor, y: Tensor, rows: int = _PAIRED) -> float:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'| over the first rows, without bias.

    Székely & Rizzo 2013.  Around 0, and below it half of the time, when the laws agree.

    Args:
        x: samples, shape ``(n, *shape)``.
        y: exact draws, shape ``(m, *shape)``.
        rows: how many rows of each are used.
    """
    flat, other = (each.flatten(1).double()[:rows] for each in (x, y))
    within = sum(float(torch.nn.functional.pdist(each).mean()) for each in (flat, other))
    return 2.0 * float(torch.cdist(flat, other).mean()) - within


def bures_wasserstein(mean: Tensor, covariance: Tensor, other: tuple[Tensor, Tensor]) -> float:
    r"""The distance W2 of two Gaussians.

    .. math:: W_2^2 = |m - m'|^2 + \operatorname{tr}\big(C + C' - 2 (C^{1/2} C' C^{1/2})^{1/2}\big)

    Dowson & Landau 1982.

    Args:
        mean: shape ``(D,)``, float64.
        covariance: shape ``(D, D)``, float64.
        other: mean and covariance of the other one.
    """
    values, axes = torch.linalg.eigh(covariance)
    root = (axes * values.clamp(min=0.0).sqrt()) @ axes.T
    mixed = torch.linalg.eigvalsh(root @ other[1] @ root).clamp(min=0.0).sqrt().sum()
    squared = (mean - other[0]).square().sum() + covariance.trace() + other[1].trace() - 2.0 * mixed
    return float(squared.clamp(min=0.0).sqrt())


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean ``(F,)`` and covariance ``(F, F)`` of rows ``(n, F)``, in float64."""
    wide = features.double()
    return wide.mean(0), torch.atleast_2d(wide.T.cov())


def frechet(features: Tensor, law: tuple[Tensor, Tensor]) -> float:
    """Fréchet distance of features to a law: the square of W2 between Gaussians.

    Heusel et al., arXiv 1706.08500.

    Args:
        features: of samples, shape ``(n, F)``, any floating dtype.
        law: mean and covariance of the features that they should have, as :func:`moments` gives.
    """
    return bures_wasserstein(*moments(features), law) ** 2


def unit_vectors(noise: NoiseSource, count: int, dimension: int) -> Tensor:
    """Uniform directions: float64, shape ``(count, dimension)``."""
    axes = noise.normal(torch.empty(count, dimension, dtype=torch.float64, device="cpu"))
    unit: Tensor = axes / axes.norm(dim=1, keepdim=True)
    return unit


def slices(x: Tensor, axes: Tensor) -> Tensor:
    """Coordinates of x along each axis, in rising order: shape ``(P, n)``.

    Args:
        x: float64, shape ``(n, D)``.
        axes: float64, shape ``(P, D)``.
    """
    along = axes.to(x.device) @ x.T
    if along.is_cuda:
        return along.sort(1).values
    return torch.from_numpy(np.sort(along.numpy(), axis=1))  # many times as fast as torch's


def gap(sorted_x: Tensor, sorted_y: Tensor) -> float:
    """Root mean square of the differences of quantiles: W2 on the line, over all slices."""
    between = sorted_x - sorted_y.to(sorted_x.device)
    return float(torch.linalg.vector_norm(between)) / math.sqrt(between.numel())


def mixture_quantiles(weights: Tensor, means: Tensor, stds: Tensor, n: int) -> Tensor:
    """Quantiles (i + 1/2) / n of Gaussian mixtures on the line, to some 1e-9 of a deviation.

    By a table of the distribution function, then Newton's method between the nodes of the table.

    Args:
        weights: float64, shape ``(K,)``, of sum 1.
        means: of the components of each of P mixtures, shape ``(K, P)``.
        stds: their standard deviations, all above 0, shape ``(K, P)``.
        n: how many quantiles.

    Returns:
        float64, shape ``(P, n)``, rising along the rows.
    """
    levels = (torch.arange(n, dtype=torch.float64, device="cpu") + 0.5) / n
    offsets = torch.linspace(-_REACH, _REACH, _NODES, dtype=torch.float64, device="cpu")
    rows = []
    for mean, std in zip(means.T, stds.T, strict=True):
        nodes = (mean[:, None] + std[:, None] * offsets).flatten().sort().values
        values, _ = _distribution(nodes, weights, mean, std)
        place = torch.searchsorted(values, levels).clamp(1, len(nodes) - 1)
        low, high = nodes[place - 1], nodes[place]
        rise = (values[place] - values[place - 1]).clamp(min=1e-300)
        x = low + (high - low) * ((levels - values[place - 1]) / rise).clamp(0.0, 1.0)
        for _ in range(2):  # from 1e-4 deviations to 1e-8, to rounding
            value, density = _distribution(x, weights, mean, std)
            x = (x - (value - levels) / density.clamp(min=1e-300)).clamp(low, high)
        rows.append(x)
    return torch.stack(rows)


def _distribution(x: Tensor, weights: Tensor, mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
    """Distribution function and density of one mixture at x, shape ``(m,)``."""
    value, density = torch.zeros_like(x), torch.zeros_like(x)
    for weight, center, width in zip(weights.tolist(), mean.tolist(), std.tolist(), strict=True):
        z = (x - center) / width
        value += weight * torch.special.ndtr(z)
        density += (weight / (width * (2.0 * torch.pi) ** 0.5)) * torch.exp(-0.5 * z * z)
    return value, density
