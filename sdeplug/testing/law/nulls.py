r"""Laws of test statistics when nothing is wrong, or nothing more than a bound tau.

Each function turns statistics, one for each of many experiments, into p-values, on the device
where they are.  With tau = 0 the null is the law itself; with tau > 0 it is *inflated*: the
p-value is an upper bound, to first order in tau, over all laws whose means and standard deviations
are within the fraction tau of what they should be.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

SHIFT = 0.3990
"""Largest change of the normal distribution function under a shift by 1: the density at 0."""

SCALE = 0.2420
"""Largest change of it, per unit, when the scale changes: the maximum of x times the density."""

_AD_SHIFT = 0.6933  # the same two in the weighted mean square of Anderson and Darling
_AD_SCALE = 0.5197
_REACH = 9.0  # standard deviations of a Poisson law outside which there is nothing
_AD_BODY, _AD_TAIL = 2.0, 5.0  # from where another fit, and the first term of the tail are used
_AD_LOW = (2.00012, 0.247105, -0.0649821, 0.0347962, -0.011672, 0.00168691)
_AD_HIGH = (1.0776, -2.30695, 0.43424, -0.082433, 0.008056, -0.0003146)
_TINY = 1e-300  # in the place of 0, whose logarithm is infinite


def normal(z: Tensor, allowed: float = 0.0, scale: float = 1.0) -> Tensor:
    """Two-sided p-values of z ~ N(mean, scale^2), the mean at most ``allowed`` from 0."""
    excess = (z.abs() - allowed).clamp(min=0.0) / scale
    tails: Tensor = torch.special.erfc(excess / math.sqrt(2.0))
    return tails


def chi2_upper(
    q: Tensor, freedom: Tensor | int, noncentrality: float = 0.0, scale: float = 1.0
) -> Tensor:
    """Upper tails of scale times a (noncentral) chi-square variable at q.

    A noncentral one is chi-square of freedom + 2 J, J of the Poisson law of half its noncentrality.

    Args:
        q: float64, any shape.
        freedom: one number, or one for each q.
        noncentrality: of the variable, at least 0.
        scale: above 0.
    """
    half = 0.5 * noncentrality
    shape = 0.5 * torch.as_tensor(freedom, dtype=q.dtype, device=q.device)
    if half == 0.0:
        tails: Tensor = torch.special.gammaincc(shape, 0.5 * q / scale)
        return tails
    reach = _REACH * (math.sqrt(half) + _REACH)
    counts = torch.arange(
        max(0.0, math.floor(half - reach)), math.ceil(half + reach), dtype=q.dtype, device=q.device
    )
    shares = (torch.special.xlogy(counts, half) - half - torch.lgamma(counts + 1.0)).exp()
    each: Tensor = torch.special.gammaincc(shape[..., None] + counts, (0.5 * q / scale)[..., None])
    mixed: Tensor = each @ shares
    return mixed


def chi2_scale(q: Tensor, freedom: int, tau: float = 0.0) -> Tensor:
    """Two-sided p-values of sums of squares whose scale is within (1 +- tau)^2."""
    shape, half = q.new_tensor(0.5 * freedom), 0.5 * q
    low = torch.special.gammainc(shape, half / (1.0 - tau) ** 2)
    high = torch.special.gammaincc(shape, half / (1.0 + tau) ** 2)
    return (2.0 * torch.minimum(low, high)).clamp(max=1.0)


def kolmogorov_smirnov(uniform: Tensor, allowed: float = 0.0) -> Tensor:
    """P-values of columns of numbers that should be uniform on [0, 1]: the smallest, times m.

    Args:
        uniform: shape ``(..., n, m)``.
        allowed: distance between distribution functions that is let pass.

    Returns:
        Shape ``(...)``: of a column it is twice the exact p-value of one side (Smirnov 1944), which
        is an upper bound, and in the tail, where it matters, exact to some 1e-6 of itself for
        nothing allowed.
    """
    ordered = uniform.sort(-2).values
    count, columns = ordered.shape[-2:]
    ranks = torch.arange(1, count + 1, dtype=ordered.dtype, device=ordered.device)[:, None] / count
    off = torch.maximum((ranks - ordered).amax(-2), (ordered - ranks).amax(-2) + 1.0 / count)
    distance = (off.amax(-1) - allowed).clamp(min=0.0)
    return columns * (2.0 * _smirnov(distance, count)).clamp(max=1.0 / columns)


def _smirnov(distance: Tensor, count: int) -> Tensor:
    r"""Upper tail of the one-sided distance d between n uniform numbers and their law, exactly.

    .. math:: d \sum_{j < n (1 - d)} \tbinom{n}{j} (1 - d - j/n)^{n - j} (d + j/n)^{j - 1} ,

    all terms of which are positive; by logarithms, as the binomials are large.
    """
    d = distance[..., None].clamp(min=_TINY)
    j = torch.arange(count, dtype=d.dtype, device=d.device)
    ways = math.lgamma(count + 1.0) - torch.lgamma(j + 1.0) - torch.lgamma(count - j + 1.0)
    rest = ((count - j) / count - d).clamp(min=0.0)
    logs = ways + (count - j) * rest.log() + (j - 1.0) * (j / count + d).log() + d.log()
    return logs.exp().sum(-1)


def anderson_darling(white: Tensor, tau: float = 0.0) -> Tensor:
    """P-values of columns of numbers that should be N(0, 1): the smallest, times m.

    The statistic is the squared length of a difference of distribution functions, so that by the
    triangle inequality a bounded error adds a bounded length to its root.

    Args:
        white: shape ``(..., n, m)``.
        tau: relative error that is let pass.

    Returns:
        Shape ``(...)``.
    """
    ordered = white.sort(-2).values
    count, columns = ordered.shape[-2:]
    odd = torch.arange(1, 2 * count, 2, dtype=ordered.dtype, device=ordered.device)[:, None]
    terms = torch.special.log_ndtr(ordered) + torch.special.log_ndtr(-ordered.flip(-2))
    squared = (-count - (odd * terms).sum(-2) / count).amax(-1).clamp(min=0.0)
    excess = squared.sqrt() - math.sqrt(count) * tau * (_AD_SHIFT + _AD_SCALE)
    return (columns * _ad_tail(excess.clamp(min=0.0).square())).clamp(max=1.0)


def _ad_tail(z: Tensor) -> Tensor:
    r"""Upper tail of the limit law of the Anderson-Darling statistic.

    In the body the fit of Marsaglia & Marsaglia 2004.  It is the law of
    :math:`\sum_j \chi^2_1 / (j (j + 1))`, so that far out the tail is
    :math:`\sqrt{3}\,\mathrm{erfc}\sqrt{z}` from below, at 5 by 6 %.
    """
    low = z.clamp(min=1e-3)  # below there is nothing
    body = 1.0 - (-1.2337141 / low).exp() / low.sqrt() * _polynomial(_AD_LOW, low)
    high = -torch.expm1(-_polynomial(_AD_HIGH, z.clamp(max=_AD_TAIL)).exp())
    tail = 1.06 * math.sqrt(3.0) * torch.special.erfc(z.sqrt())
    return torch.where(z < _AD_BODY, body, torch.where(z < _AD_TAIL, high, tail))


def _polynomial(coefficients: tuple[float, ...], z: Tensor) -> Tensor:
    """Its value, by Horner's rule; the constant comes first."""
    value = torch.full_like(z, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value = coefficient + z * value
    return value


def bartlett(white: Tensor) -> tuple[Tensor, int]:
    r"""The covariance of N(0, I) rows as a sum of independent squares, exactly chi-square.

    With centred rows :math:`Y^T Y` is Wishart, and in its Cholesky factor L (Bartlett 1933) the
    :math:`L_{ij}`, i > j, are N(0, 1) and the :math:`L_{jj}^2` chi-square of n - 1 - j degrees
    of freedom, all independent; the latter become normal by their distribution functions.

    Args:
        white: shape ``(..., n, d)``, n > d.

    Returns:
        The sums, ``(...)``, and their degrees of freedom, d (d + 1) / 2; infinite where the rows
        do not span.
    """
    count, dim = white.shape[-2:]
    centred = white - white.mean(-2, keepdim=True)
    factor, trouble = torch.linalg.cholesky_ex(centred.mT @ centred)
    half = 0.5 * factor.diagonal(dim1=-2, dim2=-1).square()
    shape = 0.5 * (count - 1 - torch.arange(dim, dtype=half.dtype, device=half.device))
    tails = torch.special.gammainc(shape, half), torch.special.gammaincc(shape, half)
    diagonal = torch.special.ndtri(torch.minimum(*tails))  # its sign does not matter
    total = factor.tril(-1).square().sum((-2, -1)) + diagonal.square().sum(-1)
    return torch.where(trouble == 0, total, math.inf), dim * (dim + 1) // 2
