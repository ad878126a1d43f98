"""The policy of ``auto``: one table, and what was measured for it.

``python benchmarks/frontier.py --policy`` is the measurement behind the lines for exact scores, and
``python benchmarks/policy.py --data FOLDER`` and ``python benchmarks/trained.py`` those behind the
lines for networks.
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
        wrong: whether it is for a score that is known to be wrong, or exact; None: for one of
            which nothing is known, as that of a network.
        quiet: whether it is for stochasticity 0; None: for any.
        solver: the method.
        noise: l; None for the probability flow.
        low: noise ratio below which steps are sparse.
        high: noise ratio above which they are.
        why: the reason, a phrase.
        opens: whether the first step may do without the score model.
    """

    most: float
    wrong: bool | None
    quiet: bool | None
    solver: Adams
    noise: Noise | None
    low: float
    high: float
    why: str
    opens: bool = True

    def by(self, scale: float) -> Adams:
        """The method for data of a standard deviation."""
        return replace(self.solver, knee=self.solver.knee * scale)

    def grid(self, steps: int, scale: float) -> Focus:
        """Steps for a budget and data of a standard deviation."""
        return Focus(steps, self.low * scale, self.high * scale)

    def fits(self, nfe: int, wrong: bool | None, quiet: bool) -> bool:
        """Whether it is for a budget, a score and a stochasticity."""
        return nfe <= self.most and self.wrong is wrong and self.quiet in (None, quiet)


_EXACT = "an exact score: along the flow the highest order wins"
_WRONG = "a score that is wrong by a known size: noise forgets its mistakes, most far from the data"
_FLOW = "a score that may be wrong, and its own flow is asked for: two values are trusted"
_LONG = f"{_FLOW}, over long steps those of the noise"
_SURE = f"{_FLOW}, and over short steps a third that corrects"
_FEW = "a score that may be wrong, and few steps: much noise would cost more than it mends"
_SOME = "a score that may be wrong, and few steps: noise while much of it is left, and then none"
_MANY = "a score that may be wrong: noise forgets a part of its mistakes"
_LITTLE, _EARLY, _MUCH = Noise(0.1, 0.1, 1.0), Noise(1.4, 0.0, 0.3), Noise(1.4, 1.4, 1.0)
POLICY = (
    Row(11, False, None, Adams(3, 3, knee=1.1), None, 0.0015, 60.0, _EXACT),
    Row(inf, False, None, Adams(4, 4, knee=0.04), None, 0.005, 20.0, _EXACT),
    Row(12, True, None, Adams(2, 2, knee=0.5), Noise(1.2, 0.5, 0.3), 0.0025, 19.0, _WRONG),
    Row(inf, True, None, Adams(2, 2, knee=0.1), Noise(2.0, 1.0, 0.7), 0.002, 5.0, _WRONG),
    Row(5, None, True, Adams(2, 0, knee=1.0), None, 0.2, 300.0, _FLOW),
    Row(9, None, True, Adams(2, 0, noise_prediction=True), None, 0.2, 600.0, _LONG),
    Row(15, None, True, Adams(2, 2, knee=0.1), None, 0.1, 700.0, _FLOW, opens=False),
    Row(26, None, True, Adams(2, 3), None, 0.1, 700.0, _SURE, opens=False),
    Row(inf, None, True, Adams(2, 3), None, 0.05, 3000.0, _SURE, opens=False),
    Row(5, None, False, Adams(2, 2), _LITTLE, 0.2, 60.0, _FEW),
    Row(10, None, False, Adams(2, 2), _EARLY, 0.1, 60.0, _SOME),
    Row(15, None, False, Adams(2, 2), _MUCH, 0.05, 60.0, _MANY),
    Row(inf, None, False, Adams(2, 2), _MUCH, 0.02, 50.0, _MANY),
)
"""The first line that fits is taken."""


def row_for(nfe: int, wrong: bool | None, quiet: bool = False) -> Row:
    """The line of the policy for so many evaluations of a score, at stochasticity 0 or not."""
    return next(row for row in POLICY if row.fits(nfe, wrong, quiet))
