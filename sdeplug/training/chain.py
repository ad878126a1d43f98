r"""A linear SDE seen at a list of levels: the chain of denoising diffusion models.

A step up multiplies with :math:`a = \alpha_i / \alpha_{i-1}` and adds noise of variance
:math:`V = \sigma_i^2 - a^2 \sigma_{i-1}^2`.  The step down, given x_0 too, is normal
with variance :math:`\tilde\beta = V \sigma_{i-1}^2 / \sigma_i^2`.  Where x_0 is a guess, an error
of the score by e moves its mean by :math:`(V / a)\,e`.

Reference: Ho et al., arXiv 2006.11239, equations 6 and 7; Nichol & Dhariwal, arXiv 2102.09672.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from sdeplug.grid import TimeGrid
from sdeplug.sde import LinearSDE
from sdeplug.training.times import grid_levels


@dataclass(frozen=True, eq=False)
class Chain:
    """The steps down from each of N levels, in float64 on the CPU, each tensor of shape ``(N,)``.

    The step from the first level ends at the data, where the variance of x_{i-1} given x_i and
    x_0 is 0: in the place of its logarithm stands that of the next step, as in the paper.

    Attributes:
        t: times of the levels, rising, those left out where sigma is 0.
        pull: what an error of the score is multiplied with in the mean, V / a.
        lower: log of the variance of a step for data of one point, of beta tilde.
        upper: log of the variance of a step for data N(0, I), of V.
        snr_drop: SNR of the level below over that of the level, minus 1; infinite for the first.
    """

    t: Tensor
    pull: Tensor
    lower: Tensor
    upper: Tensor
    snr_drop: Tensor


@lru_cache(maxsize=16)
def chain_of(sde: LinearSDE, grid: TimeGrid) -> Chain:
    """The chain of an SDE at the times of a grid from T to 0.

    Raises:
        ArgumentError: if the grid has no such times.
    """
    t = grid_levels(grid, 0.0, sde)
    t = t[sde.sigma(t) > 0.0]
    blank = t.new_zeros(1)
    log_alpha = torch.cat((blank, sde.log_alpha(t)))
    sigma = torch.cat((blank, sde.sigma(t)))
    ratio = (2.0 * (log_alpha.diff() + (sigma[:-1] / sigma[1:]).log())).exp()  # of the SNRs
    variance = -sigma[1:].square() * torch.expm1(ratio.log())
    tilde = variance * (sigma[:-1] / sigma[1:]).square()
    tilde[:1] = tilde[1:2] if len(t) > 1 else variance
    pull = variance * (-log_alpha.diff()).exp()
    return Chain(t, pull, tilde.log(), variance.log(), 1.0 / ratio - 1.0)
