"""What a reader should know of the rows: which budgets have none, and which were not kept."""

from __future__ import annotations

from collections.abc import Sequence

from sdeplug.compare.contenders import Entrant
from sdeplug.compare.flow import NAME
from sdeplug.compare.rows import Row, spent
from sdeplug.compare.setting import Setting

_SAME = 0.05  # evaluations: a smaller excess is not seen in the table


def conventions(setting: Setting) -> list[str]:
    """What is counted, and what the error to the flow is."""
    found = []
    if setting.problem.network:
        found.append(
            "a network's score: every run starts from data diffused to T and ends at 0; the final "
            "denoising is one of its evaluations; one that asks no network (AnalyticFirst) is none"
        )
        found.append(f"measured: {', '.join(repr(each) for _, each in setting.metrics)}")
    flow = setting.conditions.flow
    if flow is not None:
        found.append(
            f"{NAME}: root mean square distance of the first {min(flow.rows, setting.samples)} "
            f"samples to the probability flow from the same starts in {flow.steps} steps, for runs "
            "that draw nothing; beside exact draws stands what half of these steps change"
        )
    return found


def missed(label: str, budgets: Sequence[int]) -> str:
    """That a solver has no row for some budgets."""
    which = ", ".join(map(str, budgets))
    return f"{label}: no row of its own for {which} evaluations, too few for it or no change"


def overspent(entrants: Sequence[Entrant], rows: Sequence[Row]) -> list[str]:
    """Why rows spent more than their budget: a note for each solver and reason.

    Args:
        entrants: what ran.
        rows: what it gave, in the same order, for each size of the error of the score.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for n, row in enumerate(rows):
        if row.budget is not None and row.nfe > row.budget + _SAME:
            reason = entrants[n % len(entrants)].excess
            score = f", score error {row.score_error:g}" if row.score_error else ""
            said = f"{spent(row)} evaluations (budget {row.budget}{score})"
            found.setdefault((row.solver, reason), []).append(said)
    return [f"{label}: {', '.join(said)}: {why}" for (label, why), said in found.items()]
