"""The measurement behind the policy of ``auto``: rules, grids and stochasticities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

from measures import EXACT, RING, UNEVEN, Problem
from rich.table import Table

from sdeplug import VESDE, VPSDE, Focus, LogSNR, OnGrid
from sdeplug_exponential import POLICY, Adams
from sdeplug_exponential.policy import Noise

BUDGETS = (8, 16, 32, 64, 128)
PLAIN = (Adams(2, 0, True), Adams(2, 2, True), Adams(2, 2), Adams(3, 3), Adams(4, 4))
KNEES = tuple(replace(rule, knee=knee) for rule in PLAIN[2:] for knee in (0.04, 0.1, 0.5, 1.1))
NOISY = (*PLAIN[:3], *KNEES[:4])  # with a wrong score the order hardly matters
PLAIN_GRIDS = (LogSNR(1), LogSNR(1, 0.8))
FOCUSED = tuple(Focus(1, row.low, row.high) for row in POLICY)
LEVELS = (0.0, 0.5, 1.0, 1.4, *(row.noise for row in POLICY if row.noise))


def policy(rows: int) -> Iterator[Table]:
    """Exact scores: rules and exponents; then wrong ones: rules and stochasticities."""
    for sde in (VPSDE(), VESDE()):
        for name in ("Gaussian", *EXACT):
            problem = Problem(name, sde, rows=rows)
            choices = product((*PLAIN, *KNEES), (*PLAIN_GRIDS, *FOCUSED), (0.0,))
            yield table(problem, list(choices))
        for size in (0.02, 0.1):
            for name in ("Gaussian", RING, UNEVEN):
                problem = Problem(name, sde, size, 6, rows)
                yield table(problem, list(product(NOISY, (PLAIN_GRIDS[1], *FOCUSED[2:]), LEVELS)))


def table(
    problem: Problem, choices: Sequence[tuple[Adams, LogSNR | Focus, float | Noise]]
) -> Table:
    """The errors of all choices on one problem."""
    made = Table("rule", "grid", "l", title=problem.title, title_justify="left")
    for nfe in BUDGETS:
        made.add_column(str(nfe), justify="right")
    for rule, grid, level in choices:
        by = [OnGrid(rule, replace(grid, steps=nfe)) for nfe in BUDGETS]
        noise = level.level(problem.sde, 1.0) if isinstance(level, Noise) else level
        errors = [problem.error(each, noise, nfe) for each, nfe in zip(by, BUDGETS, strict=True)]
        told = f"{rule.predictor},{rule.corrector}" + (
            ", mean slope" if rule.mean_slope else f", knee {rule.knee:g}"
        )
        steps = repr(grid).replace("steps=1, ", "")
        made.add_row(told, steps, str(level), *(f"{error.value:.2g}" for error in errors))
    return made
