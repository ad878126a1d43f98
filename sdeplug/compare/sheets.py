"""The tables of a comparison."""

from __future__ import annotations

from collections.abc import Sequence

from sdeplug.compare.results import Results
from sdeplug.compare.rows import Row, spent
from sdeplug.errors import ArgumentError
from sdeplug.sheet import Sheet

QUALITY, DIVERSITY = ("frechet", "precision", "density"), ("recall", "coverage")
"""The metrics of the generative trilemma (Xiao et al., arXiv 2112.07804)."""


def table(results: Results, times: bool) -> Sheet:
    """All rows, with the floor below those of one law."""
    metrics = list(results.metrics)
    axes = results.settings["score_errors"]
    exact = any(row.exact is not None for row in results.rows)
    columns = ["solver", *(["score error"] if len(axes) > 1 else []), "budget", "NFE"]
    columns += [*(["seconds", "overhead"] if times else []), *metrics]
    columns += ["exact law"] if exact else []
    lines = []
    for row in results.rows:
        line = [row.solver, *([f"{row.score_error:g}"] if len(axes) > 1 else [])]
        line += ["-" if row.budget is None else str(row.budget), spent(row)]
        line += [f"{row.seconds:.3f}", f"{row.overhead:.3f}"] if times else []
        line += _values(row, metrics)
        line += [_percent(row.exact)] if exact else []
        lines.append(tuple(line))
    blank = len(columns) - len(metrics) - exact - 1
    for label, row in _one_for_each_law(results.rows):
        values = [str(row.floor[name]) for name in metrics]
        lines.append((label, *[""] * blank, *values, *[""] * exact))
    return Sheet(title(results), tuple(columns), tuple(lines), notes=results.notes)


def trilemma(results: Results, score_error: float | None) -> Sheet:
    """Quality, diversity, speed."""
    measured = [name for name in (*QUALITY, *DIVERSITY) if name in results.metrics]
    if not any(n in QUALITY for n in measured) or not any(n in DIVERSITY for n in measured):
        raise ArgumentError(
            "metrics", list(results.metrics), "some of quality and some of diversity",
            f"Quality: {', '.join(QUALITY)}. Diversity: {', '.join(DIVERSITY)}. These are "
            "measured for images and data sets when no metrics are named.",
        )  # fmt: skip
    rows = results.at(score_error)
    lines = [
        (row.solver, *_values(row, measured), spent(row), f"{row.seconds:.3f}") for row in rows
    ]
    for label, row in _one_for_each_law(rows):
        lines.append((label, *(str(row.floor[name]) for name in measured), "", ""))
    heads = [f"{'quality' if n in QUALITY else 'diversity'}: {n}" for n in measured]
    columns = ("solver", *heads, "speed: NFE", "speed: seconds")
    return Sheet("The generative trilemma: quality, diversity, speed", columns, tuple(lines))


def title(results: Results) -> str:
    """What was compared on, in a line."""
    settings = results.settings
    sde = settings["sde"]
    name = sde["name"] if isinstance(sde, dict) else sde
    count = len(settings["seeds"])
    seeds = "1 seed" if count == 1 else f"{count} seeds"
    return f"{settings['target']}, {name}, {settings['samples']} samples, {seeds}"


def _values(row: Row, metrics: Sequence[str]) -> list[str]:
    if row.failure:
        return [row.failure, *["-"] * (len(metrics) - 1)]
    return [str(row.values.get(name, "-")) for name in metrics]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2g} %"


def _one_for_each_law(rows: Sequence[Row]) -> list[tuple[str, Row]]:
    """A row for each floor that there is, with a label."""
    found: dict[str, Row] = {}
    for row in rows:
        found.setdefault(row.law, row)
    if len(found) == 1:
        return [("exact draws", row) for row in found.values()]
    return [(f"exact draws, {law}", row) for law, row in found.items()]
