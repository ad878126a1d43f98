"""Hold: the predictor that does nothing, so that a corrector does everything.

``OnGrid(Corrected(Hold(), AnnealedLangevin()), grid)`` is annealed Langevin dynamics, the sampler
of NCSN (Song & Ermon, arXiv 1907.05600, algorithm 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from sdeplug import Claims, Integrator, ReverseSDE, Run


@dataclass(frozen=True)
class Hold(Integrator):
    """Return x as it is: not consistent by itself, hence the infinite floor."""

    claims = Claims(stochastic=False, evaluations=0, floor=math.inf)

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """x."""
        return x
