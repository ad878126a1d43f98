"""Predict, evaluate, correct, evaluate: the model is asked again where a correction has led.

An exponential Adams method asks the model at predicted states alone (PEC).  Here each corrected
state is seen too, and its value takes the place of that at the predicted one (PECE): two
evaluations a step, one in the first.  (Xue et al., arXiv 2309.05019, algorithm 1 and its code.)
"""

from __future__ import annotations

from torch import Tensor

from sdeplug import Marginal
from sdeplug_exponential.multistep import Memory, Plan, corrected, extrapolation


class Reevaluated(Memory):
    """The values at corrected states."""

    def arrived(self, x: Tensor, t: float, here: Marginal) -> Tensor:
        """Ask, do the last step over, and ask again where that has led."""
        super().arrived(x, t, here)
        changes = corrected(self.rule, self.places, self.last, (0.0,) * len(self.places))
        if not any(changes):
            return x
        x = self.combined(x, (1.0, changes, 0.0), here, here)
        self.values[0] = self.predicted(x, self.reverse.score(x, t), here)
        return x

    def plan(self, target: float, zeta: float) -> Plan:
        """A prediction alone: what was to correct is corrected."""
        return extrapolation(self.rule, target, self.places, zeta)
