"""The noise schedules of the field, as linear SDEs."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError
from sdeplug.options import option
from sdeplug.sde.linear import LinearSDE


class VariancePreserving(LinearSDE):
    """sigma^2 = 1 - alpha^2, prior N(0, I): a schedule is one function, :meth:`log_alpha`."""

    @abstractmethod
    def log_alpha(self, t: Tensor) -> Tensor:
        """log alpha, elementwise; 0 at t = 0, falling."""

    def sigma(self, t: Tensor) -> Tensor:
        """sqrt(1 - alpha^2), elementwise, without cancellation near t = 0."""
        return torch.expm1(2.0 * self.log_alpha(t)).neg().sqrt()

    def diffusion(self, t: Tensor) -> Tensor:
        """g = sqrt(-2 a), elementwise."""
        return self.drift_rate(t).mul(-2.0).clamp(min=0.0).sqrt()

    @property
    def prior_std(self) -> float:
        """1."""
        return 1.0


@dataclass(frozen=True)
class VPSDE(VariancePreserving):
    """Variance preserving: beta(t) = beta_min + t (beta_max - beta_min), the limit of DDPM.

    Song et al., arXiv 2011.13456, equations 11 and 32 to 33, with time in units of T = 1.
    """

    beta_min: float = option(0.1, help="beta at t = 0", ge=0.0)
    beta_max: float = option(20.0, help="beta at t = 1", gt=0.0)
    T: float = option(1.0, help="end of time", gt=0.0)
    eps: float = option(1e-3, help="smallest time that sampling uses", ge=0.0)

    def beta(self, t: Tensor) -> Tensor:
        """beta, elementwise; per unit of time."""
        return self.beta_min + t * (self.beta_max - self.beta_min)

    def log_alpha(self, t: Tensor) -> Tensor:
        """Minus half the integral of beta, elementwise."""
        return -0.5 * t * (self.beta_min + 0.5 * t * (self.beta_max - self.beta_min))

    def drift_rate(self, t: Tensor) -> Tensor:
        """-beta / 2, elementwise."""
        return -0.5 * self.beta(t)


@dataclass(frozen=True)
class SubVPSDE(LinearSDE):
    """Sub-variance preserving: the mean of VP with a smaller variance, sigma = 1 - alpha^2.

    Song et al., arXiv 2011.13456, section 3.4 and equation 34.
    """

    beta_min: float = option(0.1, help="beta at t = 0", ge=0.0)
    beta_max: float = option(20.0, help="beta at t = 1", gt=0.0)
    T: float = option(1.0, help="end of time", gt=0.0)
    eps: float = option(1e-3, help="smallest time that sampling uses", ge=0.0)

    def log_alpha(self, t: Tensor) -> Tensor:
        """Minus half the integral of beta, elementwise."""
        return self._vp.log_alpha(t)

    def drift_rate(self, t: Tensor) -> Tensor:
        """-beta / 2, elementwise."""
        return self._vp.drift_rate(t)

    def sigma(self, t: Tensor) -> Tensor:
        """1 - alpha^2, elementwise."""
        return torch.expm1(2.0 * self.log_alpha(t)).neg()

    def diffusion(self, t: Tensor) -> Tensor:
        """sqrt(beta (1 - alpha^4)), elementwise."""
        return (self._vp.beta(t) * torch.expm1(4.0 * self.log_alpha(t)).neg()).sqrt()

    @property
    def prior_std(self) -> float:
        """1."""
        return 1.0

    @cached_property
    def _vp(self) -> VPSDE:
        return VPSDE(self.beta_min, self.beta_max, self.T, self.eps)


@dataclass(frozen=True)
class VESDE(LinearSDE):
    """Variance exploding: sigma(t) = sigma_min (sigma_max / sigma_min)^t, the limit of NCSN.

    The law of the SDE started at x_0 has variance sigma(t)^2 - sigma_min^2; as in the paper,
    p_t is N(x_0, sigma(t)^2 I), which is the SDE started at N(x_0, sigma_min^2 I).

    Song et al., arXiv 2011.13456, equations 9 and 30 to 31.
    """

    sigma_min: float = option(0.01, help="sigma at t = 0", gt=0.0)
    sigma_max: float = option(50.0, help="sigma at t = 1", gt=0.0)
    T: float = option(1.0, help="end of time", gt=0.0)
    eps: float = option(1e-5, help="smallest time that sampling uses", ge=0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.sigma_min < self.sigma_max:
            raise ArgumentError("sigma_max", self.sigma_max, f"above sigma_min = {self.sigma_min}")

    def log_alpha(self, t: Tensor) -> Tensor:
        """0."""
        return torch.zeros_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        """sigma_min (sigma_max / sigma_min)^t, elementwise."""
        return self.sigma_min * torch.exp(t * self._log_ratio)

    def drift_rate(self, t: Tensor) -> Tensor:
        """0."""
        return torch.zeros_like(t)

    def diffusion(self, t: Tensor) -> Tensor:
        """sigma(t) sqrt(2 log(sigma_max / sigma_min)), elementwise."""
        return self.sigma(t) * math.sqrt(2.0 * self._log_ratio)

    @property
    def _log_ratio(self) -> float:
        return math.log(self.sigma_max / self.sigma_min)


@dataclass(frozen=True)
class CosineVPSDE(VariancePreserving):
    """The cosine schedule of improved DDPM: alpha(t) = c(t) / c(0),
    c(t) = cos(pi/2 (t + offset) / (1 + offset)).

    alpha is 0 at t = 1, where beta has a pole; time ends just before it.

    Nichol & Dhariwal, arXiv 2102.09672, equation 17.
    """

    offset: float = option(0.008, help="keeps beta from vanishing at t = 0", ge=0.0)
    T: float = option(0.9946, help="end of time, below 1", gt=0.0)
    eps: float = option(1e-3, help="smallest time that sampling uses", ge=0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.T < 1.0:
            raise ArgumentError("T", self.T, "below 1, where alpha is 0", "The default is 0.9946.")

    def log_alpha(self, t: Tensor) -> Tensor:
        """log(cos(angle(t)) / cos(angle(0))), elementwise.

        Computed as a log1p of a product of sines, so that 1 - alpha keeps its digits near 0.
        """
        start, half_turn = self._angle(torch.zeros_like(t)), 0.5 * self._speed * t
        drop = 2.0 * torch.sin(half_turn) * torch.sin(half_turn + start) / torch.cos(start)
        return torch.log1p(-drop)

    def drift_rate(self, t: Tensor) -> Tensor:
        """-speed tan(angle), elementwise; half of beta, negative."""
        return -self._speed * torch.tan(self._angle(t))

    @property
    def _speed(self) -> float:
        return 0.5 * math.pi / (1.0 + self.offset)

    def _angle(self, t: Tensor) -> Tensor:
        return self._speed * (t + self.offset)


@dataclass(frozen=True)
class EDMSDE(LinearSDE):
    """alpha = 1, sigma(t) = t: time is the noise level.

    Karras et al., arXiv 2206.00364, table 1, last column.
    """

    T: float = option(80.0, help="end of time, the largest noise level", gt=0.0)
    eps: float = option(2e-3, help="smallest noise level that sampling uses", ge=0.0)

    def log_alpha(self, t: Tensor) -> Tensor:
        """0."""
        return torch.zeros_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        """t."""
        return t.clone()

    def drift_rate(self, t: Tensor) -> Tensor:
        """0."""
        return torch.zeros_like(t)

    def diffusion(self, t: Tensor) -> Tensor:
        """sqrt(2 t), elementwise."""
        return (2.0 * t).sqrt()


BUILTIN_SDES: Mapping[str, type[LinearSDE]] = MappingProxyType(
    {"vp": VPSDE, "sub-vp": SubVPSDE, "ve": VESDE, "cosine": CosineVPSDE, "edm": EDMSDE}
)
"""The forward SDEs that are named ``core/...``."""
