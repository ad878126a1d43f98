"""A table of text: for the terminal, for a notebook, for Markdown and for a page."""

from __future__ import annotations

import io
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

_WIDEST = 10_000  # a table that is printed is as wide as its cells, and no cell is cut


@dataclass(frozen=True, repr=False)
class Sheet:
    """A table: prints as text, shows itself in a notebook or a rich console, knows its Markdown.

    Attributes:
        title: above the table.
        columns: headings.
        rows: cells, as text.
        words: how many of the first columns hold words; the others are set to the right.
        notes: under the table: what a reader should know of a row.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """The table in Markdown, without its title and its notes."""
        rule = ["---" if n < self.words else "---:" for n in range(len(self.columns))]
        lines = [self.columns, rule, *self.rows]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def html(self) -> str:
        """The table as a piece of a page, which scrolls where the page is narrower."""
        head = self._line("th", self.columns)
        body = "\n".join(self._line("td", row) for row in self.rows)
        notes = "".join(f"\n<p><small>{escape(note)}</small></p>" for note in self.notes)
        return (
            f'<p><b>{escape(self.title)}</b></p>\n<div style="overflow-x: auto"><table>\n'
            f"<thead>{head}</thead>\n<tbody>\n{body}\n</tbody>\n</table></div>{notes}"
        )

    def _line(self, tag: str, cells: tuple[str, ...]) -> str:
        words, numbers = "text-align: left", "text-align: right; white-space: nowrap"
        styles = (words if n < self.words else numbers for n in range(len(cells)))
        inside = (
            f'<{tag} style="{style}">{escape(cell)}</{tag}>'
            for cell, style in zip(cells, styles, strict=True)
        )
        return f"<tr>{''.join(inside)}</tr>"

    def _repr_html_(self) -> str:
        return self.html()

    def __rich__(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        # As Text: square brackets in a label are no markup.
        caption = Text("\n".join(self.notes)) if self.notes else None
        table = Table(
            title=Text(self.title), title_justify="left", title_style="bold",
            caption=caption, caption_justify="left",
        )  # fmt: skip
        for n, column in enumerate(self.columns):
            table.add_column(Text(column), justify="left" if n < self.words else "right")
        for row in self.rows:
            table.add_row(*map(Text, row))
        return table

    def __str__(self) -> str:
        from rich.console import Console

        stream = io.StringIO()
        # Without the last word a notebook would show the table and leave the text empty.
        Console(file=stream, width=_WIDEST, force_jupyter=False).print(self.__rich__())
        return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())

    __repr__ = __str__
