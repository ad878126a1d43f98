"""How a contender is brought to a budget of score evaluations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil

import torch
from torch import Tensor

from sdeplug.compare.conditions import with_steps
from sdeplug.compare.contenders import Contender, Entrant, Factory
from sdeplug.compare.setting import Setting
from sdeplug.compose import OnGrid
from sdeplug.errors import PairingError
from sdeplug.grid import Uniform
from sdeplug.metrics import Truth, stream
from sdeplug.options import options_of
from sdeplug.pipeline import Pipeline
from sdeplug.reverse import ReverseSDE
from sdeplug.score import ScoreModel, Wrapper, asked_count
from sdeplug.sde import LinearSDE
from sdeplug.solvers import TOLERANCES, Integrator, with_own_steps

_RUNGS = 37  # from 1 down to 1e-9 in quarters of a decade
_PILOT_ROWS = 4096
_LOOSEST = "its steps depend on a tolerance, and it takes as many at the loosest that works"
_PILOT = "its tolerance was found by a pilot run with the exact score, and these runs took more"
_GIVEN = "that is what its function gave for the budget"
_OWN = "it spends more than it is told to"


@dataclass(frozen=True)
class Planner:
    """Brings one contender to the budgets of a setting.

    Attributes:
        label: its name.
        contender: what it is, with one grid at most.
        setting: the problem and the budgets.
    """

    label: str
    contender: Contender
    setting: Setting

    def entrants(self) -> list[Entrant]:
        """One for each budget that it can keep; one alone if it sets its own evaluations.

        Raises:
            PairingError: for a factory that gives no integrator, or a solver that needs another
                kind of SDE.
        """
        by = self.contender.by
        if isinstance(by, Pipeline):
            return [Entrant(self.label, None, by)]
        if not isinstance(by, Integrator):
            return [
                self._entrant(budget, made, _GIVEN)
                for budget in self.setting.nfe
                if (made := self._made(by, self._left(budget))) is not None
            ]
        claims = by.claims
        ways: list[tuple[bool, Callable[[Integrator, int], Integrator | None]]] = [
            (claims.steps is not None, self._in_steps),
            (claims.order is not None, self._on_grid),
            (bool(_knobs(by)), self._within),
            ("nfe" in _options(by), self._counted),
            ("steps" in _options(by), self._in_option),
            (claims.evaluations is not None, self._on_grid),
        ]
        way = next((way for fits, way in ways if fits), None)
        if isinstance(by, OnGrid) or way is None:
            return [self._entrant(None, by)]
        found = [(budget, way(by, budget)) for budget in self.setting.nfe]
        unique: dict[Integrator, int] = {}
        for budget, made in found:
            if made is not None:
                unique.setdefault(made, budget)
        return [
            self._entrant(budget, made, self._excess(by, made, budget))
            for made, budget in unique.items()
        ]

    def _entrant(self, budget: int | None, by: Integrator, excess: str = _OWN) -> Entrant:
        return Entrant(self.label, budget, self._pipeline(by), excess)

    def _excess(self, by: Integrator, made: Integrator, budget: int) -> str:
        """Why it may spend more than the budget."""
        if not self._spent_at:
            return _OWN
        return _LOOSEST if made == _tuned(by, 0) and self._rung(by, 0) > budget else _PILOT

    def _pipeline(self, by: Integrator) -> Pipeline:
        setting, level = self.setting, self.contender.stochasticity
        level = setting.conditions.stochasticity if level is None else level
        reverse = ReverseSDE(setting.sde, setting.problem.score, level)
        # What a factory makes has the budget that it was asked for: one step stays one step.
        whole = OnGrid(by, Uniform(1)) if by.needs_grid else by
        return Pipeline(reverse, setting.problem.legs(whole))

    def _left(self, budget: int) -> int:
        """What of a budget the integrator has: the final denoising is paid first."""
        return budget - self.setting.problem.extra

    def _counted(self, by: Integrator, budget: int) -> Integrator | None:
        """With its option ``nfe``; None if nothing is left."""
        left = self._left(budget)
        return _changed(by, {"nfe": left}) if left else None

    def _made(self, factory: Factory, budget: int) -> Integrator | None:
        if not budget:
            return None
        made = factory(budget)
        if not isinstance(made, Integrator):
            raise PairingError(f"{self.label}({budget}) gave {made!r}: must be an Integrator.")
        return made

    def _on_grid(self, by: Integrator, budget: int) -> Integrator | None:
        """As many steps of the grid as the budget has; None if not even one."""
        grid, *_ = (*self.contender.grids, self.setting.conditions.grid)
        each = by.claims.evaluations
        if each is None:  # the first steps of a multistep method, for one, cost more
            return self._most(lambda steps: OnGrid(by, with_steps(grid, steps)), budget)
        steps = self._left(budget) // max(each, 1)
        return OnGrid(by, with_steps(grid, steps)) if steps else None

    def _in_steps(self, by: Integrator, budget: int) -> Integrator | None:
        """As many steps of its own as the budget has; None if not even one."""
        return self._most(lambda steps: with_own_steps(by, steps), budget)

    def _in_option(self, by: Integrator, budget: int) -> Integrator | None:
        """Likewise, where it claims no option that refines it, and has one of that name."""
        return self._most(lambda steps: _changed(by, {"steps": steps}), budget)

    def _most(self, made: Callable[[int], Integrator], budget: int) -> Integrator | None:
        """The most steps that the budget has: a search that guesses one evaluation a step."""
        low, high, probe = 0, budget + 1, budget
        while high - low > 1:
            over = ceil(self._spent(made(probe))) - budget
            low, high = (probe, high) if over <= 0 else (low, probe)
            probe = max(probe - over, low + 1) if over <= 0 else probe - over
            if not low < probe < high:
                probe = (low + high) // 2
        return made(low) if low else None

    def _within(self, by: Integrator, budget: int) -> Integrator | None:
        """The tightest tolerance that keeps the budget; the loosest that works if none does."""
        low, high = -1, _RUNGS
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._rung(by, middle) <= budget else (low, middle)
        if low >= 0:
            return _tuned(by, low)
        return _tuned(by, 0) if self._rung(by, 0) < _hopeless(self.setting) else None

    def _rung(self, by: Integrator, rung: int) -> float:
        known = self._spent_at.get(rung)
        if known is None:
            setting = self.setting
            rows = min(setting.samples, _PILOT_ROWS)
            known = self._spent_at[rung] = self._spent(
                _tuned(by, rung), rows, setting.problem.score
            )
        return known

    @cached_property
    def _spent_at(self) -> dict[int, float]:
        return {}

    @torch.no_grad()
    def _spent(self, by: Integrator, rows: int = 2, score: ScoreModel | None = None) -> float:
        """Evaluations of a run, cut off where it is past all budgets.

        Those of fixed steps do not depend on the score: without one, that of N(0, I) will do.
        """
        setting, pipeline = self.setting, self._pipeline(by)
        sde, seed = setting.sde, setting.seeds[0]
        meter = _Meter(score or _Normal(sde), rows * _hopeless(setting))
        x = Truth(setting.target, sde, sde.T, seed).draws(rows, "start").float()
        metered = replace(pipeline, reverse=replace(pipeline.reverse, score_model=meter))
        try:
            metered.sample(x.shape, noise=stream(seed, "noise"), x=x)
        except _OverBudget:
            pass
        except ArithmeticError:
            return 0.0  # too loose to work at all: look further down
        return meter.rows / rows


@dataclass(frozen=True)
class _Normal:
    """The score for data N(0, I), at a time that is the same in all rows."""

    sde: LinearSDE

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        marginal = self.sde.at(float(t[0]))
        return x / -(marginal.alpha**2 + marginal.sigma**2)


class _OverBudget(Exception):
    """A pilot run has spent more than any budget."""


@dataclass(eq=False)
class _Meter(Wrapper):
    """A score model that stops the run past a number of evaluated rows."""

    score_model: ScoreModel
    limit: int
    rows: int = 0

    def through(self, model: ScoreModel, x: Tensor, t: Tensor) -> Tensor:
        self.rows += asked_count(model, x, t)
        if self.rows >= self.limit:
            raise _OverBudget
        return model(x, t)


def _hopeless(setting: Setting) -> int:
    return 2 * max(setting.nfe) + 50


def _knobs(by: Integrator) -> list[str]:
    """The options that are tolerances."""
    return [name for name in _options(by) if name in TOLERANCES]


def _options(by: Integrator) -> list[str]:
    return [each.name for each in options_of(type(by))]


def _tuned(by: Integrator, rung: int) -> Integrator:
    """The solver with its first tolerance at 10^(-rung / 4), the others in proportion."""
    knobs = _knobs(by)
    first = float(getattr(by, knobs[0]))
    tolerance = 10.0 ** (-rung / 4.0)
    changed = {name: tolerance * float(getattr(by, name)) / first for name in knobs}
    return _changed(by, changed)


def _changed(by: Integrator, options: Mapping[str, object]) -> Integrator:
    changed: Integrator = replace(by, **options)  # type: ignore[type-var]
    return changed
