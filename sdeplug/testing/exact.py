r"""The exact law of a sampler's output, without sampling.

With a Gaussian target the score is affine, so that a sampler with data-independent coefficients
is an affine map of its input and its noise draws,

.. math:: y = b + A x + \sum_j C_j z_j .

Impulses give b, A and every C_j, and for x ~ N(m, S) the output is exactly
:math:`N(A m + b,\; A S A^T + \sum_j C_j C_j^T)`: no Monte Carlo, no false alarms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug.brownian import BrownianPath
from sdeplug.errors import PairingError
from sdeplug.noise import NoiseSource
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.targets.base import Target

Sampler = Callable[[Tensor, Run], Tensor]
"""What carries a batch along: (x, run) -> y."""


@dataclass(frozen=True, eq=False)
class Law:
    """A Gaussian law.

    Attributes:
        mean: shape ``(D,)``, float64.
        covariance: shape ``(D, D)``, float64.
    """

    mean: Tensor
    covariance: Tensor


class Impulses(NoiseSource):
    """Noise that is zero but for a unit impulse: row 1 + D + j D + i gets it in coordinate i of
    draw j, and the rows before get none.

    Args:
        dimension: D, the numbers in a row.
    """

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self.draws = 0

    def normal(self, like: Tensor) -> Tensor:
        """Zeros of the shape of ``like``, with the impulses of this draw."""
        noise = torch.zeros_like(like)
        first = 1 + self.dimension * (1 + self.draws)
        if first < len(like):
            unit = torch.eye(self.dimension, dtype=like.dtype, device=like.device)
            noise[first : first + self.dimension] = unit.reshape(-1, *like.shape[1:])
        self.draws += 1
        return noise

    def brownian(self, like: Tensor, t: float, s: float) -> BrownianPath:
        """Not to be had: a path has no finite number of draws.

        Raises:
            PairingError: always.
        """
        raise PairingError("a solver that asks for Brownian paths has no exact law by impulses.")


def exact_law(sampler: Sampler, start: Law) -> Law:
    """The law of the output of an affine sampler, exactly.

    Args:
        sampler: function (x, run) -> y, affine in x and in the noise that it takes from
            ``run.noise``; a Gaussian target makes it so.
        start: law of x.

    Returns:
        The law of y, to rounding.
    """
    dimension = len(start.mean)
    dry = Impulses(dimension)
    with torch.no_grad():
        sampler(torch.zeros(1, dimension, dtype=torch.float64), Run(dry))
        rows = torch.zeros(1 + dimension * (1 + dry.draws), dimension, dtype=torch.float64)
        rows[1 : 1 + dimension] = torch.eye(dimension)
        out = sampler(rows, Run(Impulses(dimension)))
    offset, matrix = out[0], (out[1 : 1 + dimension] - out[0]).T
    noise = out[1 + dimension :] - out[0]
    covariance = matrix @ start.covariance @ matrix.T + noise.T @ noise
    return Law(matrix @ start.mean + offset, covariance)


def marginal_law(target: Target, sde: LinearSDE, t: float) -> Law:
    """Mean and covariance of p_t; its law where the target is Gaussian."""
    return Law(*target.moments(t, sde))


def relative_error(law: Law, wanted: Law) -> Tensor:
    """How far a law is from another, in units of the other's standard deviations.

    Returns:
        Relative errors of the standard deviations along the other's principal axes, then errors
        of the mean in units of them: shape ``(2 D,)``.
    """
    variances, axes = torch.linalg.eigh(wanted.covariance)
    std = variances.sqrt()
    actual = (axes.T @ law.covariance @ axes).diagonal().clamp(min=0.0).sqrt()
    shift = axes.T @ (law.mean - wanted.mean)
    return torch.cat((actual / std - 1.0, shift / std))
