"""Gaussians, mixtures of Gaussians, and data sets: targets with exact diffused scores."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError
from sdeplug.noise import NoiseSource
from sdeplug.sde import LinearSDE
from sdeplug.targets import parameters as read
from sdeplug.targets.base import Target
from sdeplug.targets.components import Components
from sdeplug.targets.divergence import score_and_divergence


class GaussianMixture(Target):
    """A mixture of Gaussians with covariances f I + C, where C is full, low-rank or left out.

    All numbers are kept in float64.  Two mixtures with the same numbers are equal.

    Args:
        weights: positive numbers, one for each component, in any unit: they are divided by their
            sum.  None: all the same.
        means: shape ``(K, *shape)``, which decides the shape of a sample.
        covariances: C in full, symmetric and positive semi-definite, ``(K, D, D)``, over
            flattened samples.
        factors: C by its factors L, as in C = L L^T, ``(K, D, r)``.
        std: square root of f, a number or one for each component.  0 makes a component without
            a density of its own: a point, or a disc of dimension r.

    Raises:
        ArgumentError: for numbers that are not finite or shapes that do not fit, for weights
            that are not positive, covariances that are none, or when no spread is given.
    """

    def __init__(
        self,
        weights: object,
        means: object,
        covariances: object = None,
        *,
        factors: object = None,
        std: object = None,
    ) -> None:
        # A tensor made in inference mode could never take part in a gradient.
        with torch.inference_mode(False), torch.no_grad():
            centers = read.batch("means", means)
            self._shape = tuple(centers.shape[1:])
            centers = centers.flatten(1)
            count, dim = centers.shape
            if covariances is not None and factors is not None:
                raise ArgumentError("factors", read.short(factors), "left out beside covariances")
            if covariances is not None:
                basis, spectrum = read.covariances(covariances, count, dim)
            elif factors is not None:
                basis, spectrum = read.factors(factors, count, dim)
            elif std is not None:
                basis, spectrum = centers.new_zeros(count, 0, dim), centers.new_zeros(count, 0)
            else:
                raise ArgumentError(
                    "std", None, "given when covariances and factors are not",
                    "std=0.0 makes point masses.",
                )  # fmt: skip
            share = read.weights(
                torch.ones(count, dtype=torch.float64, device="cpu")
                if weights is None
                else weights,
                count,
            )
            floor = read.floor(0.0 if std is None else std, count)
            home = Components.build(share, centers, basis, spectrum, floor)
        self._on = {torch.device("cpu"): home}

    def __repr__(self) -> str:
        count, rank, _ = self._home.basis.shape
        return f"{type(self).__name__}(components={count}, shape={self.shape}, rank={rank})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GaussianMixture) or type(self) is not type(other):
            return NotImplemented
        same = map(torch.equal, self._home, other._home)
        return self.shape == other.shape and all(same)

    def __hash__(self) -> int:
        return hash((type(self), self.shape, self._home.basis.shape))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_on": {torch.device("cpu"): self._home}}

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return self._shape

    @property
    def weights(self) -> Tensor:
        """Probability of each component: float64, shape ``(K,)``."""
        return self._home.log_weights.exp()

    @property
    def means(self) -> Tensor:
        """Means of the components: float64, shape ``(K, *shape)``."""
        home = self._home
        return (home.means + home.center).reshape(-1, *self.shape)

    @property
    def covariances(self) -> Tensor:
        """Covariances of the components, f I + C: float64, shape ``(K, D, D)``."""
        home = self._home
        spread = torch.einsum("krd,kr,kre->kde", home.basis, home.spectrum, home.basis)
        spread.diagonal(dim1=1, dim2=2).add_(home.floor[:, None])
        return spread

    @property
    def singular(self) -> bool:
        """Whether some component has a direction without variance."""
        return self._home.singular

    @property
    def mean(self) -> Tensor:
        """Mean of the data law: float64, shape ``(D,)``."""
        return self._home.moments()[0]

    @property
    def covariance(self) -> Tensor:
        """Covariance of the data law: float64, shape ``(D, D)``."""
        return self._home.moments()[1]

    def score_at(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Gradient of the log-density of alpha x_0 + sigma epsilon: ``(B, *shape)``."""
        return self._at(x).score(x.flatten(1), alpha, sigma).reshape(x.shape)

    def score_and_divergence(
        self, x: Tensor, alpha: Tensor, sigma: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The same and the trace of its Jacobian: ``(B, *shape)`` and ``(B,)``."""
        found = score_and_divergence(self._at(x), x.flatten(1), alpha, sigma)
        return found[:, :-1].reshape(x.shape), found[:, -1]

    def log_density(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Log-density of alpha x_0 + sigma epsilon in nats: ``(B,)``."""
        return self._at(x).log_density(x.flatten(1), alpha, sigma)

    def draw(self, n: int, noise: NoiseSource, device: torch.device) -> Tensor:
        """Draw x_0 from the data law: float64, shape ``(n, *shape)``."""
        blank = torch.zeros(n, dtype=torch.float64, device=device)
        parts = self._at(blank)
        bounds = parts.log_weights.exp().cumsum(0)
        # The number at which the normal distribution function is u has the law of u itself.
        uniform = torch.special.ndtr(noise.normal(blank))
        index = torch.searchsorted(bounds, uniform, right=True).clamp(max=len(bounds) - 1)
        _, rank, dim = parts.basis.shape
        latent, white = blank.new_zeros(n, rank), blank.new_zeros(n, dim)
        if rank:
            latent = noise.normal(latent)
        if bool(self._home.floor.any()):
            white = noise.normal(white)
        return parts.colour(index, latent, white).reshape(n, *self.shape)

    def responsibilities(self, x: Tensor, t: float = 0.0, sde: LinearSDE | None = None) -> Tensor:
        """Probability that x_t = x came from each component: float64, shape ``(B, K)``.

        Raises:
            ArgumentError: as :meth:`log_prob`.
        """
        wide, alpha, sigma = self._rows(x, t, sde)
        return self._at(wide).responsibilities(wide.flatten(1), alpha, sigma)

    def whitened(
        self, x: Tensor, component: Tensor, t: float = 0.0, sde: LinearSDE | None = None
    ) -> Tensor:
        """What x_t = x would be in units of its component: N(0, I) if it came from there.

        Args:
            x: state, shape ``(B, *shape)``.
            component: number of the component of each row, int64, shape ``(B,)``.
            t: time in [0, T].
            sde: the SDE that turns data into noise.

        Returns:
            float64, shape ``(B, D)``.

        Raises:
            ArgumentError: as :meth:`log_prob`.
        """
        wide, alpha, sigma = self._rows(x, t, sde)
        index = component.to(wide.device)
        return self._at(wide).whiten(wide.flatten(1), index, alpha, sigma)

    def projected(
        self, directions: Tensor, t: float = 0.0, sde: LinearSDE | None = None
    ) -> tuple[Tensor, Tensor]:
        """The laws of x_t along directions: on a line each is a mixture with the same weights.

        Args:
            directions: unit vectors, float64, shape ``(P, D)``.
            t: time in [0, T].
            sde: the SDE that turns data into noise.

        Returns:
            Means and standard deviations of the components: float64, shape ``(K, P)``.

        Raises:
            ArgumentError: for a time that is not allowed.
        """
        alpha, sigma = self._marginal(t, sde)
        means, variances = self._home.projected(directions)
        return alpha * means, (alpha**2 * variances + sigma**2).sqrt()

    @property
    def _home(self) -> Components:
        return self._on[torch.device("cpu")]

    def _at(self, x: Tensor) -> Components:
        """The components on the device of x, copied there once."""
        parts = self._on.get(x.device)
        if parts is None:
            parts = self._on[x.device] = self._home.to(x.device)
        return parts


class Gaussian(GaussianMixture):
    """N(mean, f I + C): a mixture of one component.

    Args:
        mean: any shape, which is the shape of a sample.
        covariance: C in full, shape ``(D, D)``, over the flattened sample.
        factor: C by its factor L, as in C = L L^T, ``(D, r)``.
        std: square root of f.

    Raises:
        ArgumentError: as :class:`GaussianMixture`.
    """

    def __init__(
        self,
        mean: object,
        covariance: object = None,
        *,
        factor: object = None,
        std: float | None = None,
    ) -> None:
        one = [None if each is None else read.numbers(name, each)[None] for name, each in (
            ("mean", mean), ("covariance", covariance), ("factor", factor)
        )]  # fmt: skip
        super().__init__(None, one[0], one[1], factors=one[2], std=std)

    def __repr__(self) -> str:
        return f"Gaussian(shape={self.shape}, rank={self._home.basis.shape[1]})"


class Empirical(GaussianMixture):
    """A data set, each of its points with the same weight.

    Its score is what a network would learn by heart from these data.

    Args:
        data: shape ``(N, *shape)``.

    Raises:
        ArgumentError: as :class:`GaussianMixture`.
    """

    def __init__(self, data: object) -> None:
        super().__init__(None, read.batch("data", data), std=0.0)

    def __repr__(self) -> str:
        return f"Empirical(points={len(self._home.means)}, shape={self.shape})"
