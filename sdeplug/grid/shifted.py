"""The time shift of flow models."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

from sdeplug.grid.base import Steps
from sdeplug.options import option
from sdeplug.sde import ForwardSDE

Number = TypeVar("Number", float, Tensor)


@dataclass(frozen=True)
class Shifted(Steps):
    r"""Equal steps in a time that is then shifted up: denser near the noise.

    With t as a part of T, :math:`t' = c t / (1 + (c - 1) t)`.  For a flow, alpha = 1 - t and
    sigma = t, this multiplies sigma/alpha by c: what an image of c^2 times as many pixels needs.
    On a part of the whole time, the steps are equal in the time before the shift.

    Esser et al. (Stable Diffusion 3), arXiv 2403.03206, equation 23; ``shift`` of the flow
    schedulers of diffusers.  Their exponential shift by mu is ``shift`` = e^mu.
    """

    shift: float = option(
        3.0, help="factor of sigma/alpha; below 1 puts more steps near the data", gt=0.0
    )

    @classmethod
    def for_tokens(cls, steps: int, tokens: int) -> Shifted:
        """The shift of Flux for an image of so many tokens: e^0.5 for 256, e^1.15 for 4096.

        Args:
            steps: number of steps.
            tokens: length of the sequence that the network sees.
        """
        part = (tokens - 256) / (4096 - 256)
        return cls(steps, math.exp(0.5 + part * (1.15 - 0.5)))

    def _between(self, u: Tensor, t: float, s: float, sde: ForwardSDE) -> Tensor:
        start, end = (_shift(time / sde.T, 1.0 / self.shift) for time in (t, s))
        return sde.T * _shift(start + u * (end - start), self.shift)


def _shift(t: Number, c: float) -> Number:
    return c * t / (1.0 + (c - 1.0) * t)
