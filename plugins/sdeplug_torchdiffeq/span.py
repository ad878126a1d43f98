r"""A span of time as torchdiffeq sees it: running up.

Sampling time runs down, likelihood runs up.  With :math:`\tau = -t` on the way down and
:math:`\tau = t` on the way up one direction is left,

.. math:: \frac{dy}{d\tau} = \pm v(y, \pm\tau), \qquad \tau_0 < \tau_1,

and torchdiffeq has nothing to turn round, which would cost it an operation on every time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

FIRST = 0.01
"""The first step that is tried, of the span: too short costs one or two steps more, ten times as
long each; too long can be accepted by mistake, by methods with a weak estimate of their error."""


@dataclass(frozen=True)
class Span:
    """From time t to time s, which differ.

    Attributes:
        t: where it starts.
        s: where it ends.
    """

    t: float
    s: float

    @property
    def sign(self) -> float:
        """-1 on the way down, 1 on the way up."""
        return -1.0 if self.s < self.t else 1.0

    @property
    def start(self) -> float:
        """tau at t."""
        return self.sign * self.t

    @property
    def end(self) -> float:
        """tau at s."""
        return self.sign * self.s

    @property
    def length(self) -> float:
        """What lies between: above 0."""
        return abs(self.t - self.s)

    def time(self, tau: float) -> float:
        """The time at tau, inside the span whatever the rounding was."""
        return self.sign * min(max(tau, self.start), self.end)

    def tensor(self, device: torch.device, *fractions: float) -> Tensor:
        """tau at some fractions of the span, float64; the ends are exact."""
        ends = {0.0: self.start, 1.0: self.end}
        taus = [ends.get(each, self.start + each * (self.end - self.start)) for each in fractions]
        return torch.tensor(taus, dtype=torch.float64, device=device)
