r"""Diffused Gaussian mixtures: the one computation behind all targets of this package.

Component k is :math:`N(m_k, f_k I + U_k \Lambda_k U_k^T)` with r orthonormal columns in U.
Diffused to :math:`x = \alpha x_0 + \sigma \epsilon` it has variance
:math:`\rho = \alpha^2 f + \sigma^2` off the columns and
:math:`\tau_j = \alpha^2 (f + \lambda_j) + \sigma^2` along them, so that with
:math:`v = x - \alpha m` and :math:`p = U^T v`

.. math::
    \log N = -\tfrac12 \Big[\frac{|v|^2 - |p|^2}{\rho} + (d - r) \log\rho
             + \sum_j \Big(\frac{p_j^2}{\tau_j} + \log\tau_j\Big) + d \log 2\pi\Big],
    \qquad
    \nabla \log N = -\frac{v}{\rho} + U \Big(\frac{\alpha^2 \lambda}{\rho\,\tau}\, p\Big).

r = 0 are round components, or point masses with f = 0; at r = d the terms in rho vanish and are
left out.  Squares are expanded, so that no array of B x K x d numbers is needed; at r < d this
leaves an error of about 1e-16 (spread of the means / sigma)^2 in a log-density.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

BUDGET = 2**22
"""How many numbers an intermediate result may have; larger batches go in pieces."""

_CACHE = 2**16  # and how many are worth having on a CPU, where what leaves the cache is slow

_LOG_2PI = math.log(2.0 * math.pi)


class Components(NamedTuple):
    """K components in d dimensions, of r columns each; everything float64 on one device.

    Attributes:
        log_weights: shape ``(K,)``.
        center: mean of the means, shape ``(d,)``.
        means: means less ``center``, so that expanded squares keep their digits, ``(K, d)``.
        norms: squared lengths of ``means``, ``(K,)``.
        basis: the transpose of U, orthonormal rows, ``(K, r, d)``.
        spectrum: lambda, ``(K, r)``.
        offset: U^T means, ``(K, r)``.
        floor: f, ``(K,)``, or ``(1,)`` if it is the same for all.
    """

    log_weights: Tensor
    center: Tensor
    means: Tensor
    norms: Tensor
    basis: Tensor
    spectrum: Tensor
    offset: Tensor
    floor: Tensor

    @classmethod
    def build(
        cls, weights: Tensor, means: Tensor, basis: Tensor, spectrum: Tensor, floor: Tensor
    ) -> Components:
        """Prepare what does not depend on x, alpha and sigma."""
        center = means.mean(0)
        means = means - center
        offset = torch.einsum("krd,kd->kr", basis, means)
        floor = floor[:1] if bool((floor == floor[0]).all()) else floor
        norms = means.square().sum(1)
        return cls(weights.log(), center, means, norms, basis, spectrum, offset, floor)

    def to(self, device: torch.device) -> Components:
        """A copy on another device."""
        # A tensor made in inference mode could never take part in a gradient.
        with torch.inference_mode(False):
            return Components(*(each.to(device) for each in self))

    @property
    def full(self) -> bool:
        """Whether the columns span the space."""
        return self.basis.shape[1] == self.basis.shape[2]

    @property
    def singular(self) -> bool:
        """Whether some component has a direction without variance."""
        thin = self.spectrum + self.floor[:, None] if self.full else self.floor
        return bool((thin == 0.0).any())

    def score(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Gradient of the log-density: ``(B, d)``."""
        return self._by_rows(self._score, self._width, x, alpha, sigma)

    def log_density(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Log-density in nats: ``(B,)``."""
        return self._by_rows(
            lambda *rows: self._joint(*rows)[0].logsumexp(1), self._width, x, alpha, sigma
        )

    def responsibilities(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Probability of each component given x: ``(B, K)``."""
        return self._by_rows(
            lambda *rows: self._joint(*rows)[0].softmax(1), self._width, x, alpha, sigma
        )

    def whiten(self, x: Tensor, index: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """C^(-1/2) (x - alpha m) of component ``index[i]`` for row i: ``(B, d)``."""
        return self._by_rows(self._whiten, self._gathered, x, index, alpha, sigma)

    def colour(self, index: Tensor, latent: Tensor, white: Tensor) -> Tensor:
        """m + U lambda^(1/2) latent + f^(1/2) white of component ``index[i]`` for row i.

        Args:
            index: ``(B,)``, int64.
            latent: N(0, I) numbers, ``(B, r)``.
            white: N(0, I) numbers, ``(B, d)``.
        """
        return self._by_rows(self._colour, self._gathered, index, latent, white)

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean ``(d,)`` and covariance ``(d, d)`` of the mixture."""
        weights = self.log_weights.exp()
        mean = weights @ self.means
        spread = self.means - mean
        covariance = spread.T @ (weights[:, None] * spread)
        columns = self.basis.flatten(0, 1)
        covariance += columns.T @ ((weights[:, None] * self.spectrum).reshape(-1, 1) * columns)
        covariance.diagonal().add_((weights * self.floor).sum())
        return self.center + mean, covariance

    def projected(self, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Means and variances of the components along unit vectors ``(P, d)``: ``(K, P)``."""
        along = torch.einsum("krd,pd->kpr", self.basis, directions)
        variances = self.floor[:, None] + (along.square() * self.spectrum[:, None]).sum(2)
        return (self.means + self.center) @ directions.T, variances

    @property
    def _width(self) -> int:
        """How many numbers an intermediate result has for each row."""
        return max(self.spectrum.numel(), len(self.log_weights))

    @property
    def _gathered(self) -> int:
        """Likewise, where each row has a component of its own."""
        return max(self.basis[0].numel(), self.basis.shape[2])

    @staticmethod
    def _by_rows(function: Callable[..., Tensor], width: int, *rows: Tensor) -> Tensor:
        size = BUDGET // width
        if rows[0].device.type == "cpu":
            # Few rows in a piece would read the parameters over and over.
            size = min(size, max(32, _CACHE // width))
        if len(rows[0]) <= max(1, size):
            return function(*rows)
        pieces = zip(*(torch.split(each, max(1, size)) for each in rows), strict=True)
        return torch.cat([function(*piece) for piece in pieces])

    def _joint(
        self, x: Tensor, alpha: Tensor, sigma: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """log(weight x density) ``(B, K)``, p ``(B, K, r)``, tau like p, rho ``(B, K or 1)``."""
        count, rank, dim = self.basis.shape
        x, alpha = x - alpha[:, None] * self.center, alpha[:, None]
        rho = alpha.square() * self.floor + sigma.square()[:, None]
        p = (x @ self.basis.flatten(0, 1).T).reshape(len(x), count, rank)
        p = p - alpha[..., None] * self.offset
        tau = rho[..., None] + alpha.square()[..., None] * self.spectrum
        exponent = (p.square() / tau + tau.log()).sum(2) + dim * _LOG_2PI
        if not self.full:
            distance = x.square().sum(1, keepdim=True) + alpha.square() * self.norms
            distance = distance - (2.0 * alpha * x) @ self.means.T - p.square().sum(2)
            exponent = exponent + distance / rho + (dim - rank) * rho.log()
        return self.log_weights - 0.5 * exponent, p, tau, rho

    def _score(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        joint, p, tau, rho = self._joint(x, alpha, sigma)
        share = joint.softmax(1)
        columns = self.basis.flatten(0, 1)
        if self.full:
            return -(share[..., None] * p / tau).flatten(1) @ columns
        share, alpha = share / rho, alpha[:, None]
        shrink = alpha.square()[..., None] * self.spectrum / tau
        pull = alpha * (share @ self.means + share.sum(1, keepdim=True) * self.center)
        pull = pull - share.sum(1, keepdim=True) * x
        return pull + (share[..., None] * shrink * p).flatten(1) @ columns

    def _whiten(self, x: Tensor, index: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        columns, alpha = self.basis[index], alpha[:, None]
        v = x - alpha * (self.center + self.means[index])
        p = torch.einsum("brd,bd->br", columns, v)
        rho = alpha.square() * self.floor.expand(len(self.means))[index, None]
        rho = rho + sigma.square()[:, None]
        tau = rho + alpha.square() * self.spectrum[index]
        if self.full:
            return torch.einsum("brd,br->bd", columns, p / tau.sqrt())
        return v / rho.sqrt() + torch.einsum("brd,br->bd", columns, p * (tau.rsqrt() - rho.rsqrt()))

    def _colour(self, index: Tensor, latent: Tensor, white: Tensor) -> Tensor:
        x = self.center + self.means[index]
        x = x + torch.einsum("brd,br->bd", self.basis[index], self.spectrum[index].sqrt() * latent)
        return x + self.floor.expand(len(self.means))[index, None].sqrt() * white
