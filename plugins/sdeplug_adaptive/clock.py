r"""The clocks of the reverse SDE in log-SNR.

With :math:`\lambda = \log(\alpha / \sigma)`, y = x / alpha, D = E[x_0 | x_t] and stochasticity l
the reverse SDE is

.. math:: dy = -(y - D)\,d\ell + e^{-\ell}\,dB(V), \qquad
          \ell = \lambda + Z, \quad Z = \int l^2 d\lambda, \quad V = e^{2 Z}.

In the time l = lambda + Z it forgets at rate 1 whatever the stochasticity, and its noise is one
Brownian motion B in the time V, so that the noise of a step is an increment of B, exactly.
"""

from __future__ import annotations

from functools import cached_property, lru_cache

import torch
from torch import Tensor

from sdeplug import ArgumentError, LinearSDE, ReverseSDE

_NODES = 512


class Clock:
    """What rows at different times need to know: float64, shape ``(R,)`` in and out.

    Args:
        reverse: the reverse SDE, of a linear forward SDE.
        t: time at which the rows start.
        s: time at which they arrive; Z is 0 there.
        device: where the rows are.

    Raises:
        ArgumentError: if sigma is 0 at s.
        PairingError: unless the forward SDE is linear.
    """

    def __init__(self, reverse: ReverseSDE, t: float, s: float, device: torch.device) -> None:
        self.reverse, self.sde = reverse, reverse.linear
        if not self.sde.at(s).sigma > 0.0:
            raise ArgumentError(
                "s", s, "a time at which sigma is not 0", "Run to eps and let Denoise() go to 0."
            )
        self.t, self.s = t, s
        self.first, self.last = (0.5 * self.sde.at(time).log_snr for time in (t, s))
        self.spacing = (self.last - self.first) / (_NODES - 1)
        self.times = _times(self.sde, t, s).to(device)

    def later(self, t: Tensor, log_ratio: Tensor, aim: Tensor) -> Tensor:
        """A time after t at which lambda, which is ``log_ratio`` at t, is about ``aim``.

        The way from one to the other is interpolated, so that a short way stays one.
        """
        way = self._between(self.times, aim) - self._between(self.times, log_ratio)
        return (t + way).clamp(self.s, self.t)

    def log_ratio(self, t: Tensor) -> Tensor:
        """lambda = log(alpha / sigma), exactly."""
        return 0.5 * self.sde.log_snr(t)

    def spread(self, log_ratio: Tensor) -> Tensor:
        """Z, which grows from a negative number to 0."""
        level = self.reverse.stochasticity
        if not callable(level):
            return level**2 * (log_ratio - self.last)
        return self._between(self._sums, log_ratio)

    @property
    def start(self) -> float:
        """Z at the start: 0 if there is no noise at all."""
        level = self.reverse.stochasticity
        return float(self._sums[0]) if callable(level) else level**2 * (self.first - self.last)

    @cached_property
    def _sums(self) -> Tensor:
        zeta = self.reverse.level(self.times)
        assert isinstance(zeta, Tensor)
        areas = 0.5 * self.spacing * (zeta[1:].square() + zeta[:-1].square())
        sums = torch.cat((areas.new_zeros(1), areas.cumsum(0)))
        return sums - sums[-1]

    def _between(self, table: Tensor, log_ratio: Tensor) -> Tensor:
        """Linear interpolation."""
        place = ((log_ratio - self.first) / self.spacing).clamp(0.0, _NODES - 1.0)
        below = place.floor().clamp(max=_NODES - 2.0)
        index = below.long()
        return torch.lerp(table[index], table[index + 1], place - below)


@lru_cache(maxsize=256)
def _times(sde: LinearSDE, t: float, s: float) -> Tensor:
    first, last = (sde.at(time).log_snr for time in (t, s))
    times = sde.time_at(torch.linspace(first, last, _NODES, dtype=torch.float64, device="cpu"))
    times[0], times[-1] = t, s
    return times
