r"""What the scores of measured samples share.

.. math:: \nabla \log p_t(x | y) = \nabla \log p_t(x) + \nabla \log p_t(y | x), \qquad
          p_t(y | x) = \int N(y; A x_0, \sigma_y^2 I)\, p(x_0 | x_t = x)\, dx_0 .

The first term is the score that one has.  The methods differ in what they take p(x_0 | x_t) for:
each is a Gaussian, and each is a score model, so that every solver, corrector and likelihood works
with it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from sdeplug.conditioning.derivative import Pull, demand_gradient, pull_back, recorded
from sdeplug.conditioning.measurement import Measurement
from sdeplug.errors import PairingError, brief, brief_fields
from sdeplug.options import Configured, option
from sdeplug.score import ScoreModel, checked, for_rows, sde_of
from sdeplug.sde import LinearSDE, expand, in_float32

M = TypeVar("M", bound="Measured")


class Level(NamedTuple):
    """alpha and sigma at the time of each row: float64, shape ``(B,)``."""

    alpha: Tensor
    sigma: Tensor


@dataclass(frozen=True, repr=False)
class Measured(Configured, ABC):
    """A score of all data and a measurement: the score of the samples that were measured."""

    score: ScoreModel = option(help="score of all data; it knows its SDE")
    measurement: Measurement = option(help="what was measured")

    __repr__ = brief_fields

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(sde_of(self.score), LinearSDE):
            raise PairingError(
                f"score = {brief(self.score)}: must know its linear SDE, since alpha and sigma "
                "are asked for. FromScore(score, sde) is a score that does."
            )

    @abstractmethod
    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """The score: x of shape ``(B, *D)`` and t of shape ``(B,)`` to ``(B, *D)``."""

    @property
    def sde(self) -> LinearSDE:
        """The SDE whose score it is."""
        sde = sde_of(self.score)
        assert isinstance(sde, LinearSDE)
        return sde

    def for_rows(self: M, rows: Tensor) -> M:
        """The same for some rows of the batch: int64, shape ``(R,)``."""
        score, measurement = for_rows(self.score, rows), self.measurement.for_rows(rows)
        return replace(self, score=score, measurement=measurement)

    def level(self, t: Tensor) -> Level:
        """alpha and sigma at times of shape ``(B,)``."""
        with torch.inference_mode(False):  # they take part in what is recorded
            times = t.clone().to(torch.float64)
            return Level(self.sde.alpha(times), self.sde.sigma(times))


class ByDenoised(Measured):
    r"""A score by way of :math:`\hat x = E[x_0 | x_t]` and its derivative in x_t.

    A Gaussian of covariance C around :math:`\hat x` gives the term

    .. math:: \Big(\frac{\partial \hat x}{\partial x}\Big)^T A^T
              (A C A^T + \sigma_y^2 I)^{-1} (y - A \hat x) .
    """

    @abstractmethod
    def weighted(self, residual: Tensor, level: Level, pull: Pull) -> Tensor:
        r"""A^T (A C A^T + sigma_y^2)^(-1) of a residual.

        Args:
            residual: y - A x^, shape ``(B, *M)``.
            level: alpha and sigma of each row.
            pull: products with the derivative of x^, samples to samples.

        Returns:
            Shape ``(B, *D)``.
        """

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """The score: x of shape ``(B, *D)`` and t of shape ``(B,)`` to ``(B, *D)``.

        Raises:
            ArgumentError: for x of another shape than that of the measured samples.
            ScoreModelError: if the score has no gradient in x.
        """
        self.measurement.check(x)
        level, graph = self.level(t), torch.is_grad_enabled()
        with recorded(x) as z:
            score = checked(self.score(z, t), z)
            demand_gradient(score, "the score")
            wide = in_float32(z)
            alpha, sigma = (expand(each.to(wide), wide) for each in level)
            denoised = (wide + sigma.square() * score) / alpha
        pull = pull_back(denoised, z)
        if not graph:
            score, denoised = score.detach(), denoised.detach()
        residual = self.measurement.residual(denoised)
        return score + pull(self.weighted(residual, level, pull)).to(score.dtype)
