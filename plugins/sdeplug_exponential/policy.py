"""The policy of ``auto``: one table, and what was measured for it.

``python benchmarks/frontier.py --policy`` is the measurement behind the lines for exact scores, and
``python benchmarks/policy.py --data FOLDER`` that behind those for networks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf, log

from sdeplug import Focus, LinearSDE
from sdeplug_exponential.adams import Adams


@dataclass(frozen=True)
class Noise:
    """A stochasticity with two values: one above a noise ratio sigma / alpha and one below.

    Attributes:
        far: l above it.
        near: l below it.
        ratio: where it changes.
    """

    far: float
    near: float
    ratio: float

    def level(self, sde: LinearSDE, scale: float) -> Callable[[float], float]:
        """l as a function of time, for data of a standard deviation."""
        edge = -2.0 * log(self.ratio * scale)
        return lambda t: self.far if sde.at(t).log_snr < edge else self.near


@dataclass(frozen=True)
class Row:
    """One line of the policy, for data of standard deviation 1.

    Attributes:
        most: the largest budget that it is for.
        wrong: whether it is for a score that is not exact.
        solver: the method.
        noise: l; None for the probability flow.
        low: noise ratio below which steps are sparse.
        high: noise ratio above which they are.
        why: the reason, a phrase.
    """

    most: float
    wrong: bool
    solver: Adams
    noise: Noise | None
    low: float
    high: float
    why: str

    def by(self, scale: float) -> Adams:
        """The method for data of a standard deviation."""
        return replace(self.solver, knee=self.solver.knee * scale)

    def grid(self, steps: int, scale: float) -> Focus:
        """Steps for a budget and data of a standard deviation."""
        return Focus(steps, self.low * scale, self.high * scale)


_EXACT = "an exact score: along the flow the highest order wins"
_FEW = "few steps with a score that may be wrong: noise would cost more than it mends"
_WRONG = "a score that may be wrong: noise forgets a part of its mistakes"
_TWO = Adams(2, 0, mean_slope=True)
POLICY = (
    Row(11, False, Adams(3, 3, knee=1.1), None, 0.0015, 60.0, _EXACT),
    Row(inf, False, Adams(4, 4, knee=0.04), None, 0.005, 20.0, _EXACT),
    Row(6, True, _TWO, None, 0.2, 100.0, _FEW),
    Row(24, True, _TWO, Noise(1.0, 1.0, 1.0), 0.2, 100.0, _WRONG),
    Row(inf, True, _TWO, Noise(1.0, 1.0, 1.0), 0.01, 50.0, _WRONG),
)
"""The first line that fits is taken."""


def row_for(nfe: int, wrong: bool) -> Row:
    """The line of the policy for so many evaluations of a score."""
    return next(row for row in POLICY if nfe <= row.most and row.wrong == wrong)
