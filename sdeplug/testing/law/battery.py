r"""Samples against p_t: a battery of statistics with known laws.

For a mixture :math:`p_t = \sum_k w_k N(m_k, C_k)` draw a label K for each row from its
responsibilities, and set :math:`Y = C_K^{-1/2} (x - m_K)`.  If x ~ p_t, then *exactly* and for any
number of rows K is drawn from w, Y ~ N(0, I), and all are independent ("randomised whitening").
This holds for data sets and low-rank covariances too, since p_t has the noise in all directions.
Statistics of (K, Y) therefore have laws that are known, most of them for finite samples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug.metrics import unit_vectors
from sdeplug.noise import NoiseSource
from sdeplug.sde import LinearSDE
from sdeplug.targets import GaussianMixture
from sdeplug.testing.law import nulls

_SLICES = 8


@dataclass(frozen=True, eq=False)
class Whitened:
    """Samples of p_t in units of their components.

    Attributes:
        x: the samples, float64, ``(n, D)``.
        y: what should be N(0, I), ``(n, D)``.
        labels: what should be drawn from ``weights``, int64, ``(n,)``.
        shares: responsibilities, ``(n, K)``.
        weights: of the components, ``(K,)``.
        lever: C_K^(-1/2) (m_K - m) for each row, m the mean of p_t, ``(n, D)``.
    """

    x: Tensor
    y: Tensor
    labels: Tensor
    shares: Tensor
    weights: Tensor
    lever: Tensor


def whiten(
    x: Tensor, target: GaussianMixture, t: float, sde: LinearSDE, noise: NoiseSource
) -> Whitened:
    """Randomised whitening.

    Args:
        x: samples, shape ``(n, *shape)``.
        target: the data law.
        t: time in [0, T] of the samples.
        sde: the SDE that turns data into noise.
        noise: where the labels come from; nothing that x depends on.
    """
    shares = target.responsibilities(x, t, sde)
    uniform = torch.special.ndtr(noise.normal(shares.new_empty(len(x))))
    labels = torch.searchsorted(shares.cumsum(1), uniform[:, None])[:, 0]
    labels = labels.clamp(max=shares.shape[1] - 1)
    y = target.whitened(x, labels, t, sde)
    center = target.moments(t, sde)[0].expand(len(x), -1).reshape(x.shape)
    lever = -target.whitened(center, labels, t, sde)
    return Whitened(x.flatten(1).double(), y, labels, shares, target.weights, lever)


def law_pvalues(
    x: Tensor,
    target: GaussianMixture,
    t: float,
    sde: LinearSDE,
    noise: NoiseSource,
    tau: float = 0.0,
) -> Mapping[str, float]:
    """P-values of the hypothesis that the rows of x are independent draws of p_t.

    Under it each is uniform on [0, 1] or larger ("conservative"); take the smallest times their
    number for one verdict.  Rows should be float64: in few dimensions float32 repeats itself.

    Args:
        x: samples, shape ``(n, *shape)``, at least 100 rows and more rows than numbers in one.
        target: the data law.
        t: time in [0, T], where p_t has a density.
        sde: the SDE that turns data into noise.
        noise: draws labels and directions; nothing that x depends on.
        tau: relative error of means and standard deviations that is let pass, 0 <= tau < 1;
            weights of components may then be off by twice as much.

    Returns:
        ``finite`` alone if x is not; else by name ``labels`` and ``responsibilities`` (weights of
        the components; not for a single one), ``mean``, ``mode means``, ``energy``,
        ``covariance``, ``radius`` and ``coordinates`` (of Y), ``dilation`` (of the whole about
        its mean; not for a single component), ``neighbours`` and ``halves`` (dependence of rows),
        ``slices`` (distributions of projections) and ``duplicates``.
    """
    if not bool(x.isfinite().all()):
        return {"finite": 0.0}
    white = whiten(x, target, t, sde, noise)
    found = {
        "mean": _mean(white, tau),
        "energy": _energy(white, tau),
        "covariance": _covariance(white, tau),
        "radius": _radius(white, tau),
        "coordinates": _coordinates(white, tau),
        "neighbours": _neighbours(white, tau),
        "halves": _halves(white, tau),
        "slices": _slices(white, _projections(target, t, sde, noise), tau),
        "duplicates": _duplicates(white),
    }
    if len(white.weights) > 1:
        found |= {
            "labels": _labels(white, tau),
            "responsibilities": _responsibilities(white, tau),
            "mode means": _mode_means(white, tau),
            "dilation": _dilation(white, tau),
        }
    return found


def _labels(white: Whitened, tau: float) -> float:
    """Pearson's chi-square of the label counts; its law is that of many rows."""
    counts = torch.bincount(white.labels, minlength=len(white.weights)).double()
    return _weights_off(counts / len(white.y), white, tau)


def _responsibilities(white: Whitened, tau: float) -> float:
    """The same of mean responsibilities, which vary less than the labels: conservative."""
    return _weights_off(white.shares.mean(0), white, tau)


def _weights_off(observed: Tensor, white: Whitened, tau: float) -> float:
    count, weights = len(white.y), white.weights
    off = float(((observed - weights).square() / weights).sum())
    freedom, allowed = len(weights) - 1, 2.0 * tau
    return nulls.chi2_upper(count * off, freedom, count * allowed**2, 1.0 + allowed)


