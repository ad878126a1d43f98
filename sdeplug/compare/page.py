"""A comparison as one page of HTML that needs no other file."""

from __future__ import annotations

import json
from importlib.resources import files

import jinja2

from sdeplug.compare.plots import plot, samples_plot
from sdeplug.compare.results import Results
from sdeplug.compare.sheets import DIVERSITY, table, title, trilemma
from sdeplug.pictures import inline
from sdeplug.sheet import Sheet


def page(results: Results) -> str:
    """The page: verdicts, pictures, tables, settings, versions, the command."""
    metrics = list(results.metrics)
    axes = results.settings["score_errors"]
    sheets = [table(results, times=True)]
    if any(name in DIVERSITY for name in metrics):
        sheets += [_for(results, error) for error in axes]
    template = (files("sdeplug.compare") / "compare.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(
        title=title(results),
        metric=metrics[0],
        verdicts=_verdicts(results),
        plots=[(name, inline(plot(results, name))) for name in metrics[:1]],
        samples=[(error, inline(samples_plot(results, error))) for error in axes],
        sheets=sheets,
        settings={key: json.dumps(value) for key, value in results.settings.items()},
        versions=results.versions,
        command=results.command,
    )


def _verdicts(results: Results) -> list[tuple[str, int, str, str, str]]:
    """The best at each budget: score, budget, solver, value, floor."""
    name = results.metric()
    found = []
    for error in results.settings["score_errors"]:
        spent = [row.nfe for row in results.at(error) if row.values]
        for budget in results.settings["nfe"]:
            if spent and min(spent) <= budget:
                row = results.best(budget, score_error=error)
                score = results.score(error)
                found.append(
                    (score, budget, row.solver, str(row.values[name]), str(row.floor[name]))
                )
    return found


def _for(results: Results, error: float) -> Sheet:
    sheet = trilemma(results, error)
    return Sheet(f"{sheet.title} ({results.score(error)})", sheet.columns, sheet.rows)
