r"""Langevin correctors.

.. math:: x' = x + \epsilon\, s(x, t) + \sqrt{2 \epsilon}\, z

leaves p_t as it is when the step is short; the discretisation leaves a bias of order epsilon
that refining the grid does not remove, hence the declared floor: along a direction of variance
:math:`\epsilon / (2 r^2)` the stationary variance is :math:`1 / (1 - r^2)` times too large.
Song et al., arXiv 2011.13456, algorithms 4 and 5; Song & Ermon, arXiv 1907.05600, algorithm 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug import Claims, Corrector, LinearSDE, ReverseSDE, Run, option
from sdeplug_song.reference import langevin_factor, reference_steps

_PRIOR_DIMENSIONS = 256


@dataclass(frozen=True)
class Langevin(Corrector):
    r"""Langevin steps whose length follows the size of the score.

    By default each row has its own step, :math:`\epsilon = 2 r^2 / m` with r = ``snr``, where

    .. math:: m = \frac{\|s\|^2 + K / \sigma_t^2}{D + K}, \qquad K = \max(256, D),

    estimates the mean square of the score from the D numbers of the row and from K more that
    stand for what the noise level says.  It depends neither on the neighbours nor on a number of
    steps.  (A step from the row's norm alone, K = 0, is long where the density is high: at
    D = 2 that inflates the standard deviation by half, however small ``snr`` is.)  Since K is at
    least D, a step is at most twice that of :class:`AnnealedLangevin`, whatever the data.

    ``batch_mean`` is the rule of the paper: one step for the whole batch,
    :math:`\epsilon = 2\,(r\,\overline{\|z\|} / \overline{\|s\|})^2`, from batch means of norms.
    """

    snr: float = option(0.16, gt=0.0, help="signal-to-noise ratio r of a step")
    steps: int = option(1, ge=1, help="Langevin steps for each application")
    batch_mean: bool = option(False, help="one step for the whole batch, as in the paper")
    reference_steps: int | None = reference_steps()

    @property
    def claims(self) -> Claims:
        """A bias that falls with snr; coupled rows with ``batch_mean``.

        However short the steps are, that they follow the state leaves a bias of about 1 / (D + K)
        when each row has its own, and of about 1 / B, B the number of rows, with ``batch_mean``.

        With ``batch_mean`` no floor holds for all data: where D directions share one step, that
        of the least variance v is overshot by up to D snr^2, since the mean of the score's norm
        knows little of it; for variances 0.01 to 4 in D = 5 the bias is 8 % at snr = 0.16.
        """
        return Claims(
            affine=False,
            couples_batch=self.batch_mean,
            evaluations=self.steps,
            floor=math.inf if self.batch_mean else self._row_floor,
            needs=LinearSDE,
        )

    @property
    def _row_floor(self) -> float:
        """Steps of at most twice the noise level's, and that they follow the state."""
        return _floor(math.sqrt(2.0) * self.snr) + 2.0 / _PRIOR_DIMENSIONS

    def correct(self, reverse: ReverseSDE, x: Tensor, t: float, run: Run) -> Tensor:
        """Move x ~ p_t to another x' ~ p_t.

        With ``reference_steps`` the step is also multiplied by the factor 1 - beta of one
        forward step for VP and sub-VP, as in the reference implementation.
        """
        factor = 2.0 * self.snr**2 * _step_factor(reverse.linear, t, self.reference_steps)
        sigma = reverse.linear.at(t).sigma
        for _ in range(self.steps):
            score = reverse.score(x, t)
            z = run.noise.normal(x)
            if self.batch_mean:
                ratio = _norms(z).mean() / _norms(score).mean()
                # A score of 0 gives no length: the state stays, where inf * 0 would be no number.
                ratio = ratio.nan_to_num(0.0, posinf=0.0)
                length, spread = factor * ratio.square(), math.sqrt(2.0 * factor) * ratio
            else:
                length = factor / _mean_square(score, sigma)
                spread = (2.0 * length).sqrt()
            # Products and sums in one pass: for a network that costs nothing, passes are the cost.
            x = torch.addcmul(torch.addcmul(x, score, length), z, spread)
        return x


@dataclass(frozen=True)
class AnnealedLangevin(Corrector):
    r"""Langevin steps whose length follows the noise level: :math:`\epsilon = 2\,(r \sigma_t)^2`.

    The step depends on t alone, so that the corrector is affine for a Gaussian; it is the rule of
    NCSN, arXiv 1907.05600, with r constant over the levels.  Above r = 1 it would diverge.
    """

    snr: float = option(0.16, gt=0.0, le=1.0, help="signal-to-noise ratio r of a step")
    steps: int = option(1, ge=1, help="Langevin steps for each application")
    reference_steps: int | None = reference_steps()

    @property
    def claims(self) -> Claims:
        """A bias that falls with snr."""
        return Claims(evaluations=self.steps, floor=_floor(self.snr), needs=LinearSDE)

    def correct(self, reverse: ReverseSDE, x: Tensor, t: float, run: Run) -> Tensor:
        """Move x ~ p_t to another x' ~ p_t; ``reference_steps`` as in :class:`Langevin`."""
        factor = _step_factor(reverse.linear, t, self.reference_steps)
        length = 2.0 * factor * (self.snr * reverse.linear.at(t).sigma) ** 2
        for _ in range(self.steps):
            x = x + length * reverse.score(x, t) + math.sqrt(2.0 * length) * run.noise.normal(x)
        return x


def _norms(x: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(x.flatten(1), dim=1)
    return norms


def _mean_square(score: Tensor, sigma: float) -> Tensor:
    """Mean square of the score for each row, shrunk towards 1 / sigma^2: shape (B, 1, ...)."""
    flat = score.flatten(1)
    prior = max(_PRIOR_DIMENSIONS, flat.shape[1])
    total: Tensor = flat.square().sum(1) + prior / sigma**2
    mean = total / (flat.shape[1] + prior)
    return mean.reshape(-1, *(1,) * (score.ndim - 1))


def _step_factor(sde: LinearSDE, t: float, steps: int | None) -> float:
    return 1.0 if steps is None else langevin_factor(sde, t, steps)


def _floor(snr: float) -> float:
    """Relative bias of the standard deviation where the density is as narrow as the noise."""
    return 1.0 / math.sqrt(1.0 - snr**2) - 1.0 if snr < 1.0 else math.inf
