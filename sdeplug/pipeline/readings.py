r"""Whether a network is read as it was trained: what it says of noise that is known.

In :math:`x = \alpha x_0 + \sigma \epsilon` it should see the noise.  A network that is told another
time than in its training, or is taken to predict another thing, answers all the same, and much
worse than if it is read otherwise.  So the other readings are asked about the same noise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sdeplug.noise import SharedNoise
from sdeplug.reverse import ReverseSDE
from sdeplug.score.otherwise import Reading
from sdeplug.sde import LinearSDE

_NEVER_WORSE = 0.8  # of the loss: one that is worse somewhere is no better reading
_CLEARLY = 1.05  # of two that are about as good the first is named
_TINY = 1e-30  # of an exact score


@dataclass(frozen=True, eq=False)
class Seen:
    """Rows with known noise at one time.

    Attributes:
        t: the time.
        x: states, shape ``(B, *D)``.
        noise: the noise in them, of the same shape.
    """

    t: float
    x: Tensor
    noise: Tensor

    @classmethod
    def at(cls, sde: LinearSDE, x0: Tensor, ratio: float) -> Seen:
        """Data in noise: at the ratio sigma / alpha, or the nearest that a run comes by.

        The noise is the same at each call.

        Args:
            sde: the forward SDE.
            x0: data, shape ``(B, *D)``; zeros are noise alone.
            ratio: sigma / alpha.
        """
        wanted = torch.tensor(-2.0 * math.log(ratio), dtype=torch.float64, device="cpu")
        t = min(max(float(sde.time_at(wanted)), sde.eps), sde.T, sde.horizon)
        at, noise = sde.at(t), SharedNoise(0).normal(x0)
        return cls(t, at.alpha * x0 + at.sigma * noise, noise)

    def loss(self, reverse: ReverseSDE) -> float:
        """Mean square of the noise less that which the network sees; an answer of 0 has 1."""
        said = -reverse.linear.at(self.t).sigma * reverse.score(self.x, self.t)
        return float((said - self.noise).double().square().mean())


@torch.no_grad()
def better_reading(
    reverse: ReverseSDE, readings: Iterable[Reading], seen: list[Seen], least: float
) -> tuple[Reading, float] | None:
    """The best of other readings of a network, where it is much better; else None.

    Args:
        reverse: the reverse SDE with the network.
        readings: the others.
        seen: what they are asked about.
        least: by how much the loss has to fall, in the geometric mean; it rises nowhere.

    Returns:
        The reading, and how many times as large the loss is without it.
    """
    others = list(readings)
    if not others:
        return None
    own, best, most = [each.loss(reverse) for each in seen], None, least
    for reading in others:
        falls = _falls(own, replace(reverse, score_model=reading.score_model), seen)
        gain = math.exp(math.fsum(map(math.log, falls)) / len(falls)) if falls else 0.0
        if gain >= most:
            best, most = (reading, gain), gain * _CLEARLY
    return best


def _falls(own: list[float], other: ReverseSDE, seen: list[Seen]) -> list[float]:
    """How many times smaller the losses are; none of them where one is larger, or not a number."""
    falls = []
    for before, each in zip(own, seen, strict=True):
        try:
            after = each.loss(other)
        except Exception:  # a label that the network cannot take is not its own
            return []
        fall = max(before, _TINY) / max(after, _TINY)
        if not _NEVER_WORSE <= fall < math.inf:
            return []
        falls.append(fall)
    return falls
