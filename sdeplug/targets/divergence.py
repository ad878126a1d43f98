r"""The divergence of a diffused mixture's score, the trace of its Jacobian, in closed form.

.. math:: \nabla\cdot s = \sum_k w_k \big(\nabla\cdot s_k + |s_k|^2\big) - |s|^2,

where w_k is the probability of component k given x, and s_k the score of its Gaussian.  With rho,
tau, v and q as in :mod:`sdeplug.targets.components`, and c the scale of q, r columns give

.. math::
    \nabla\cdot s_k = -\frac{d}{\rho} + \sum_j c_j^2, \qquad
    |s_k|^2 = \frac{|v|^2}{\rho^2} - \frac{2 |q|^2}{\rho} + \sum_j c_j^2 q_j^2,

and where they span the space the terms in rho are left out, and the sum of c^2 is subtracted.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sdeplug.targets.components import Components, Level, row_sums


def score_and_divergence(parts: Components, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """The score, and in the last column its divergence: ``(B, d + 1)``."""

    def both(rows: Tensor, level: Level) -> Tensor:
        centred = rows - level.alpha * parts.center
        q = parts.along(centred, level)
        share = parts.shares(centred, level, q)
        score = parts.pull(centred, level, q, share)
        divergence = row_sums(share * _in_columns(parts, level, q)) - row_sums(score.square())
        if not parts.full:
            divergence = divergence + _off_columns(parts, centred, level, share)
        return torch.cat((score, divergence), 1)

    return parts.by_level(both, x, alpha, sigma)


def _in_columns(parts: Components, level: Level, q: Tensor) -> Tensor:
    """What the columns add to the divergence and the square of s_k: ``(B, K)``."""
    narrowing, squares = level.scale.square(), q.square()
    if parts.full:
        return (narrowing * (squares - 1.0)).sum(2)
    return (narrowing * (squares + 1.0) - 2.0 * squares / level.rho[..., None]).sum(2)


def _off_columns(parts: Components, x: Tensor, level: Level, share: Tensor) -> Tensor:
    """The mean of |v|^2 / rho^2 - d / rho over the components: ``(B, 1)``."""
    once = share / level.rho
    twice = once / level.rho
    lengths = row_sums(twice) * row_sums(x.square())
    lengths = lengths - 2.0 * level.alpha * row_sums(x * (twice @ parts.means))
    lengths = lengths + level.alpha.square() * (twice @ parts.norms[:, None])
    return lengths - x.shape[1] * row_sums(once)
