"""Forward SDEs that no one wrote: two random falling functions of time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch
from torch import Tensor

from sdeplug.options import option
from sdeplug.sde import EDMSDE, VESDE, VPSDE, CosineVPSDE, LinearSDE, SubVPSDE

_BENDS = 4  # exponentials in a function
_STEEPEST = 4.0  # nats over the whole time that one of them grows or falls by


@dataclass(frozen=True)
class DrawnSDE(LinearSDE):
    r"""A linear SDE whose log alpha and log-SNR are drawn: smooth, falling, and of no known form.

    .. math:: \log\alpha(t) = -d\,R(t / T), \qquad
              \log\frac{\alpha^2}{\sigma^2}(t) = a - (a - b)\,R'(t / T)

    with random rising functions R, R' of [0, 1] onto itself.  alpha falls by up to 5 nats, the
    log-SNR from 7 to 10 nats at t = 0 to -9 to -5 at T.  What a solver has hard-coded of the
    schedule of any other SDE is wrong here.
    """

    seed: int = option(0, help="decides the functions", ge=0)
    T: float = option(1.0, help="end of time", gt=0.0)
    eps: float = option(1e-3, help="smallest time that sampling uses", ge=0.0)

    def log_alpha(self, t: Tensor) -> Tensor:
        """log alpha, elementwise; 0 at t = 0."""
        return -self._drawn.depth * self._drawn.fading.value(t / self.T)

    def sigma(self, t: Tensor) -> Tensor:
        """sigma, elementwise; positive at t = 0 too."""
        return (self.log_alpha(t) - 0.5 * self.log_snr(t)).exp()

    def log_snr(self, t: Tensor) -> Tensor:
        """log(alpha^2 / sigma^2), elementwise, in nats."""
        return self._drawn.high - self._drawn.range * self._drawn.noising.value(t / self.T)

    def drift_rate(self, t: Tensor) -> Tensor:
        """d log alpha / dt, elementwise."""
        return -self._drawn.depth / self.T * self._drawn.fading.slope(t / self.T)

    def diffusion(self, t: Tensor) -> Tensor:
        """sigma sqrt(-d log-SNR / dt), elementwise."""
        speed = self._drawn.range / self.T * self._drawn.noising.slope(t / self.T)
        return self.sigma(t) * speed.sqrt()

    @cached_property
    def _drawn(self) -> _Drawn:
        return _Drawn(np.random.default_rng(self.seed))


class _Drawn:
    """What a seed decides."""

    def __init__(self, chance: np.random.Generator) -> None:
        self.depth = chance.uniform(0.0, 5.0)
        self.high = chance.uniform(7.0, 10.0)
        self.range = self.high + chance.uniform(5.0, 9.0)
        self.fading, self.noising = _Rising(chance), _Rising(chance)


class _Rising:
    """A smooth rising function of [0, 1] onto itself: a mean of exponentials."""

    def __init__(self, chance: np.random.Generator) -> None:
        rates = chance.uniform(-_STEEPEST, _STEEPEST, _BENDS)
        shares = chance.dirichlet(np.ones(_BENDS))
        self.terms = tuple(zip(rates.tolist(), shares.tolist(), strict=True))

    def value(self, u: Tensor) -> Tensor:
        parts = [share / math.expm1(rate) * torch.expm1(rate * u) for rate, share in self.terms]
        return torch.stack(parts).sum(0)

    def slope(self, u: Tensor) -> Tensor:
        parts = [
            share * rate / math.expm1(rate) * torch.exp(rate * u) for rate, share in self.terms
        ]
        return torch.stack(parts).sum(0)


@cache  # what they tabulate of themselves serves all solvers
def unusual() -> tuple[LinearSDE, ...]:
    """Drawn SDEs, and the schedules of the field with other parameters, T and eps."""
    return (
        DrawnSDE(0, 3.0, 0.02),
        DrawnSDE(1, 0.2, 1e-4),
        DrawnSDE(2, 40.0, 0.05),
        DrawnSDE(3, 1.0, 0.01),
        VPSDE(beta_min=0.4, beta_max=9.0, T=1.7, eps=4e-3),
        SubVPSDE(beta_min=0.3, beta_max=6.0, T=2.3, eps=3e-2),
        VESDE(sigma_min=0.03, sigma_max=8.0, T=1.4, eps=2e-3),
        CosineVPSDE(offset=0.03, T=0.97, eps=5e-3),
        EDMSDE(T=15.0, eps=2e-2),
    )
