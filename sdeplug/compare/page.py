"""A comparison as one page of HTML that needs no other file."""

from __future__ import annotations

import base64
import io
import json
from importlib.resources import files
from typing import TYPE_CHECKING

import jinja2

from sdeplug.compare.sheet import Sheet
from sdeplug.compare.sheets import DIVERSITY, title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sdeplug.compare.comparison import Comparison


def page(comparison: Comparison) -> str:
    """The page: verdicts, pictures, tables, settings, versions, the command."""
    metrics = list(comparison.metrics)
    axes = comparison.settings["score_errors"]
    sheets = [comparison.table()]
    if any(name in DIVERSITY for name in metrics):
        sheets += [_for(comparison, error) for error in axes]
    template = (files("sdeplug.compare") / "compare.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(
        title=title(comparison),
        metric=metrics[0],
        verdicts=_verdicts(comparison),
        plots=[(name, _inline(comparison.plot(name))) for name in metrics[:1]],
        samples=[(error, _inline(comparison.samples_plot(error))) for error in axes],
        sheets=sheets,
        notes=comparison.notes,
        settings={key: json.dumps(value) for key, value in comparison.settings.items()},
        versions=comparison.versions,
        command=comparison.command,
    )


def _verdicts(comparison: Comparison) -> list[tuple[str, int, str, str, str]]:
    """The best at each budget: score, budget, solver, value, floor."""
    name = comparison.metric()
    found = []
    for error in comparison.settings["score_errors"]:
        spent = [row.nfe for row in comparison.at(error) if row.values]
        for budget in comparison.settings["nfe"]:
            if spent and min(spent) <= budget:
                row = comparison.best(budget, score_error=error)
                score = "exact" if error == 0.0 else f"error {error:g}"
                found.append(
                    (score, budget, row.solver, str(row.values[name]), str(row.floor[name]))
                )
    return found


def _for(comparison: Comparison, error: float) -> Sheet:
    sheet = comparison.trilemma(error)
    score = "exact score" if error == 0.0 else f"score error {error:g}"
    return Sheet(f"{sheet.title} ({score})", sheet.columns, sheet.rows)


def _inline(figure: Figure) -> str:
    """A picture as text, for the src of an image."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110, bbox_inches="tight", facecolor="white")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
