r"""What a target is: a data law whose diffused score is exact under any linear SDE.

With :math:`x_t = \alpha x_0 + \sigma \epsilon` the law p_t depends on the SDE through the two
numbers alpha and sigma alone, so a target answers for (alpha, sigma) and thereby for every
:class:`~sdeplug.sde.LinearSDE` at every time.  Its score and its denoiser are one thing:

.. math:: \nabla \log p_t(x) = \frac{\alpha\, E[x_0 | x_t = x] - x}{\sigma^2}.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError, PairingError, argument_type
from sdeplug.noise import NoiseSource
from sdeplug.score import ScoreModel
from sdeplug.sde import LinearSDE, expand


class Target(ABC):
    """A distribution whose diffused score, log-density and samples are exact.

    A new target is the members below that are abstract.  They get and give float64; the others
    take any floating dtype.  Wherever an SDE may be left out, the data law itself is meant.
    """

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample, of any rank."""

    @property
    @abstractmethod
    def singular(self) -> bool:
        """Whether the data law has no density, as with point masses: then neither has p_t
        where sigma is 0."""

    @property
    @abstractmethod
    def mean(self) -> Tensor:
        """Mean of the data law: float64, shape ``(D,)``, D the numbers in a sample."""

    @property
    @abstractmethod
    def covariance(self) -> Tensor:
        """Covariance of the data law: float64, shape ``(D, D)``."""

    @abstractmethod
    def score_at(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Gradient of the log-density of alpha x_0 + sigma epsilon.

        Args:
            x: float64, shape ``(B, *shape)``.
            alpha: one number for each row, float64, shape ``(B,)``.
            sigma: one number above 0 for each row, float64, shape ``(B,)``.

        Returns:
            float64, shape ``(B, *shape)``.
        """

    @abstractmethod
    def log_density(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Log-density of alpha x_0 + sigma epsilon in nats; arguments as in :meth:`score_at`.

        Returns:
            float64, shape ``(B,)``.
        """

    @abstractmethod
    def draw(self, n: int, noise: NoiseSource, device: torch.device) -> Tensor:
        """Draw x_0 from the data law: float64, shape ``(n, *shape)``, row i from row i of
        ``noise`` alone."""

    def score_and_divergence(
        self, x: Tensor, alpha: Tensor, sigma: Tensor
    ) -> tuple[Tensor, Tensor] | None:
        """The score and the trace of its Jacobian; arguments as in :meth:`score_at`.

        Returns:
            float64, shapes ``(B, *shape)`` and ``(B,)``; None unless a target has a formula.
        """
        return None

    def score(self, sde: LinearSDE) -> ScoreModel:
        """The exact score under an SDE, as a score model.

        Raises:
            PairingError: unless the SDE is a :class:`~sdeplug.sde.LinearSDE`.
        """
        return DiffusedScore(self, sde)

    def denoised(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """E[x_0 | x_t = x] (Tweedie); arguments and result as in :meth:`score_at`."""
        score = self.score_at(x, alpha, sigma)
        return (x + expand(sigma.square(), x) * score) / expand(alpha, x)

    def log_prob(self, x: Tensor, t: float = 0.0, sde: LinearSDE | None = None) -> Tensor:
        """log p_t(x), in nats.

        Args:
            x: state, shape ``(B, *shape)``.
            t: time in [0, T].
            sde: the SDE that turns data into noise.

        Returns:
            Shape ``(B,)``, dtype of x, but float32 at least.

        Raises:
            ArgumentError: for x of another shape, for another time, or if p_t has no density.
        """
        values = self.log_density(*self._rows(x, t, sde))
        return values.to(x.device, torch.promote_types(x.dtype, torch.float32))

    def sample(
        self,
        n: int,
        *,
        noise: NoiseSource,
        t: float = 0.0,
        sde: LinearSDE | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Draw n samples of p_t, exactly.

        Args:
            n: how many.
            noise: where all random numbers come from.
            t: time in [0, T].
            sde: the SDE that turns data into noise.
            dtype: dtype of the samples; what is drawn does not depend on it.
            device: device of the samples.

        Returns:
            Shape ``(n, *shape)``.

        Raises:
            ArgumentError: for a time or a number of samples that is not allowed.
        """
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ArgumentError("n", n, "a whole number of at least 1")
        if not isinstance(noise, NoiseSource):
            argument_type("noise", noise, "a NoiseSource", "SharedNoise(seed=0) is one.")
        alpha, sigma = self._marginal(t, sde)
        x = self.draw(n, noise, _home(torch.device(device)))
        if sde is not None:
            x = alpha * x + sigma * noise.normal(x)
        return x.to(device, dtype)

    def moments(self, t: float = 0.0, sde: LinearSDE | None = None) -> tuple[Tensor, Tensor]:
        """Mean, shape ``(D,)``, and covariance, shape ``(D, D)``, of p_t: float64.

        Raises:
            ArgumentError: for a time that is not allowed.
        """
        alpha, sigma = self._marginal(t, sde)
        covariance = alpha**2 * self.covariance
        covariance.diagonal().add_(sigma**2)
        return alpha * self.mean, covariance

    def _marginal(self, t: float, sde: LinearSDE | None) -> tuple[float, float]:
        """(alpha, sigma) at one time."""
        if sde is None:
            if t != 0.0:
                raise ArgumentError("t", t, "0 when no SDE is given", "Pass sde= as well.")
            return 1.0, 0.0
        marginal = _linear(sde).at(t)
        return marginal.alpha, marginal.sigma

    def _rows(self, x: Tensor, t: float, sde: LinearSDE | None) -> tuple[Tensor, Tensor, Tensor]:
        """x in float64, alpha and sigma as :meth:`score_at` takes them, where p_t has a density."""
        alpha, sigma = self._marginal(t, sde)
        if sigma == 0.0 and self.singular:
            raise ArgumentError(
                "t", t, "a time where p_t has a density",
                "The data law is singular and sigma is 0 there; take a later time.",
            )  # fmt: skip
        wide = self._wide(x)
        ones = wide.new_ones(1)
        return wide, (alpha * ones).expand(len(wide)), (sigma * ones).expand(len(wide))

    def _wide(self, x: Tensor) -> Tensor:
        """x in float64, after a check of its shape."""
        if x.ndim == 0 or tuple(x.shape[1:]) != self.shape or not x.is_floating_point():
            wanted = ", ".join(map(str, ("B", *self.shape)))
            raise ArgumentError(
                "x", (tuple(x.shape), x.dtype), f"of shape ({wanted}) and a floating dtype",
                "A batch has one row for each sample.",
            )  # fmt: skip
        return x.to(_home(x.device), torch.float64)


@dataclass(frozen=True)
class DiffusedScore:
    """The exact score of a target under a linear SDE: a score model.

    It works in float64 on the device of x, whatever the dtype of x, and is differentiable.

    Attributes:
        target: the data law.
        sde: the SDE that turns data into noise.
        error: 0.0, since it is exact.
    """

    target: Target
    sde: LinearSDE
    error: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        _linear(self.sde)

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """grad_x log p_t(x).

        Where sigma is 0 there is no score: that is an error on the CPU.  Elsewhere the look at
        the times would stall the device, so that the result is left infinite or not-a-number.

        Args:
            x: state, shape ``(B, *shape)``.
            t: times, shape ``(B,)`` or ``()``; rows may differ.

        Returns:
            Shape ``(B, *shape)``, dtype and device of x.

        Raises:
            ArgumentError: for x or t of another shape, or where sigma is 0.
        """
        return self.target.score_at(*self._rows(x, t)).to(x.device, x.dtype)

    def with_divergence(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor] | None:
        """The score and its divergence, the trace of its Jacobian, where the target knows it.

        Args:
            x: state, shape ``(B, *shape)``.
            t: times, shape ``(B,)`` or ``()``; rows may differ.

        Returns:
            Shapes ``(B, *shape)`` and ``(B,)``, dtype and device of x; or None.

        Raises:
            ArgumentError: as for the score.
        """
        found = self.target.score_and_divergence(*self._rows(x, t))
        if found is None:
            return None
        return found[0].to(x.device, x.dtype), found[1].to(x.device, x.dtype)

    def _rows(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x in float64, alpha and sigma, as the target takes them."""
        wide = self.target._wide(x)
        if t.shape not in ((), (len(x),)):
            raise ArgumentError("t", tuple(t.shape), f"of shape ({len(x)},), one time for each row")
        times = _in_common(t.to(wide.device, torch.float64))
        alpha = self.sde.log_alpha(times).exp().expand(len(x))
        sigma = self.sde.sigma(times).expand(len(x))
        if sigma.device.type == "cpu" and not bool((sigma > 0.0).all()):
            none = times.expand(len(x))[~(sigma > 0.0)][0]
            raise ArgumentError(
                "t", float(none), "a time where sigma is above 0",
                f"Stop at a later time, such as sde.eps = {self.sde.eps}.",
            )  # fmt: skip
        return wide, alpha, sigma


def _in_common(times: Tensor) -> Tensor:
    """A single time where all rows have the same, for the cost of a look at them on a CPU."""
    if times.device.type != "cpu" or times.requires_grad or times.numel() < 2:
        return times
    return times[:1] if bool((times == times[0]).all()) else times


def _home(device: torch.device) -> torch.device:
    # Apple's devices have no float64, so that their work is done on the CPU.
    return torch.device("cpu") if device.type == "mps" else device


def _linear(sde: LinearSDE) -> LinearSDE:
    if not isinstance(sde, LinearSDE):
        raise PairingError(
            f"sde = {sde!r}: must be a LinearSDE, such as VPSDE(), since the law of x_t given "
            "x_0 must be known."
        )
    return sde
