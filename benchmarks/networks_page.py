"""The page "Where every sampler stands on a network", from the runs that are kept.

python benchmarks/networks_page.py --out FOLDER

The folder is the one that benchmarks/networks.py has filled.  Tables are written into
docs/explanation/networks.md, each below its title, and docs/images/networks.png is drawn.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from kept import Cells, Found
from rivals import Sampler, ours, theirs

from sdeplug.pictures import INK, blank_figure

DOCS = Path(__file__).resolve().parents[1] / "docs"
BUDGETS = (4, 5, 6, 8, 10, 16, 25, 50)
TITLES = {"frechet": "Fréchet distance to digits", "rmse": "RMSE to the converged flow"}


TICKS = {
    "frechet": (400, 500, 700, 1000, 1500, 2000),
    "rmse": (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
}


def tables(cells: Cells, samplers: Sequence[Sampler]) -> str:
    """Both tables, for people who wait for them."""
    parts = (f"{title}\n\n{table(cells, samplers, each)}\n" for each, title in TITLES.items())
    return "\n".join(parts)


def table(cells: Cells, samplers: Sequence[Sampler], error: str) -> str:
    """Rows of samplers, columns of budgets, the least of a column in bold."""
    columns = [[cells.error(by, nfe, error) for by in samplers] for nfe in BUDGETS]
    least = [min((f.mean for f in column if f), default=0.0) for column in columns]
    lines = [f"| sampler | {' | '.join(map(str, BUDGETS))} |", "| --- " * (len(BUDGETS) + 1) + "|"]
    for number, by in enumerate(samplers):
        row = [column[number] for column in columns]
        if any(row):
            said = [_said(found, error, low) for found, low in zip(row, least, strict=True)]
            lines.append(f"| {label(by)} | {' | '.join(said)} |")
    return "\n".join(lines)


def label(by: Sampler) -> str:
    """Ours are bare; what several libraries have says so itself."""
    return by.name if not by.library or by.name.endswith(")") else f"{by.library}: {by.name}"


def _said(found: Found | None, error: str, least: float) -> str:
    """Mean, its standard error, the grid."""
    if found is None:
        return ""
    digits = 0 if error == "frechet" else 3 if found.mean >= 0.02 else 4
    said = f"{found.mean:.{digits}f}"
    if found.doubt:
        said += f" ± {found.doubt:.{digits}f}"
    said = f"**{said}**" if found.mean == least else said
    return said if found.grid == "its own" else f"{said} {found.grid}"


def picture(cells: Cells, samplers: Sequence[Sampler]):
    """Errors against evaluations, those of other libraries grey."""
    figure = blank_figure(9.0, 4.2)
    for panel, (error, title) in zip(figure.subplots(1, 2), TITLES.items(), strict=True):
        for by in samplers:
            points = [(nfe, f.mean) for nfe in BUDGETS if (f := cells.error(by, nfe, error))]
            if len(points) < 2:
                continue
            loud = by.name in ("auto", "auto, flow")
            panel.plot(
                *zip(*points, strict=True), marker="o", markersize=3,
                linewidth=2.2 if loud else 0.9, zorder=3 if loud else 2,
                color="#d1495b" if loud else "#1f77a8" if not by.library else "#b9c1c8",
            )  # fmt: skip
        panel.set(xscale="log", yscale="log", title=title, xlabel="score evaluations")
        panel.set_xticks(BUDGETS, map(str, BUDGETS))
        low, high = panel.get_ylim()
        panel.set_ylim(low, min(high, TICKS[error][-1]))
        panel.minorticks_off()
        panel.set_yticks(TICKS[error], map(str, TICKS[error]))
        panel.tick_params(labelsize=8, colors=INK)
    figure.tight_layout()
    return figure


def written(text: str, title: str, made: str) -> str:
    """The page with another table below a title."""
    changed, count = re.subn(
        rf"(## {re.escape(title)}\n\n)(?:\|.*\n)*\n*", lambda m: f"{m[1]}{made}\n\n", text
    )
    if count != 1:
        raise RuntimeError(f"the page has {count} titles {title!r}")
    return changed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    options = parser.parse_args()
    cells, samplers = Cells(options.out / "cells.jsonl"), [*theirs(), *ours()]
    page = DOCS / "explanation" / "networks.md"
    text = page.read_text(encoding="utf-8")
    for error, title in TITLES.items():
        text = written(text, title, table(cells, samplers, error))
    page.write_text(text, encoding="utf-8")
    figure = picture(cells, samplers)
    figure.savefig(DOCS / "images" / "networks.png", dpi=110, bbox_inches="tight")


if __name__ == "__main__":
    main()
