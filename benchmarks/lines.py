"""What a benchmark reports: lines with their limits, as a table and as a file."""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

Part = Callable[[bool], Iterable["Line"]]
"""A part of a benchmark: whether it has to be quick to its lines."""


@dataclass(frozen=True)
class Line:
    """One measurement; without a limit it is only reported."""

    what: str
    value: float
    unit: str
    limit: float | None = None

    @property
    def verdict(self) -> str:
        if self.limit is None:
            return ""
        return "ok" if self.value <= self.limit else "over"


def reported(title: str, about: str, *parts: Part) -> int:
    """Measure all parts on one thread, as the command line asks; the exit status, 1 if one is over.

    Args:
        title: of the table.
        about: what is measured; its first line is the help.
        parts: one after the other.
    """
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer steps and repetitions")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = [line for part in parts for line in part(options.quick)]
    where = f"torch {torch.__version__}, Python {platform.python_version()}, {platform.platform()}"
    Console(width=100).print(table(title, lines, where))
    if options.json:
        measured = [asdict(line) | {"verdict": line.verdict} for line in lines]
        options.json.write_text(json.dumps({"machine": where, "lines": measured}, indent=2) + "\n")
    return int(any(line.verdict == "over" for line in lines))


def table(title: str, lines: Sequence[Line], caption: str) -> Table:
    """A row for each line: what, the value, the limit, the verdict."""
    made = Table("what", title=title, caption=caption)
    for column in ("measured", "limit"):
        made.add_column(column, justify="right")
    made.add_column("")
    for line in lines:
        limit = "" if line.limit is None else f"{line.limit:g}"
        made.add_row(line.what, f"{line.value:.3f} {line.unit}", limit, line.verdict)
    return made
