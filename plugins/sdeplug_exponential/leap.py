"""A grid whose first step leaps over the times at which only noise is to be seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from sdeplug import ForwardSDE, LinearSDE, LogSNR, TimeGrid, option


@dataclass(frozen=True)
class Leap(TimeGrid):
    """One step down to a noise ratio sigma/alpha, then steps in a power of the log-SNR.

    Above a ratio of some ten, data of unit size are hardly seen: E[x_0 | x_t] is about their mean
    there, for which one exponential step is exact.  Few steps are better spent below it.  A span
    that starts below the ratio, or ends above it, has the steps of LogSNR.
    """

    needs: ClassVar[type[ForwardSDE]] = LinearSDE

    steps: int = option(help="number of steps", ge=1)
    power: float = option(1.0, help="exponent: below 1 puts more steps near the data", gt=0.0)
    ratio: float = option(11.0, help="sigma/alpha at the end of the first step", gt=0.0)

    @property
    def length(self) -> int:
        """Number of steps."""
        return self.steps

    def times(self, t: float, s: float, sde: ForwardSDE) -> Sequence[float]:
        """``steps + 1`` times from t to s, strictly down."""
        if self.steps > 1 and isinstance(sde, LinearSDE):
            place = -2.0 * math.log(self.ratio)
            if sde.at(t).log_snr < place < sde.at(s).log_snr:
                leapt = float(sde.time_at(torch.tensor(place, dtype=torch.float64, device="cpu")))
                return (t, *LogSNR(self.steps - 1, self.power).times(leapt, s, sde))
        return LogSNR(self.steps, self.power).times(t, s, sde)
