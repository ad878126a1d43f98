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
from sdeplug.score import Reading
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
        """Mean square of the noise that the network does not see; an answer of 0 has 1."""
        said = -reverse.linear.at(self.t).sigma * reverse.score(self.x, self.t)
        missed, all_of_it = (
            float(each.double().square().mean()) for each in (said - self.noise, self.noise)
        )
        return missed / all_of_it


@torch.no_grad()
def better_reading(
    reverse: ReverseSDE, readings: Iterable[Reading], seen: list[Seen], least: float
) -> tuple[Reading, float] | None:
    """The best of other readings of a network, where it is much better; else None.

    What is better with no network at all, as the flow of a Gaussian is, says nothing of it: it must
    be as much better than a network that answers 0.

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
        losses = _losses(own, replace(reverse, score_model=reading.score_model), seen)
        gain = _fall(own, losses) if losses else 0.0
        if gain >= most and _of_the_network(reverse, reading, seen, losses) >= least:
            best, most = (reading, gain), gain * _CLEARLY
    return best


def _losses(own: list[float], other: ReverseSDE, seen: list[Seen]) -> list[float]:
    """Those of another reading; none of them where one is larger, or not a number."""
    losses = []
    for before, each in zip(own, seen, strict=True):
        try:
            after = max(each.loss(other), _TINY)
        except Exception:  # a label that the network cannot take is not its own
            return []
        if not _NEVER_WORSE <= max(before, _TINY) / after < math.inf:
            return []
        losses.append(after)
    return losses


def _of_the_network(
    reverse: ReverseSDE, reading: Reading, seen: list[Seen], losses: list[float]
) -> float:
    """How many times smaller the losses are than those without a network."""
    silent = replace(reverse, score_model=reading.silent)
    return _fall([each.loss(silent) for each in seen], losses)


def _fall(before: list[float], after: list[float]) -> float:
    """How many times smaller they are, in the geometric mean."""
    logs = (math.log(max(a, _TINY) / b) for a, b in zip(before, after, strict=True))
    return math.exp(math.fsum(logs) / len(after))
