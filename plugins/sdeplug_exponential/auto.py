"""``auto``: method, stochasticity and grid from a budget of score evaluations.

The policy is :data:`POLICY`, a table; ``python benchmarks/frontier.py --policy`` is the measurement
behind it.  With an exact score the probability flow wins at every budget, and many values with it.
Few steps are best spent between the noise that hides the data and their details, and of few steps
each sees so much of D that it is a polynomial in the noise rather than in its log.  With a wrong
score noise forgets a part of the mistakes, most of it where the data are told apart, and the order
hardly matters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf, log

from torch import Tensor

from sdeplug import (
    Claims,
    Focus,
    ForwardSDE,
    Integrator,
    LinearSDE,
    OnGrid,
    PairingError,
    ReverseSDE,
    Run,
    option,
)
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
    """

    most: float
    wrong: bool
    solver: Adams
    noise: Noise | None
    low: float
    high: float

    def by(self, scale: float) -> Adams:
        """The method for data of a standard deviation."""
        return replace(self.solver, knee=self.solver.knee * scale)

    def grid(self, steps: int, scale: float) -> Focus:
        """Steps for a budget and data of a standard deviation."""
        return Focus(steps, self.low * scale, self.high * scale)


POLICY = (
    Row(11, False, Adams(3, 3, knee=1.1), None, 0.0015, 60.0),
    Row(inf, False, Adams(4, 4, knee=0.04), None, 0.005, 20.0),
    Row(12, True, Adams(2, 2, knee=0.5), Noise(1.2, 0.5, 0.3), 0.0025, 19.0),
    Row(inf, True, Adams(2, 2, knee=0.1), Noise(2.0, 1.0, 0.7), 0.002, 5.0),
)
"""The first line that fits is taken."""


@dataclass(frozen=True)
class Choice:
    """What :class:`Auto` picks.

    Attributes:
        solver: the method.
        grid: its steps.
        stochasticity: l as a function of time, times that of the reverse SDE; None for the
            probability flow.
    """

    solver: Integrator
    grid: Focus
    stochasticity: Callable[[float], float] | None

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
    data_std: float = option(1.0, help="standard deviation of the data", gt=0.0)

    @property
    def claims(self) -> Claims:
        """Those of the method that it picks for so many evaluations, each of which is a step."""
        row = self._row()
        return Claims(
            order=row.solver.claims.order,
            steps="nfe",
            stochastic=row.noise is not None,
            evaluations=self.nfe,
            needs=LinearSDE,
        )

    def choice(self, sde: ForwardSDE) -> Choice:
        """What is picked for a forward SDE: the same for every linear one.

        Raises:
            PairingError: unless the SDE is linear.
        """
        if not isinstance(sde, LinearSDE):
            raise PairingError(f"sde = {sde!r}: must be a LinearSDE, such as VPSDE().")
        row = self._row()
        scale = self.data_std
        level = row.noise.level(sde, scale) if row.noise else None
        return Choice(row.by(scale), row.grid(self.nfe, scale), level)

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """The chosen solver on its grid, at the chosen part of the stochasticity."""
        choice = self.choice(reverse.forward)
        part = choice.stochasticity
        # At stochasticity 0 nothing is drawn, whatever the policy says.
        if part is None or reverse.stochasticity == 0.0:
            reverse = replace(reverse, stochasticity=0.0)
        else:
            level = reverse.level
            reverse = replace(reverse, stochasticity=lambda time: part(time) * level(time))
        return choice.by.integrate(reverse, x, t, s, run)

    def _row(self) -> Row:
        wrong = self.score_error > 0.0
        return next(row for row in POLICY if self.nfe <= row.most and row.wrong == wrong)
