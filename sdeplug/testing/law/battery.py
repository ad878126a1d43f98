r"""Samples against p_t: a battery of statistics with known laws.

For a mixture :math:`p_t = \sum_k w_k N(m_k, C_k)` draw a label K for each row from its
responsibilities, and set :math:`Y = C_K^{-1/2} (x - m_K)`.  If x ~ p_t, then *exactly* and for any
number of rows K is drawn from w, Y ~ N(0, I), and all are independent ("randomised whitening").
This holds for data sets and low-rank covariances too, since p_t has the noise in all directions.
Statistics of (K, Y) therefore have laws that are known, most of them for finite samples.

Many experiments are judged at once, where their samples are: each statistic below gives one number
for each of them.
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
    """Samples of p_t in units of their components; in :meth:`blocks` n is another axis, after S.

    Attributes:
        x: the samples, float64, ``(n, D)``.
        y: what should be N(0, I), ``(n, D)``.
        labels: what should be drawn from ``weights``, int64, ``(n,)``.
        shares: responsibilities, ``(n, K)``.
        lever: C_K^(-1/2) (m_K - m) for each row, m the mean of p_t, ``(n, D)``.
        weights: of the components, ``(K,)``.
    """

    x: Tensor
    y: Tensor
    labels: Tensor
    shares: Tensor
    lever: Tensor
    weights: Tensor

    def blocks(self, count: int) -> Whitened:
        """The same rows as those of S experiments, one after the other: ``(S, n, ...)``."""
        rows = self.x, self.y, self.labels, self.shares, self.lever
        x, y, labels, shares, lever = (each.unflatten(0, (count, -1)) for each in rows)
        return Whitened(x, y, labels, shares, lever, self.weights)


def whiten(
    x: Tensor, target: GaussianMixture, t: float, sde: LinearSDE, noise: NoiseSource
) -> Whitened:
    """Randomised whitening, where x is.

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
    center = target.moments(t, sde)[0].to(y.device).expand(len(x), -1).reshape(x.shape)
    lever = -target.whitened(center, labels, t, sde)
    return Whitened(x.flatten(1).to(y), y, labels, shares, lever, target.weights.to(y.device))


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
    return law_pvalues_of_many(x[None], target, t, sde, noise, tau)[0]


