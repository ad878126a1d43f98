"""A solver that may have one of several grids gets the one that serves it best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sdeplug.compare.cells import Cell
from sdeplug.compare.contenders import Contender, Entrant
from sdeplug.compare.planner import Planner
from sdeplug.compare.setting import Setting
from sdeplug.compare.work import Work, run_all


@dataclass(frozen=True)
class Settled:
    """Who runs, each on one grid.

    Attributes:
        entrants: one for each solver and budget.
        notes: which grid each was given, and why.
    """

    entrants: tuple[Entrant, ...]
    notes: tuple[str, ...] = ()


def candidates(label: str, contender: Contender, setting: Setting) -> list[Entrant]:
    """A contender at all budgets, on each of its grids; what runs alike is there once.

    Raises:
        SdeplugError: for a contender that does not fit the problem.
    """
    found: dict[tuple[int | None, str], Entrant] = {}
    for each in contender.alone:
        for entrant in Planner(label, each, setting).entrants():
            found.setdefault((entrant.budget, entrant.sampler), entrant)
    return list(found.values())


def settled(entrants: Sequence[Entrant], setting: Setting, work: Work) -> Settled:
    """One entrant for each solver and budget: of several the best by the metric that ranks.

    They run with the noise of a seed that the comparison does not have, so that what they are
    chosen by is not what they are measured by.
    """
    groups: dict[tuple[str, int | None], list[Entrant]] = {}
    for each in entrants:
        groups.setdefault((each.solver, each.budget), []).append(each)
    rivals = [each for group in groups.values() if len(group) > 1 for each in group]
    if not rivals:
        return Settled(tuple(entrants))
    seed, error = max(setting.seeds) + 1, setting.conditions.score_errors[0]
    name, metric = setting.metrics[0]
    cells = [
        Cell(each, setting.target, error, seed, setting.samples, ((name, metric),))
        for each in rivals
    ]
    sign = -1.0 if metric.higher_is_better else 1.0
    values = {
        id(each): sign * outcome.values.get(name, float("inf") * sign)
        for each, outcome in zip(rivals, run_all(cells, work), strict=True)
    }
    chosen, notes = [], []
    for group in groups.values():
        best = min(group, key=lambda each: values.get(id(each), 0.0))
        chosen.append(best)
        if len(group) > 1:
            words = f"the best of {len(group)} grids by {name} with the noise of seed {seed}"
            notes.append(f"{best.solver}, {best.budget} evaluations: {best.grid}, {words}")
    return Settled(tuple(chosen), tuple(notes))
