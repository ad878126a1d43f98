r"""Laws of test statistics when nothing is wrong, or nothing more than a bound tau.

Each function turns a statistic into a p-value.  With tau = 0 the null is the law itself; with
tau > 0 it is *inflated*: the p-value is an upper bound, to first order in tau, over all laws whose
means and standard deviations are within the fraction tau of what they should be.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

SHIFT = 0.3990
"""Largest change of the normal distribution function under a shift by 1: the density at 0."""

SCALE = 0.2420
"""Largest change of it, per unit, when the scale changes: the maximum of x times the density."""

_AD_SHIFT = 0.6933  # the same two in the weighted mean square of Anderson and Darling
_AD_SCALE = 0.5197
_REACH = 9.0  # standard deviations of a Poisson law outside which there is nothing
_AD_TAIL = 5.0  # from where the first term of the tail is used, which is 6 % too small there


def normal(z: float, allowed: float = 0.0, scale: float = 1.0) -> float:
    """Two-sided p-value of z ~ N(mean, scale^2), the mean at most ``allowed`` from 0."""
    excess = max(abs(z) - allowed, 0.0) / scale
    return math.erfc(excess / math.sqrt(2.0))


def chi2_upper(q: float, freedom: int, noncentrality: float = 0.0, scale: float = 1.0) -> float:
    """Upper tail of scale times a (noncentral) chi-square variable at q.

    A noncentral one is chi-square of freedom + 2 J, J of the Poisson law of half its noncentrality.
    """
    from scipy import special

    half = 0.5 * noncentrality
    if half == 0.0:
        return float(special.chdtrc(freedom, q / scale))
    reach = _REACH * (math.sqrt(half) + _REACH)
    counts = np.arange(max(0.0, math.floor(half - reach)), math.ceil(half + reach))
    shares = np.exp(special.xlogy(counts, half) - half - special.gammaln(counts + 1.0))
    return float(shares @ special.chdtrc(freedom + 2.0 * counts, q / scale))


def chi2_scale(q: float, freedom: int, tau: float = 0.0) -> float:
    """Two-sided p-value of a sum of squares whose scale is within (1 +- tau)^2."""
    from scipy import special

    low = special.chdtr(freedom, q / (1.0 - tau) ** 2)
    high = special.chdtrc(freedom, q / (1.0 + tau) ** 2)
    return min(1.0, 2.0 * float(min(low, high)))


def kolmogorov_smirnov(uniform: Tensor, allowed: float = 0.0) -> Tensor:
    """P-values of numbers that should be uniform on [0, 1], one for each column.

    Args:
        uniform: shape ``(n, m)``.
        allowed: distance between distribution functions that is let pass.

    Returns:
        Shape ``(m,)``: twice the exact p-value of one side (Smirnov 1944), which is an upper bound,
        and in the tail, where it matters, exact to some 1e-6 of itself for nothing allowed.
    """
    from scipy import special

    ordered = uniform.sort(0).values
    count = len(ordered)
    ranks = torch.arange(1, count + 1, dtype=ordered.dtype, device="cpu")[:, None] / count
    above, below = (ranks - ordered).amax(0), (ordered - ranks + 1.0 / count).amax(0)
    distance = (torch.maximum(above, below) - allowed).clamp(min=0.0)
    return torch.from_numpy(2.0 * special.smirnov(count, distance.numpy())).clamp(max=1.0)


def anderson_darling(white: Tensor, tau: float = 0.0) -> Tensor:
    """P-values of numbers that should be N(0, 1), one for each column: ``(n, m)`` to ``(m,)``.

    The statistic is the squared length of a difference of distribution functions, so that by the
    triangle inequality a bounded error adds a bounded length to its root.
    """
    ordered = white.sort(0).values
    count = len(ordered)
    odd = torch.arange(1, 2 * count, 2, dtype=ordered.dtype, device="cpu")[:, None]
    terms = torch.special.log_ndtr(ordered) + torch.special.log_ndtr(-ordered.flip(0))
    squared = (-count - (odd * terms).sum(0) / count).clamp(min=0.0)
    excess = squared.sqrt() - math.sqrt(count) * tau * (_AD_SHIFT + _AD_SCALE)
    tails = [_ad_tail(z) for z in excess.clamp(min=0.0).square().tolist()]
    return torch.tensor(tails, dtype=torch.float64, device="cpu")


def _ad_tail(z: float) -> float:
    r"""Upper tail of the limit law of the Anderson-Darling statistic.

    In the body the fit of Marsaglia & Marsaglia 2004.  It is the law of
    :math:`\sum_j \chi^2_1 / (j (j + 1))`, so that far out the tail is
    :math:`\sqrt{3}\,\mathrm{erfc}\sqrt{z}` from below.
    """
    if z >= _AD_TAIL:
        return 1.06 * math.sqrt(3.0) * math.erfc(math.sqrt(z))
    if z >= 2.0:
        fit = 1.0776 - z * (
            2.30695 - z * (0.43424 - z * (0.082433 - z * (0.008056 - 0.0003146 * z)))
        )
        return -math.expm1(-math.exp(fit))
    if z <= 0.0:
        return 1.0
    fit = 2.00012 + z * (
        0.247105 - z * (0.0649821 - z * (0.0347962 - z * (0.011672 - 0.00168691 * z)))
    )
    return 1.0 - math.exp(-1.2337141 / z) / math.sqrt(z) * fit


def bartlett(white: Tensor) -> tuple[float, int]:
    r"""The covariance of N(0, I) rows as a sum of independent squares, exactly chi-square.

    With centred rows :math:`Y^T Y` is Wishart, and in its Cholesky factor L (Bartlett 1933) the
    :math:`L_{ij}`, i > j, are N(0, 1) and the :math:`L_{jj}^2` chi-square of n - 1 - j degrees
    of freedom, all independent; the latter become normal by their distribution functions.

    Args:
        white: shape ``(n, d)``, n > d.

    Returns:
        The sum and its degrees of freedom, d (d + 1) / 2; infinite if the rows do not span.
    """
    from scipy import special

    count, dim = white.shape
    centred = white - white.mean(0)
    factor, trouble = torch.linalg.cholesky_ex(centred.T @ centred)
    if int(trouble):
        return math.inf, dim * (dim + 1) // 2
    squares = factor.diagonal().square().numpy()
    freedom = count - 1 - torch.arange(dim, dtype=torch.int64, device="cpu").numpy()
    low, high = special.chdtr(freedom, squares), special.chdtrc(freedom, squares)
    diagonal = -special.ndtri((low < high) * low + (low >= high) * high)
    total = float(factor.tril(-1).square().sum()) + float((diagonal**2).sum())
    return total, dim * (dim + 1) // 2