def _mean(white: Whitened, tau: float) -> float:
    """n |mean of Y|^2, exactly chi-square."""
    count, dim = white.y.shape
    squared = count * float(white.y.mean(0).square().sum())
    return nulls.chi2_upper(squared, dim, count * tau**2, (1.0 + tau) ** 2)


def _mode_means(white: Whitened, tau: float) -> float:
    """The same, summed over the components: exactly chi-square given the labels."""
    count, dim = white.y.shape
    sizes = torch.bincount(white.labels, minlength=len(white.weights))
    sums = white.y.new_zeros(len(sizes), dim).index_add_(0, white.labels, white.y)
    squared = float((sums.square().sum(1) / sizes.clamp(min=1)).sum())
    freedom = dim * int((sizes > 0).sum())
    return nulls.chi2_upper(squared, freedom, count * tau**2, (1.0 + tau) ** 2)


def _energy(white: Whitened, tau: float) -> float:
    """Sum of |Y|^2, exactly chi-square."""
    return nulls.chi2_scale(float(white.y.square().sum()), white.y.numel(), tau)


def _covariance(white: Whitened, tau: float) -> float:
    """All entries of Y^T Y by Bartlett's decomposition, exactly chi-square."""
    count, dim = white.y.shape
    squared, freedom = nulls.bartlett(white.y)
    return nulls.chi2_upper(squared, freedom, 2.0 * count * dim * tau**2, (1.0 + tau) ** 4)


def _radius(white: Whitened, tau: float) -> float:
    """Kolmogorov-Smirnov on |Y|^2, exactly."""
    from scipy import special

    half = 0.5 * white.y.shape[1]
    squares = white.y.square().sum(1, keepdim=True)
    uniform = torch.from_numpy(special.gammainc(half, 0.5 * squares.numpy()))
    # The most that a change of scale can do: 2 D times the density of chi-square at D.
    slope = 2.0 * math.exp(half * math.log(half) - half - math.lgamma(half))
    return float(nulls.kolmogorov_smirnov(uniform, slope * tau)[0])


def _coordinates(white: Whitened, tau: float) -> float:
    """Anderson-Darling on each coordinate of Y; the smallest of D p-values, times D."""
    return _smallest(nulls.anderson_darling(white.y, tau))


def _dilation(white: Whitened, tau: float) -> float:
    """Y along the lever from the mean to its component, exactly normal given the labels.

    With the energy these are the two parts of the trace E[score . (x - mean)] = -D of the Stein
    operator; this one moves when the components move apart, or a few of them away.
    """
    length = float(white.lever.square().sum().sqrt())
    along = float((white.y * white.lever).sum()) / length
    return nulls.normal(along, tau * math.sqrt(len(white.y)), 1.0 + tau)


def _neighbours(white: Whitened, tau: float) -> float:
    """Products of neighbouring rows, two disjoint families of pairs, each exactly normal."""
    y = white.y
    even, odd = (_products(y[first:-1:2], y[first + 1 :: 2], tau) for first in (0, 1))
    return min(1.0, 2.0 * min(even, odd))


def _halves(white: Whitened, tau: float) -> float:
    """Products of row i and row i + n/2, as in antithetic or repeated noise."""
    half = len(white.y) // 2
    return _products(white.y[:half], white.y[half : 2 * half], tau)


def _products(first: Tensor, second: Tensor, tau: float) -> float:
    """Sum of Y . Y', normal given the first; a common shift of all rows is let pass."""
    count = min(len(first), len(second))
    first, second = first[:count], second[:count]
    along = float((first * second).sum()) / float(first.square().sum().sqrt())
    return nulls.normal(along, tau**2 * math.sqrt(first.numel()), 1.0 + tau)


def _slices(white: Whitened, projections: tuple[Tensor, Tensor, Tensor], tau: float) -> float:
    """Kolmogorov-Smirnov on random projections of x, whose laws are mixtures in one dimension."""
    directions, means, stds = projections
    projected = white.x @ directions.T
    uniform = torch.zeros_like(projected)
    for weight, mean, std in zip(white.weights.tolist(), means, stds, strict=True):
        uniform += weight * torch.special.ndtr((projected - mean) / std)
    allowed = (nulls.SHIFT + nulls.SCALE + 1.0) * tau
    return _smallest(nulls.kolmogorov_smirnov(uniform, allowed))


def _projections(
    target: GaussianMixture, t: float, sde: LinearSDE, noise: NoiseSource
) -> tuple[Tensor, Tensor, Tensor]:
    """Directions ``(8, D)``; means and standard deviations of the components along them,
    ``(K, 8)``."""
    directions = unit_vectors(noise, _SLICES, target.means[0].numel())
    return (directions, *target.projected(directions, t, sde))


def _duplicates(white: Whitened) -> float:
    """Two equal rows do not happen; to compare them whole is dear, and seldom needed."""
    if bool((white.x[:, 0].sort().values.diff() > 0.0).all()):
        return 1.0
    return float(len(torch.unique(white.x, dim=0)) == len(white.x))


def _smallest(pvalues: Tensor) -> float:
    return min(1.0, len(pvalues) * float(pvalues.min()))
