"""The methods of exponential Runge-Kutta and their errors, as Markdown for ``solver_table.py``."""

from __future__ import annotations

from error_table import error, percent

import sdeplug as sp
from sdeplug_exponential import ExpRK, Method

BUDGETS = (24, 48, 96)  # evaluations of the score


def tableaux() -> str:
    """What each is: evaluations, orders, source."""
    lines = ["| `method` | evaluations | order | stiff order | source |", "| --- " * 5 + "|"]
    for each in Method:
        method = each.value
        numbers = f"{len(method.fractions)} | {method.order} | {method.stiff}"
        lines.append(f"| `{each}` | {numbers} | {method.source} |")
    return "\n".join(lines) + "\n"


def errors() -> str:
    """Exact errors at equal numbers of evaluations, under VP."""
    columns = [(budget, level) for budget in BUDGETS for level in (1.0, 0.0)]
    titles = [f"{budget}, l = {level:g}" for budget, level in columns]
    lines = [f"| `method` | {' | '.join(titles)} |", "| --- " * (1 + len(columns)) + "|"]
    for each in Method:
        by, stages = ExpRK(each), len(each.value.fractions)
        measured = [error(by, sp.VPSDE(), n // stages, level)[0] for n, level in columns]
        lines.append(f"| `{each}` | {' | '.join(map(percent, measured))} |")
    return "\n".join(lines) + "\n"