def law_pvalues_of_many(
    x: Tensor,
    target: GaussianMixture,
    t: float,
    sde: LinearSDE,
    noise: NoiseSource,
    tau: float = 0.0,
) -> list[Mapping[str, float]]:
    """The same for many experiments at once, on the device of their samples.

    They have labels of their own, and the directions of ``slices`` in common; these x does not
    depend on, so that independent experiments have independent p-values.

    Args:
        x: samples of S experiments, shape ``(S, n, *shape)``.
        target: the data law.
        t: time in [0, T], where p_t has a density.
        sde: the SDE that turns data into noise.
        noise: draws labels and directions; nothing that x depends on.
        tau: as for :func:`law_pvalues`.

    Returns:
        What :func:`law_pvalues` gives, for each experiment.
    """
    finite = x.flatten(1).isfinite().all(1)
    if not bool(finite.all()):
        told = law_pvalues_of_many(x[finite], target, t, sde, noise, tau) if finite.any() else []
        others = iter(told)
        return [next(others) if each else {"finite": 0.0} for each in finite.tolist()]
    white = whiten(x.flatten(0, 1), target, t, sde, noise).blocks(len(x))
    found = {
        "mean": _mean(white, tau),
        "energy": _energy(white, tau),
        "covariance": _covariance(white, tau),
        "radius": _radius(white, tau),
        "coordinates": nulls.anderson_darling(white.y, tau),
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
    table = torch.stack(tuple(found.values()), dim=1).tolist()  # one look at the device for all
    return [dict(zip(found, row, strict=True)) for row in table]


def _labels(white: Whitened, tau: float) -> Tensor:
    """Pearson's chi-square of the label counts; its law is that of many rows."""
    return _weights_off(_sizes(white) / white.y.shape[1], white, tau)


def _responsibilities(white: Whitened, tau: float) -> Tensor:
    """The same of mean responsibilities, which vary less than the labels: conservative."""
    return _weights_off(white.shares.mean(1), white, tau)


def _weights_off(observed: Tensor, white: Whitened, tau: float) -> Tensor:
    count, weights = white.y.shape[1], white.weights
    off = ((observed - weights).square() / weights).sum(1)
    freedom, allowed = len(weights) - 1, 2.0 * tau
    return nulls.chi2_upper(count * off, freedom, count * allowed**2, 1.0 + allowed)


def _places(white: Whitened) -> Tensor:
    """The labels, numbered on from experiment to experiment: ``(S n,)``."""
    experiments = torch.arange(len(white.y), dtype=torch.int64, device=white.y.device)[:, None]
    return (white.labels + len(white.weights) * experiments).flatten()


def _sizes(white: Whitened) -> Tensor:
    """How many rows have each label: float64, ``(S, K)``."""
    count = len(white.weights)
    sizes = torch.bincount(_places(white), minlength=count * len(white.y))
    return sizes.reshape(-1, count).to(white.y)


def _mean(white: Whitened, tau: float) -> Tensor:
    """n |mean of Y|^2, exactly chi-square."""
    _, count, dim = white.y.shape
    squared = count * white.y.mean(1).square().sum(1)
    return nulls.chi2_upper(squared, dim, count * tau**2, (1.0 + tau) ** 2)


def _mode_means(white: Whitened, tau: float) -> Tensor:
    """The same, summed over the components: exactly chi-square given the labels."""
    _, count, dim = white.y.shape
    sizes = _sizes(white)
    sums = white.y.new_zeros(sizes.numel(), dim)
    sums = sums.index_add_(0, _places(white), white.y.flatten(0, 1)).reshape(*sizes.shape, dim)
    squared = (sums.square().sum(2) / sizes.clamp(min=1.0)).sum(1)
    freedom = dim * (sizes > 0.0).sum(1)
    return nulls.chi2_upper(squared, freedom, count * tau**2, (1.0 + tau) ** 2)


def _energy(white: Whitened, tau: float) -> Tensor:
    """Sum of |Y|^2, exactly chi-square."""
    return nulls.chi2_scale(white.y.square().sum((1, 2)), white.y[0].numel(), tau)


def _covariance(white: Whitened, tau: float) -> Tensor:
    """All entries of Y^T Y by Bartlett's decomposition, exactly chi-square."""
    _, count, dim = white.y.shape
    squared, freedom = nulls.bartlett(white.y)
    return nulls.chi2_upper(squared, freedom, 2.0 * count * dim * tau**2, (1.0 + tau) ** 4)


def _radius(white: Whitened, tau: float) -> Tensor:
    """Kolmogorov-Smirnov on |Y|^2, exactly."""
    half = 0.5 * white.y.shape[2]
    squares = white.y.square().sum(2, keepdim=True)
    uniform = torch.special.gammainc(squares.new_tensor(half), 0.5 * squares)
    # The most that a change of scale can do: 2 D times the density of chi-square at D.
    slope = 2.0 * math.exp(half * math.log(half) - half - math.lgamma(half))
    return nulls.kolmogorov_smirnov(uniform, slope * tau)


def _dilation(white: Whitened, tau: float) -> Tensor:
    """Y along the lever from the mean to its component, exactly normal given the labels.

    With the energy these are the two parts of the trace E[score . (x - mean)] = -D of the Stein
    operator; this one moves when the components move apart, or a few of them away.
    """
    length = white.lever.square().sum((1, 2)).sqrt()
    along = (white.y * white.lever).sum((1, 2)) / length
    return nulls.normal(along, tau * math.sqrt(white.y.shape[1]), 1.0 + tau)


def _neighbours(white: Whitened, tau: float) -> Tensor:
    """Products of neighbouring rows, two disjoint families of pairs, each exactly normal."""
    y = white.y
    even, odd = (_products(y[:, first:-1:2], y[:, first + 1 :: 2], tau) for first in (0, 1))
    return (2.0 * torch.minimum(even, odd)).clamp(max=1.0)


def _halves(white: Whitened, tau: float) -> Tensor:
    """Products of row i and row i + n/2, as in antithetic or repeated noise."""
    half = white.y.shape[1] // 2
    return _products(white.y[:, :half], white.y[:, half : 2 * half], tau)


def _products(first: Tensor, second: Tensor, tau: float) -> Tensor:
    """Sum of Y . Y', normal given the first; a common shift of all rows is let pass."""
    count = min(first.shape[1], second.shape[1])
    first, second = first[:, :count], second[:, :count]
    along = (first * second).sum((1, 2)) / first.square().sum((1, 2)).sqrt()
    return nulls.normal(along, tau**2 * math.sqrt(first[0].numel()), 1.0 + tau)


def _slices(white: Whitened, projections: tuple[Tensor, Tensor, Tensor], tau: float) -> Tensor:
    """Kolmogorov-Smirnov on random projections of x, whose laws are mixtures in one dimension."""
    directions, means, stds = (each.to(white.x) for each in projections)
    projected = white.x @ directions.T
    uniform = torch.zeros_like(projected)
    for weight, mean, std in zip(white.weights, means, stds, strict=True):
        uniform += weight * torch.special.ndtr((projected - mean) / std)
    return nulls.kolmogorov_smirnov(uniform, (nulls.SHIFT + nulls.SCALE + 1.0) * tau)


def _projections(
    target: GaussianMixture, t: float, sde: LinearSDE, noise: NoiseSource
) -> tuple[Tensor, Tensor, Tensor]:
    """Directions ``(8, D)``; means and standard deviations of the components along them,
    ``(K, 8)``."""
    directions = unit_vectors(noise, _SLICES, target.means[0].numel())
    return (directions, *target.projected(directions, t, sde))


def _duplicates(white: Whitened) -> Tensor:
    """Two equal rows do not happen; to compare them whole is dear, and seldom needed."""
    apart = (white.x[:, :, 0].sort(1).values.diff(dim=1) > 0.0).all(1).tolist()
    rows = zip(apart, white.x, strict=True)
    found = [each or len(torch.unique(x, dim=0)) == len(x) for each, x in rows]
    return white.x.new_tensor(found)
