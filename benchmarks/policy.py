"""The measurement behind the policy of ``auto``: rules, grids and stochasticities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

from measures import MIXTURES, RING, Problem
from rich.table import Table

from sdeplug import VESDE, VPSDE, Focus, LogSNR, OnGrid
from sdeplug_exponential import Adams

BUDGETS = (8, 16, 32, 64, 128)
RULES = (
    Adams(2, 0, True), Adams(2, 2, True), Adams(2, 2), Adams(3, 3), Adams(4, 4),
    *(Adams(p, c, knee=knee) for p, c in ((2, 2), (3, 3), (4, 4)) for knee in (0.04, 1.1)),
)  # fmt: skip
GRIDS: tuple[LogSNR | Focus, ...] = (
    LogSNR(1),
    LogSNR(1, 0.8),
    *(Focus(1, *ends) for ends in ((0.0015, 60.0), (0.005, 20.0), (0.0, 7.0))),
)
LEVELS = (0.0, 0.5, 0.7, 1.0, 1.4)


def policy(rows: int) -> Iterator[Table]:
    """Exact scores: rules and exponents; then wrong ones: rules and stochasticities."""
    for sde in (VPSDE(), VESDE()):
        for name in ("Gaussian", *MIXTURES):
            problem = Problem(name, sde, rows=rows)
            yield table(problem, [(rule, grid, 0.0) for rule in RULES for grid in GRIDS])
        for size in (0.02, 0.1):
            for name in ("Gaussian", RING):
                problem = Problem(name, sde, size, 6, rows)
                choices = product(RULES, GRIDS[1:], LEVELS)
                yield table(problem, list(choices))


def table(problem: Problem, choices: Sequence[tuple[Adams, LogSNR | Focus, float]]) -> Table:
    """The errors of all choices on one problem."""
    made = Table("rule", "grid", "l", title=problem.title, title_justify="left")
    for nfe in BUDGETS:
        made.add_column(str(nfe), justify="right")
    for rule, grid, level in choices:
        by = [OnGrid(rule, replace(grid, steps=nfe)) for nfe in BUDGETS]
        errors = [problem.error(each, level, nfe) for each, nfe in zip(by, BUDGETS, strict=True)]
        told = f"{rule.predictor},{rule.corrector}" + (
            ", mean slope" if rule.mean_slope else f", knee {rule.knee:g}"
        )
        steps = repr(grid).replace("steps=1, ", "")
        made.add_row(told, steps, f"{level:g}", *(f"{error.value:.2g}" for error in errors))
    return made
