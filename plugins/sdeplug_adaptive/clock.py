r"""The clocks of the reverse SDE in log-SNR.

With :math:`\lambda = \log(\alpha / \sigma)`, y = x / alpha, D = E[x_0 | x_t] and stochasticity l
the reverse SDE is

.. math:: dy = -(y - D)\,d\ell + e^{-\ell}\,dB(V), \qquad
          \ell = \lambda + Z, \quad Z = \int l^2 d\lambda, \quad V = e^{2 Z}.

In the time :math:`\ell` it forgets at rate 1 whatever the stochasticity, and its noise is one
Brownian motion B in the time V, so that the noise of a step is an increment of B, exactly.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from sdeplug import ArgumentError, LinearSDE, ReverseSDE

_NODES = 16384
_COARSE = 512  # of them between which times are interpolated, before all else is computed exactly


class Place(NamedTuple):
    """The clocks of some rows: float64, shape ``(R,)``.

    Attributes:
        t: time.
        log_ratio: lambda, rising.
        age: lambda + Z, rising.
        log_alpha: log alpha.
        alpha: alpha.
        sigma: sigma.
        volume: V, rising to 1.
        loudness: sigma e^(-Z): what an increment of B counts in x.
    """

    t: Tensor
    log_ratio: Tensor
    age: Tensor
    log_alpha: Tensor
    alpha: Tensor
    sigma: Tensor
    volume: Tensor
    loudness: Tensor


class Clock:
    """A fine table of all clocks, at nodes about equally far apart in lambda.

    Args:
        reverse: the reverse SDE, of a linear forward SDE.
        t: time of the first node.
        s: time of the last node; Z is 0 there.
        device: where the rows are.

    Attributes:
        last: number of the last node.
        spacing: between nodes, in lambda.

    Raises:
        ArgumentError: if sigma is 0 at s.
        PairingError: unless the forward SDE is linear.
    """

    def __init__(self, reverse: ReverseSDE, t: float, s: float, device: torch.device) -> None:
        if not reverse.linear.at(s).sigma > 0.0:
            raise ArgumentError(
                "s", s, "a time at which sigma is not 0", "Run to eps and let Denoise() go to 0."
            )
        self.score = reverse.score
        times, log_ratio, log_alpha, sigma = _schedule(reverse.linear, t, s).unbind(1)
        spread = _spread(reverse, times, log_ratio)
        columns = Place(
            times, log_ratio, log_ratio + spread, log_alpha, log_alpha.exp(), sigma,
            (2.0 * spread).exp(), sigma * (-spread).exp(),
        )  # fmt: skip
        self.table = torch.stack(columns, dim=1).to(device)
        self.last = _NODES - 1
        self.spacing = float(log_ratio[-1] - log_ratio[0]) / self.last
        self.least = float(columns.volume[0])  # V at the start: 1 where there is no noise

    def at(self, node: Tensor) -> Place:
        """The clocks at nodes, int64, shape ``(R,)``."""
        return Place(*self.table[node].unbind(1))


@lru_cache(maxsize=32)
def _schedule(sde: LinearSDE, t: float, s: float) -> Tensor:
    """Times, lambda, log alpha and sigma at the nodes."""
    first, last = (sde.at(time).log_snr for time in (t, s))
    coarse = sde.time_at(torch.linspace(first, last, _COARSE, dtype=torch.float64, device="cpu"))
    coarse[0], coarse[-1] = t, s
    place = torch.linspace(0.0, _COARSE - 1.0, _NODES, dtype=torch.float64, device="cpu")
    below = place.floor().clamp(max=_COARSE - 2.0)
    index = below.long()
    times = torch.lerp(coarse[index], coarse[index + 1], place - below)
    times[0], times[-1] = t, s
    log_alpha, sigma = sde.log_alpha(times), sde.sigma(times)
    return torch.stack((times, log_alpha - sigma.log(), log_alpha, sigma), dim=1)


def _spread(reverse: ReverseSDE, times: Tensor, log_ratio: Tensor) -> Tensor:
    """Z, from a negative number to 0."""
    if not callable(reverse.stochasticity):
        return reverse.stochasticity**2 * (log_ratio - log_ratio[-1])
    zeta = torch.as_tensor(reverse.level(times), dtype=torch.float64).square()
    areas = 0.5 * log_ratio.diff() * (zeta[1:] + zeta[:-1])
    sums = torch.cat((areas.new_zeros(1), areas.cumsum(0)))
    return sums - sums[-1]
