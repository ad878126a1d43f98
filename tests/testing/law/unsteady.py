"""A corrector with noise that is too small."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sdeplug import (
    Claims,
    Corrector,
)


@dataclass(frozen=True)
class Unsteady(Corrector):
    """A Langevin step with a noise that is too small by a factor."""

    claims = Claims(affine=False, floor=0.02)
    factor: float = 1.0

    def correct(self, reverse, x, t, run):
        length = 2.0 * (0.1 * reverse.linear.at(t).sigma) ** 2
        noise = self.factor * math.sqrt(2.0 * length) * run.noise.normal(x)
        return x + length * reverse.score(x, t) + noise
