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

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sdeplug import ArgumentError, LinearSDE, ReverseSDE
from sdeplug_adaptive.control import Floats

_NODES = 16384
_COARSE = 512  # of them between which times are interpolated, before all else is computed exactly


class Place(NamedTuple):
    """The clocks of some rows: shape ``(R,)``.

    Attributes:
        log_ratio: lambda, rising.
        age: lambda + Z, rising.
        shift: log alpha - (lambda + Z).
        t: time.
        fall: -V, falling to -1.
        alpha: alpha.
        sigma: sigma.
        loudness: sigma e^(-Z): what an increment of B counts in x.
        unit: 1 / alpha: what x counts in D.
        gain: sigma^2 / alpha: what the score counts in D.
    """

    log_ratio: Floats
    age: Floats
    shift: Floats
    t: Floats
    fall: Floats
    alpha: Floats
    sigma: Floats
    loudness: Floats
    unit: Floats
    gain: Floats


class Clock:
    """A fine table of all clocks, at nodes about equally far apart in lambda.

    Args:
        reverse: the reverse SDE, of a linear forward SDE.
        t: time of the first node.
        s: time of the last node; Z is 0 there.

    Attributes:
        last: number of the last node.
        spacing: between nodes, in lambda.

    Raises:
        ArgumentError: if sigma is 0 at s.
        PairingError: unless the forward SDE is linear.
    """

    def __init__(self, reverse: ReverseSDE, t: float, s: float) -> None:
        if not reverse.linear.at(s).sigma > 0.0:
            raise ArgumentError(
                "s", s, "a time at which sigma is not 0", "Run to eps and let Denoise() go to 0."
            )
        self.score = reverse.score
        level = reverse.stochasticity
        if callable(level):
            schedule = _schedule(reverse.linear, t, s)
            self.table = _table(schedule, _spread(reverse, schedule))
        else:
            self.table = _steady(reverse.linear, t, s, level)
        first, last = (Place(*self.table[end]) for end in (0, -1))
        self.last = _NODES - 1
        self.spacing = float(last.log_ratio - first.log_ratio) / self.last
        self.least = -float(first.fall)  # V at the start: 1 where there is no noise

    def at(self, node: NDArray[np.int64]) -> Floats:
        """The columns of :class:`Place` at nodes, shape ``(R,)``: ``(R, 10)``."""
        place: Floats = self.table.take(node, 0)
        return place


@lru_cache(maxsize=16)
def _steady(sde: LinearSDE, t: float, s: float, level: float) -> Floats:
    """The table where the stochasticity is a number."""
    schedule = _schedule(sde, t, s)
    log_ratio = schedule[:, 1]
    return _table(schedule, level**2 * (log_ratio - log_ratio[-1]))


def _table(schedule: Tensor, spread: Tensor) -> Floats:
    """The columns of :class:`Place` at all nodes, for some Z: ``(N, 10)``."""
    times, log_ratio, log_alpha, sigma = schedule.unbind(1)
    age, alpha = log_ratio + spread, log_alpha.exp()
    columns = (
        log_ratio, age, log_alpha - age, times, -(2.0 * spread).exp(), alpha, sigma,
        sigma * (-spread).exp(), 1.0 / alpha, sigma.square() / alpha,
    )  # fmt: skip
    table: Floats = torch.stack(columns, dim=1).numpy()
    return table


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


def _spread(reverse: ReverseSDE, schedule: Tensor) -> Tensor:
    """Z at the nodes, from a negative number to 0."""
    times, log_ratio = schedule[:, 0], schedule[:, 1]
    zeta = torch.as_tensor(reverse.level(times), dtype=torch.float64, device="cpu").square()
    areas = 0.5 * log_ratio.diff() * (zeta[1:] + zeta[:-1])
    sums = torch.cat((areas.new_zeros(1), areas.cumsum(0)))
    return sums - sums[-1]
