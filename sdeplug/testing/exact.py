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
    """Noise that is zero but for impulses: row 1 + p + j p + i gets the i-th of p patterns in
    draw j, and the rows before get none.

    Args:
        patterns: the impulses, one a row, shape ``(p, D)``.
    """

    def __init__(self, patterns: Tensor) -> None:
        self.patterns = patterns
        self.draws = 0

    def normal(self, like: Tensor) -> Tensor:
        """Zeros of the shape of ``like``, with the impulses of this draw."""
        noise = torch.zeros_like(like)
        count = len(self.patterns)
        first = 1 + count * (1 + self.draws)
        if first < len(like):
            noise[first : first + count] = self.patterns.to(like).reshape(-1, *like.shape[1:])
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
    out = _responses(sampler, torch.eye(len(start.mean), dtype=torch.float64))
    dimension = len(start.mean)
    matrix, noise = out[1 : 1 + dimension].T, out[1 + dimension :]
    covariance = matrix @ start.covariance @ matrix.T + noise.T @ noise
    return Law(matrix @ start.mean + out[0], covariance)


def exact_spectrum(sampler: Sampler, start: Law) -> Law:
    """As :func:`exact_law`, for a diagonal covariance and a sampler that keeps coordinates apart.

    One impulse serves all coordinates at once, which costs D times less.  That a sampler keeps
    them apart is to be seen from :func:`exact_law` on a rotated covariance.
    """
    out = _responses(sampler, torch.ones(1, len(start.mean), dtype=torch.float64))
    variance = out[1].square() * start.covariance.diagonal() + out[2:].square().sum(0)
    return Law(out[1] * start.mean + out[0], torch.diag(variance))


def _responses(sampler: Sampler, patterns: Tensor) -> Tensor:
    """The output at zero input, then its changes for each pattern in x and in each draw."""
    dry = Impulses(patterns)
    with torch.no_grad():
        sampler(torch.zeros_like(patterns[:1]), Run(dry))
        rows = patterns.new_zeros(1 + len(patterns) * (1 + dry.draws), patterns.shape[1])
        rows[1 : 1 + len(patterns)] = patterns
        out = sampler(rows, Run(Impulses(patterns)))
    return torch.cat((out[:1], out[1:] - out[0]))


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
