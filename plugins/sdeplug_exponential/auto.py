"""``auto``: method, stochasticity and grid from a budget of score evaluations.

The policy is :data:`POLICY`, a table; ``python benchmarks/frontier.py --policy`` is the measurement
behind it.  With an exact score the probability flow wins at every budget, the more values the
better as steps get short.  With a wrong score noise forgets a part of the mistakes, and the order
hardly matters.  Both want somewhat more steps near the data than equal steps in log-SNR, and few
steps are best spent where the data are seen at all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

from torch import Tensor

from sdeplug import (
    Claims,
    ForwardSDE,
    Integrator,
    LinearSDE,
    LogSNR,
    OnGrid,
    PairingError,
    ReverseSDE,
    Run,
    TimeGrid,
    option,
)
from sdeplug_exponential.adams import Adams
from sdeplug_exponential.leap import Leap


@dataclass(frozen=True)
class Row:
    """One line of the policy.

    Attributes:
        most: the largest budget that it is for.
        wrong: whether it is for a score that is not exact.
        solver: the method.
        stochasticity: l.
        power: exponent of the grid in log-SNR.
        leap: noise ratio to which the first step goes; 0 for none that stands out.
    """

    most: float
    wrong: bool
    solver: Adams
    stochasticity: float
    power: float
    leap: float = 0.0

    def grid(self, steps: int) -> TimeGrid:
        """Steps for a budget."""
        return Leap(steps, self.power, self.leap) if self.leap else LogSNR(steps, self.power)


POLICY = (
    Row(10, False, Adams(2, 2, mean_slope=True), 0.0, 0.9, leap=11.0),
    Row(16, False, Adams(4, 5), 0.0, 0.9, leap=11.0),
    Row(20, False, Adams(4, 5), 0.0, 0.7),
    Row(inf, False, Adams(4, 4), 0.0, 0.8),
    Row(12, True, Adams(2, 2, mean_slope=True), 1.0, 0.7),
    Row(inf, True, Adams(2, 2, mean_slope=True), 1.4, 0.8),
)
"""The first line that fits is taken."""


@dataclass(frozen=True)
class Choice:
    """What :class:`Auto` picks.

    Attributes:
        solver: the method.
        grid: its steps.
        stochasticity: l, as a part of that of the reverse SDE.
    """

    solver: Integrator
    grid: TimeGrid
    stochasticity: float

    @property
    def by(self) -> OnGrid:
        """The solver on its grid."""
        return OnGrid(self.solver, self.grid)


@dataclass(frozen=True)
class Auto(Integrator):
    """The best of this plugin for a budget: it brings method, stochasticity and grid.

    ``Auto(32).choice(sde)`` says what it picks.  It is a whole leg: no grid is put around it.
    """

    nfe: int = option(32, help="score evaluations of the leg", ge=1)
    score_error: float = option(0.0, help="expected error of the noise that the model sees", ge=0.0)

    @property
    def claims(self) -> Claims:
        """All evaluations; the accuracy is that of its own grid."""
        row = self._row()
        return Claims(stochastic=row.stochasticity > 0.0, evaluations=self.nfe, needs=LinearSDE)

    def choice(self, sde: ForwardSDE) -> Choice:
        """What is picked for a forward SDE: the same for every linear one.

        Raises:
            PairingError: unless the SDE is linear.
        """
        if not isinstance(sde, LinearSDE):
            raise PairingError(f"sde = {sde!r}: must be a LinearSDE, such as VPSDE().")
        row = self._row()
        return Choice(row.solver, row.grid(self.nfe), row.stochasticity)

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """The chosen solver on its grid, at the chosen part of the stochasticity."""
        choice = self.choice(reverse.forward)
        part = choice.stochasticity
        level = reverse.stochasticity
        # At stochasticity 0 nothing is drawn, whatever the policy says.
        scaled = (lambda time: part * level(time)) if callable(level) else part * level
        return choice.by.integrate(replace(reverse, stochasticity=scaled), x, t, s, run)

    def _row(self) -> Row:
        wrong = self.score_error > 0.0
        return next(row for row in POLICY if self.nfe <= row.most and row.wrong == wrong)
