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

from sdeplug.pipeline import Pipeline
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.targets import Target
from sdeplug.testing.exact.impulses import Impulses

_FEW, _MORE = 4, 8  # steps that show how the number of draws grows with them

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


@dataclass(frozen=True, eq=False)
class Response:
    """What an affine sampler does: y = b + A x + sum of C_j z_j.

    Attributes:
        offset: b, shape ``(D,)``, float64.
        inputs: A transposed, shape ``(D, D)``: row i is the answer to a unit of x_i.
        noise: likewise all C_j, one below the other, shape ``(J D, D)``.
        apart: whether coordinates are kept apart; only the diagonals are here then, in the
            shapes ``(1, D)`` and ``(J, D)``.
    """

    offset: Tensor
    inputs: Tensor
    noise: Tensor
    apart: bool = False

    def law(self, start: Law) -> Law:
        """The law of y for x of a given law."""
        if self.apart:
            gain = self.inputs[0]
            variance = gain.square() * start.covariance.diagonal() + self.noise.square().sum(0)
            return Law(gain * start.mean + self.offset, torch.diag(variance))
        matrix = self.inputs.T
        covariance = matrix @ start.covariance @ matrix.T + self.noise.T @ self.noise
        return Law(matrix @ start.mean + self.offset, covariance)


def exact_law(sampler: Sampler, start: Law) -> Law:
    """The law of the output of an affine sampler, exactly.

    Args:
        sampler: function (x, run) -> y, affine in x and in the noise that it takes from
            ``run.noise``; a Gaussian target makes it so.  :func:`through` makes one of a
            pipeline.
        start: law of x.

    Returns:
        The law of y, to rounding.
    """
    return response(sampler, len(start.mean)).law(start)


def exact_spectrum(sampler: Sampler, start: Law, columns: int | None = None) -> Law:
    """As :func:`exact_law`, for a diagonal covariance and a sampler that keeps coordinates apart.

    One impulse serves all coordinates at once, which costs D times less.  That a sampler keeps
    them apart is to be seen from :func:`exact_law` on a rotated covariance.

    Args:
        sampler: function (x, run) -> y.
        start: law of x.
        columns: a guess of :func:`counted_columns`, which saves a run if it is right.
    """
    return response(sampler, len(start.mean), apart=True, columns=columns).law(start)


def response(
    sampler: Sampler, dimension: int, apart: bool = False, columns: int | None = None
) -> Response:
    """The answer of an affine sampler to impulses.

    Args:
        sampler: function (x, run) -> y.
        dimension: the numbers in a row of x.
        apart: whether the sampler keeps coordinates apart, so that one impulse serves them all.
        columns: a guess of :func:`counted_columns`, which saves a run if it is right.
    """
    patterns = probes(dimension, apart)
    if columns is not None:
        source = Impulses(patterns)
        out = _struck(sampler, source, columns)
        if source.columns == columns and not source.cut:
            return split(out[0], out[1:] - out[0], apart)
    out = _struck(sampler, *_dry(sampler, patterns).again())
    return split(out[0], out[1:] - out[0], apart)


def counted_columns(sampler: Sampler, dimension: int) -> int:
    """How many independent unit normals there are in the noise of a sampler."""
    return _dry(sampler, probes(dimension, apart=True)).again()[1]


def extrapolated_columns(counted: Callable[[int], int], steps: int) -> int:
    """A guess of :func:`counted_columns` on a long grid: right if each step draws as often.

    Args:
        counted: number of steps to the columns of a run over so many.
        steps: those of the long grid.
    """
    few, more = map(counted, (_FEW, _MORE))
    return max(few + (more - few) * (steps - _FEW) // (_MORE - _FEW), 0)


def _dry(sampler: Sampler, patterns: Tensor) -> Impulses:
    """Noise after a run that it had no impulses in."""
    source = Impulses(patterns)
    with torch.no_grad():
        sampler(torch.zeros_like(patterns[:1]), Run(source))
    return source


def _struck(sampler: Sampler, source: Impulses, columns: int) -> Tensor:
    """What becomes of no impulse, of each in x, and of each in a column of the noise."""
    patterns = source.patterns
    rows = patterns.new_zeros(1 + len(patterns) * (1 + columns), patterns.shape[1])
    rows[1 : 1 + len(patterns)] = patterns
    with torch.no_grad():
        return sampler(rows, Run(source))


def probes(dimension: int, apart: bool) -> Tensor:
    """The impulses that a sampler is asked with, one a row: float64."""
    one = torch.ones(1, dimension, dtype=torch.float64, device="cpu")
    return one if apart else torch.eye(dimension, dtype=torch.float64, device="cpu")


def split(offset: Tensor, changes: Tensor, apart: bool) -> Response:
    """A response from the changes that its impulses made, those in x first."""
    count = 1 if apart else len(offset)
    return Response(offset, changes[:count], changes[count:], apart)


def through(pipeline: Pipeline) -> Sampler:
    """All legs of a pipeline as a sampler, from T to where its last leg ends."""

    def sampler(x: Tensor, run: Run) -> Tensor:
        return pipeline.sample(x.shape, noise=run.noise, x=x).x

    return sampler


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
