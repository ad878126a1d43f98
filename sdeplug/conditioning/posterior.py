"""Scores of measured samples, by what they take the law of the data given the state for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug.conditioning.derivative import Pull
from sdeplug.conditioning.gradients import conjugate_gradients
from sdeplug.conditioning.measured import ByDenoised, Level, Measured
from sdeplug.options import option
from sdeplug.score import checked
from sdeplug.sde import expand, in_float32


@dataclass(frozen=True, repr=False)
class LocalScore(Measured):
    r"""The approximation of Song et al.: y is diffused with the state.

    .. math:: p_t(y | x) \approx N(\alpha_t y;\, A x,\; \alpha_t^2 \sigma_y^2 I + \sigma_t^2 A A^T).

    arXiv 2011.13456, appendix I.4, with the mean over the noise in y_t.  What the data are like
    does not enter: it is the limit of data that are spread far wider than sigma / alpha, and else
    it pulls too little.  No derivative of the score is taken.
    """

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """The score: x of shape ``(B, *D)`` and t of shape ``(B,)`` to ``(B, *D)``."""
        self.measurement.check(x)
        operator, (alpha, sigma), wide = self.measurement.operator, self.level(t), in_float32(x)
        y = self.measurement.rows(wide)
        residual = expand(alpha.to(y), y) * y - operator.forward(wide)
        noise = (alpha * self.measurement.noise_std).square()
        guidance = operator.solved(operator.adjoint(residual), sigma.square(), noise)
        return checked(self.score(x, t), x) + guidance.to(x.dtype)


@dataclass(frozen=True, repr=False)
class DPS(ByDenoised):
    r"""Diffusion posterior sampling: the data are taken for what the denoiser sees.

    .. math:: p_t(y | x) \approx N(y;\, A \hat x(x),\; \sigma_y^2 I).

    Chung et al., arXiv 2209.14687, equation 11.  Over-confident wherever x_t leaves x_0 open.  A
    small sigma_y makes it stiff: explicit solvers need short steps, or a scale below 1.  The
    program of the authors divides by the length of the residual in the place of sigma_y^2, and by
    the number of its steps: that is no score.
    """

    scale: float = option(1.0, ge=0.0, help="factor of the term")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.measurement.demand_noise("DPS")

    def weighted(self, residual: Tensor, level: Level, pull: Pull) -> Tensor:
        """scale A^T residual / sigma_y^2."""
        factor = self.scale / self.measurement.noise_std**2
        return factor * self.measurement.operator.adjoint(residual)


@dataclass(frozen=True, repr=False)
class PiGDM(ByDenoised):
    r"""Pseudo-inverse guidance: the data are round about what the denoiser sees.

    .. math:: p_t(y | x) \approx N(y;\, A \hat x(x),\; r_t^2 A A^T + \sigma_y^2 I), \qquad
              r_t^2 = \frac{\sigma_t^2 d^2}{\sigma_t^2 + \alpha_t^2 d^2}.

    Song, Vahdat, Mardani & Kautz, ICLR 2023, where d = 1.  Exact for data of the law N(m, d^2 I).
    """

    data_std: float = option(1.0, gt=0.0, help="standard deviation d of a number of the data")
    scale: float = option(1.0, ge=0.0, help="factor of the term")

    def weighted(self, residual: Tensor, level: Level, pull: Pull) -> Tensor:
        """scale (r^2 A^T A + sigma_y^2)^(-1) A^T residual."""
        operator, noise = self.measurement.operator, self.measurement.noise_std**2
        odds = (level.sigma / (level.alpha * self.data_std)).square()
        spread = self.data_std**2 * odds / (1.0 + odds)
        found = operator.solved(operator.adjoint(residual), spread, torch.full_like(spread, noise))
        return self.scale * found


@dataclass(frozen=True, repr=False)
class MomentMatching(ByDenoised):
    r"""Moment matching: mean and covariance of the data given the state are the right ones.

    .. math:: p_t(y | x) \approx N(y;\, A \hat x(x),\; A C A^T + \sigma_y^2 I), \qquad
              C = \operatorname{Cov}[x_0 | x_t = x] =
              \frac{\sigma_t^2}{\alpha_t} \frac{\partial \hat x}{\partial x}.

    Boys et al., arXiv 2310.06721; the system is solved by conjugate gradients, as in Rozet et al.,
    arXiv 2405.13712.  Exact for Gaussian data.  Each of the iterations is a product with the
    derivative of the score, about the cost of two evaluations; they are not counted as any.
    """

    iterations: int = option(20, ge=1, help="products with the covariance at most")
    tolerance: float = option(1e-4, ge=0.0, help="residual of the linear system, relative")

    def weighted(self, residual: Tensor, level: Level, pull: Pull) -> Tensor:
        """A^T (A C A^T + sigma_y^2)^(-1) residual."""
        operator, noise = self.measurement.operator, self.measurement.noise_std**2
        ratio = level.sigma.square() / level.alpha

        def apply(u: Tensor) -> Tensor:
            product = pull(operator.adjoint(u))
            seen = operator.forward(expand(ratio.to(product), product) * product)
            return seen.to(u.dtype) + noise * u

        found = conjugate_gradients(apply, residual, self.iterations, self.tolerance)
        return operator.adjoint(found)
