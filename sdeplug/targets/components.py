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

Both parts in p are squares of one q, scaled: :math:`|q|^2` is what p adds to the bracket, with the
sign of whether the terms in rho are there.  What is no function of x is computed once where all
rows have one noise level.

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


class Level(NamedTuple):
    """What one noise level makes of the components; N is 1 for all rows, or one for each.

    Attributes:
        alpha: ``(N, 1)``.
        scale: of p, as in q = scale p: tau^(-1/2) where the columns span the space, else
            alpha (lambda / (rho tau))^(1/2); ``(N, K, r)``.
        constant: what of log(weight x density) does not depend on x, ``(N, K)``.
        rho: ``(N, K)``, or ``(N, 1)`` if it is the same for all.
        columns: scale times the transpose of U, ``(K r, d)``, where N is 1 and it is worth it.
    """

    alpha: Tensor
    scale: Tensor
    constant: Tensor
    rho: Tensor
    columns: Tensor | None = None


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
        return self.by_level(self._score, x, alpha, sigma)

    def log_density(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Log-density in nats: ``(B,)``."""
        return self.by_level(lambda *rows: _logsumexp(self._joint(*rows)), x, alpha, sigma)

    def responsibilities(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Probability of each component given x: ``(B, K)``."""
        return self.by_level(lambda *rows: _softmax(self._joint(*rows)), x, alpha, sigma)

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

    def by_level(
        self, function: Callable[[Tensor, Level], Tensor], x: Tensor, alpha: Tensor, sigma: Tensor
    ) -> Tensor:
        """A function of rows and what their noise level makes of the components."""
        if alpha.stride() == sigma.stride() == (0,):  # one number, expanded: one level for all
            level = self._level(alpha[:1], sigma[:1])
            if self.basis.numel() <= _CACHE:  # else they cost a small batch more than they save
                level = level._replace(columns=self._scaled(level.scale))
            return self._by_rows(lambda rows: function(rows, level), self._width, x)
        return self._by_rows(
            lambda rows, *at: function(rows, self._level(*at)), self._width, x, alpha, sigma
        )

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

    def _level(self, alpha: Tensor, sigma: Tensor) -> Level:
        _, rank, dim = self.basis.shape
        alpha, variance = alpha[:, None], sigma.square()[:, None]
        rho = alpha.square() * self.floor + variance
        tau = rho[..., None] + alpha.square()[..., None] * self.spectrum
        constant = tau.log().sum(2) + dim * _LOG_2PI
        if self.full:
            return Level(alpha, tau.rsqrt(), self.log_weights - 0.5 * constant, rho)
        constant = constant + (dim - rank) * rho.log() + alpha.square() * self.norms / rho
        narrowing = alpha[..., None] * self.spectrum.sqrt() * (rho[..., None] * tau).rsqrt()
        return Level(alpha, narrowing, self.log_weights - 0.5 * constant, rho)

    def _scaled(self, scale: Tensor) -> Tensor:
        return (scale[0, ..., None] * self.basis).flatten(0, 1)

    def _joint(self, x: Tensor, level: Level) -> Tensor:
        """log(weight x density): ``(B, K)``."""
        x = x - level.alpha * self.center
        found = self._relative(x, level, self.along(x, level))
        return found if self.full else found - 0.5 * row_sums(x.square()) / level.rho

    def _relative(self, x: Tensor, level: Level, q: Tensor) -> Tensor:
        """The same for centred x, plus |x|^2 / (2 rho) where the columns do not span the space."""
        if self.full:
            return level.constant - 0.5 * row_sums(q.square())[..., 0]
        found = torch.addcmul(level.constant, x @ self.means.T, level.alpha / level.rho)
        return found + 0.5 * row_sums(q.square())[..., 0] if q.shape[2] else found

    def along(self, x: Tensor, level: Level) -> Tensor:
        """q for centred x: ``(B, K, r)``."""
        count, rank, _ = self.basis.shape
        if not rank:
            return x.new_zeros(len(x), count, 0)
        shift = level.alpha[..., None] * self.offset
        if level.columns is not None:
            scaled = torch.addmm(-(shift * level.scale).flatten(), x, level.columns.T)
            return scaled.reshape(len(x), count, rank)
        p = (x @ self.basis.flatten(0, 1).T).reshape(len(x), count, rank)
        return (p - shift) * level.scale

    def _back(self, q: Tensor, level: Level) -> Tensor:
        """U scale q, summed over the components: ``(B, d)``."""
        if level.columns is not None:
            return q.flatten(1) @ level.columns
        return (q * level.scale).flatten(1) @ self.basis.flatten(0, 1)

    def _score(self, x: Tensor, level: Level) -> Tensor:
        x = x - level.alpha * self.center
        q = self.along(x, level)
        return self.pull(x, level, q, self.shares(x, level, q))

    def shares(self, x: Tensor, level: Level, q: Tensor) -> Tensor:
        """Probability of each component given centred x: ``(B, K)``."""
        logits = self._relative(x, level, q)
        if not self.full and level.rho.shape[1] > 1:  # else |x|^2 / (2 rho) is that of all
            logits = logits - 0.5 * row_sums(x.square()) / level.rho
        return _softmax(logits)

    def pull(self, x: Tensor, level: Level, q: Tensor, share: Tensor) -> Tensor:
        """The score, by the probabilities of the components."""
        if self.full:
            return -self._back(share[..., None] * q, level)
        if level.rho.shape[1] == 1:
            pull = (level.alpha * (share @ self.means) - x) / level.rho
        else:
            pull = share / level.rho
            pull = level.alpha * (pull @ self.means) - row_sums(pull) * x
        return pull + self._back(share[..., None] * q, level) if q.shape[2] else pull

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


def _softmax(logits: Tensor) -> Tensor:
    """Softmax over the columns; for few of them torch's own takes twice as long."""
    shares = (logits - logits.detach().amax(1, keepdim=True)).exp()
    return shares / row_sums(shares)


def _logsumexp(logits: Tensor) -> Tensor:
    """Logarithm of the sum of exponentials of a row, ``(B,)``; torch's own takes twice as long."""
    most = logits.detach().amax(1, keepdim=True)
    return (row_sums((logits - most).exp()).log() + most).squeeze(1)


def row_sums(rows: Tensor) -> Tensor:
    """Sums over the last axis, which stays: as a product, ten times as fast where it is short."""
    return rows @ rows.new_ones(rows.shape[-1], 1)
