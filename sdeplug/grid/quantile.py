r"""Quantiles of the beta distribution, in float64 and without scipy.

With the logit :math:`w = \log x/(1-x)`, the logit of the distribution function :math:`I_x(a, b)`
is nearly a line on both sides, of slope a and of slope b: Newton's method on it needs few steps.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

_EXACT = 1e-15  # where the continued fraction stops
_CLOSE = 1e-12  # where Newton's method does, as a part of the logit
_MOST_TERMS, _MOST_STEPS = 10_000, 100


def beta_quantile(p: Tensor, a: float, b: float) -> Tensor:
    """x with I_x(a, b) = p, for p inside (0, 1), float64 and elementwise.

    Args:
        p: probabilities, any shape.
        a: first exponent, above 0.
        b: second exponent, above 0.
    """
    wanted = torch.logit(p)
    low = torch.full_like(p, -math.inf)
    high = torch.full_like(p, math.inf)
    w = wanted / max(min(a, b), 1.0)
    for _ in range(_MOST_STEPS):
        below, above, slope = _tails(w, a, b)
        miss = below - above - wanted
        low, high = torch.where(miss < 0, w, low), torch.where(miss > 0, w, high)
        following = w - miss / slope
        middle = 0.5 * (low + high)
        outside = (following <= low) | (following >= high)
        following = torch.where(outside & middle.isfinite() & (miss != 0), middle, following)
        done = bool(((following - w).abs() <= _CLOSE * (1.0 + w.abs())).all())
        w = following
        if done:
            break
    return torch.sigmoid(w)


def _tails(w: Tensor, a: float, b: float) -> tuple[Tensor, Tensor, Tensor]:
    """log I, log(1 - I), and the derivative of their difference by the logit w."""
    log_x, log_y = -softplus(-w), -softplus(w)
    log_front = a * log_x + b * log_y + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    left = log_x.exp() < (a + 1.0) / (a + b + 2.0)
    x = torch.where(left, log_x, log_y).exp()
    one = torch.where(left, torch.full_like(w, a), torch.full_like(w, b))
    other = a + b - one
    near = log_front - one.log() + _fraction(x, one, other).log()
    far = torch.log1p(-near.exp().clamp(max=1.0))
    below, above = torch.where(left, near, far), torch.where(left, far, near)
    return below, above, (log_front - below - above).exp()


def _fraction(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The continued fraction of the incomplete beta function, by Lentz's algorithm.

    DLMF 8.17.22; it converges quickly for x below (a + 1) / (a + b + 2).
    """
    c, d = torch.ones_like(x), 1.0 / (1.0 - (a + b) * x / (a + 1.0))
    value = d
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d, c = 1.0 / (1.0 + term * d), 1.0 + term / c
            value = value * (c * d)
        if bool(((c * d - 1.0).abs() < _EXACT).all()):
            break
    return value
