"""The law of data given the first level of a chain."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug.options import Configured, option

_FAR = -1e18  # stands for minus infinity: its square is a number of float32


class Decoder(Configured, ABC):
    """The law of data given the first level of a chain, each coordinate by itself."""

    @abstractmethod
    def nats(self, x0: Tensor, off: Tensor, log_variance: Tensor) -> Tensor:
        """Negative log-probability of each coordinate.

        Args:
            x0: data, shape ``(B, *D)``.
            off: mean of the law minus x0, likewise.
            log_variance: log-variance of the law, likewise.

        Returns:
            Shape ``(B, *D)``.
        """


@dataclass(frozen=True)
class Continuous(Decoder):
    """A normal density: for data that are real numbers."""

    def nats(self, x0: Tensor, off: Tensor, log_variance: Tensor) -> Tensor:
        """(log 2 pi + log v + off^2 / v) / 2."""
        scaled = off.square() * torch.exp(-log_variance)
        return 0.5 * (math.log(2.0 * math.pi) + log_variance + scaled)


@dataclass(frozen=True)
class Discretised(Decoder):
    """The probability that a normal number rounds to x0: for images of whole levels.

    Levels are evenly spaced on [-1, 1]; what lies beyond an end belongs to it.

    Ho et al., arXiv 2006.11239, equation 13.
    """

    levels: int = option(256, help="values that a pixel can have", ge=2)

    def nats(self, x0: Tensor, off: Tensor, log_variance: Tensor) -> Tensor:
        """-log(Phi(b) - Phi(a)) of the bin [a, b] around x0."""
        half = 1.0 / (self.levels - 1)
        precision = torch.exp(-0.5 * log_variance)
        low = torch.where(x0 <= half - 1.0, -torch.inf, (-half - off) * precision)
        high = torch.where(x0 >= 1.0 - half, torch.inf, (half - off) * precision)
        return -_log_probability(low, high)


def _log_probability(low: Tensor, high: Tensor) -> Tensor:
    """log(Phi(high) - Phi(low)), with all digits however far from 0 both are."""
    flipped = low + high > 0.0
    low, high = torch.where(flipped, -high, low), torch.where(flipped, -low, high)
    low = low.clamp(min=_FAR)
    tail = high < -1.0
    a, b = torch.where(tail, low, -2.0), torch.where(tail, high, -1.0)
    inner, outer = (torch.special.erfcx(-each / math.sqrt(2.0)).log() for each in (a, b))
    in_tail = 0.5 * (b - a) * (a + b) + inner - outer
    near: Tensor = torch.special.log_ndtr(torch.where(tail, 0.0, high))
    apart = torch.where(tail, in_tail, torch.special.log_ndtr(low) - near)
    whole = torch.where(tail, outer - 0.5 * b.square() - math.log(2.0), near)
    return whole + (-torch.expm1(apart)).log()
