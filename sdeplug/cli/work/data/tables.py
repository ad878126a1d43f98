"""Data from tables of numbers: files of comma-separated values."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sdeplug.cli.work.data.rows import Rows, classified
from sdeplug.errors import ArgumentError

_MISSING = ("", "na", "n/a", "nan", "none", "null", "-", "?")


@dataclass(frozen=True)
class _Table:
    """The cells of a file.

    Attributes:
        names: of the columns.
        cells: rows of as many texts.
        first: line of the file that the first row is on.
    """

    names: tuple[str, ...]
    cells: list[list[str]]
    first: int


def read_table(path: Path, labels: str | None) -> Rows:
    """The rows of a table; a first line without a number in it names the columns.

    What stands for a missing number is not-a-number.

    Args:
        path: of a file with commas, semicolons or tabs between the cells.
        labels: the column that holds the class of a row, by its name or its number from 1.

    Raises:
        ArgumentError: for a file that is no such table, or a cell that is no number.
    """
    table = _read(path)
    chosen = None if labels is None else _column(labels, table.names)
    kept = [i for i in range(len(table.names)) if i != chosen]
    if not kept:
        raise ArgumentError("data", str(path), "a table with a column of numbers")
    x = np.array(
        [
            [_number(row[i], table.first + place, table.names[i]) for i in kept]
            for place, row in enumerate(table.cells)
        ],
        dtype=np.float64,
    ).reshape(-1, len(kept))
    words = None if chosen is None else [row[chosen].strip() for row in table.cells]
    return classified(x, words, tuple(table.names[i] for i in kept))


def _read(path: Path) -> _Table:
    """The cells, all rows of one length.

    Raises:
        ArgumentError: for a file that is no text, has no row, or rows of different lengths.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ArgumentError("data", str(path), "a table as text, in UTF-8", f"{error}.") from error
    head = text[: text.find("\n")] if "\n" in text else text
    between = max((",", ";", "\t"), key=head.count)
    reader = csv.reader(text.splitlines(), delimiter=between)
    lines = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    if not lines:
        raise ArgumentError("data", str(path), "a table with rows", "It is empty.")
    width = len(lines[0][1])
    for line, row in lines:
        if len(row) != width:
            raise ArgumentError(
                "data", f"{path}, line {line}", f"of {width} cells, as the first line is",
                f"It has {len(row)}.",
            )  # fmt: skip
    named = not any(_is_number(cell) for cell in lines[0][1])
    names = lines[0][1] if named else [f"column {i + 1}" for i in range(width)]
    rows = lines[named:]
    if not rows:
        raise ArgumentError("data", str(path), "a table with rows", "It has a first line alone.")
    return _Table(tuple(name.strip() for name in names), [row for _, row in rows], rows[0][0])


def _column(asked: str, names: Sequence[str]) -> int:
    if asked in names:
        return names.index(asked)
    if asked.isdigit() and 1 <= int(asked) <= len(names):
        return int(asked) - 1
    raise ArgumentError("labels", asked, f"a column: {', '.join(names)}, or its number from 1")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(cell: str, line: int, column: str) -> float:
    """The number in a cell; NaN where it is missing."""
    if cell.strip().lower() in _MISSING:
        return float("nan")
    try:
        return float(cell)
    except ValueError:
        raise ArgumentError(
            column, cell, "a number", f"It is on line {line}. A column of words can be the "
            f"classes: `sdeplug train --labels {column!r}`.",
        ) from None  # fmt: skip
