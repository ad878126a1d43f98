"""What a reader should know of the rows: which budgets have none, and which were not kept."""

from __future__ import annotations

from collections.abc import Sequence

from sdeplug.compare.contenders import Entrant
from sdeplug.compare.rows import Row, spent

_SAME = 0.05  # evaluations: a smaller excess is not seen in the table


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
