r"""A multistep rule in plain numbers: theory on some grid, and what was learned on top.

In :math:`y = x / \alpha` and :math:`q = \sigma / \alpha` a step of the flow from q to q' makes

.. math:: y' = \frac{q'}{q}\,y + \Bigl(1 - \frac{q'}{q}\Bigr)
               \Bigl(D_0 + \frac{h}{2 h_1} (D_0 - D_1)\Bigr),

where D_0 and D_1 are the newest denoised data and h, h_1 the lengths of this step and of the one
before it in log q: DPM-Solver++ 2M (Lu et al., arXiv 2211.01095, algorithm 2), and DDIM in the
first step and in one to q' = 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate, pairwise

Numbers = tuple[float, ...]
Weights = tuple[Numbers, ...]
"""For each step the weight of y, then those of the denoised data, the newest first."""


@dataclass(frozen=True)
class Rule:
    """Theory, corrected.

    A correction of a step has one number for the noise (y - D_0) / q, one for D_0, and one for
    D_j - D_0 of each older value that the step may use.

    Attributes:
        ratios: sigma / alpha at the places of the grid, strictly falling, the end included.
        corrections: those of each step; all 0 is theory.
    """

    ratios: Numbers
    corrections: Weights

    @classmethod
    def theory(cls, ratios: Numbers, values: int) -> Rule:
        """The rule without corrections, for steps that may use so many values."""
        steps = range(1, len(ratios))
        return cls(ratios, tuple((0.0,) * (1 + min(step, values)) for step in steps))

    @property
    def weights(self) -> Weights:
        """What each step makes of y and of the values."""
        return tuple(map(self._of_step, range(len(self.corrections))))

    @property
    def parameters(self) -> Numbers:
        """All that may be learned: log q of the inner places, then the corrections."""
        flat = (each for step in self.corrections for each in step)
        return (*map(math.log, self.ratios[1:-1]), *flat)

    @property
    def touched(self) -> tuple[int, ...]:
        """The first step that each parameter takes part in."""
        inner = range(len(self.ratios) - 2)
        return (*inner, *(n for n, step in enumerate(self.corrections) for _ in step))

    def with_parameters(self, parameters: Numbers) -> Rule:
        """The rule with other parameters."""
        inner = len(self.ratios) - 2
        ratios = (self.ratios[0], *map(math.exp, parameters[:inner]), self.ratios[-1])
        ends = accumulate(map(len, self.corrections), initial=inner)
        return Rule(ratios, tuple(tuple(parameters[a:b]) for a, b in pairwise(ends)))

    def _of_step(self, step: int) -> Numbers:
        now, end = self.ratios[step : step + 2]
        of_noise, of_data, *of_older = self.corrections[step]
        kept, slope = end / now, 0.0
        if step and end and of_older:
            slope = 0.5 * math.log(now / end) / math.log(self.ratios[step - 1] / now)
        older = [0.0] * len(of_older)
        if older:
            older[0] = (kept - 1.0) * slope
        newest = (1.0 - kept) * (1.0 + slope) + of_data - of_noise / now - sum(of_older)
        older = [theory + learned for theory, learned in zip(older, of_older, strict=True)]
        return (kept + of_noise / now, newest, *older)
