"""A table of text, for the terminal, for Markdown and for a page."""

from __future__ import annotations

import io
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

_WIDTH = 200


@dataclass(frozen=True)
class Sheet:
    """A table: prints as text, shows itself in a rich console, and knows its Markdown.

    Attributes:
        title: above the table.
        columns: headings.
        rows: cells, as text.
        words: how many of the first columns hold words; the others are set to the right.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1

    def markdown(self) -> str:
        """The table in Markdown, without its title."""
        rule = ["---" if n < self.words else "---:" for n in range(len(self.columns))]
        lines = [self.columns, rule, *self.rows]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def __rich__(self) -> Table:
        table = Table(title=self.title, title_justify="left", title_style="bold")
        for n, column in enumerate(self.columns):
            table.add_column(column, justify="left" if n < self.words else "right")
        for row in self.rows:
            table.add_row(*row)
        return table

    def __str__(self) -> str:
        stream = io.StringIO()
        Console(file=stream, width=_WIDTH).print(self.__rich__())
        return stream.getvalue().rstrip("\n")
