"""What a comparison gives: its results, and ways to look at them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sdeplug.compare import sheets
from sdeplug.compare.results import Results
from sdeplug.compare.rows import Row
from sdeplug.errors import ArgumentError, MissingExtraError
from sdeplug.sheet import Sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FORMAT = 1


@dataclass(frozen=True, repr=False)
class Comparison(Results):
    """The result of :func:`compare`: what was found, and views of it; a notebook shows it whole.

    Attributes:
        rows: one for each solver, budget and size of the error of the score.
        settings: what was compared on, as plain data.
        versions: of what decides the numbers.
        command: what repeats it.
        notes: what a reader should know.
        picture: some exact draws, as ``Row.picture``.
    """

    def table(self, times: bool = True) -> Sheet:
        """All rows, and what exact draws get; ``times`` may be left out, since they vary.

        It prints as text, shows itself in a rich console, and has ``.markdown()``.
        """
        return sheets.table(self, times)

    def trilemma(self, score_error: float | None = None) -> Sheet:
        """Quality, diversity and speed side by side, for images and data sets.

        Raises:
            ArgumentError: unless metrics of both were measured.
        """
        return sheets.trilemma(self, score_error)

    def plot(self, metric: str | None = None) -> Figure:
        """Error against evaluations and against seconds, a row of panels for each axis.

        A line for each solver, a band for the floor, rings for the Pareto front.

        Raises:
            MissingExtraError: without matplotlib.
            ArgumentError: for a metric that was not measured.
        """
        from sdeplug.compare.plots import plot

        return plot(self, self.metric(metric))

    def samples_plot(self, score_error: float | None = None) -> Figure:
        """Some samples of each solver at each budget, beside exact draws.

        Raises:
            MissingExtraError: without matplotlib.
        """
        from sdeplug.compare.plots import samples_plot

        return samples_plot(self, score_error)

    def to_html(self) -> str:
        """One page that needs nothing else: tables, pictures, settings, versions, the command.

        Raises:
            MissingExtraError: without matplotlib.
        """
        from sdeplug.compare.page import page

        return page(self)

    def to_json(self, times: bool = True) -> str:
        """Everything as JSON; without times and machine the same seeds give the same text."""
        machine = {"machine"} if not times else set()
        plain = {
            "format": _FORMAT,
            "settings": self.settings,
            "versions": {k: v for k, v in self.versions.items() if k not in machine},
            "command": self.command,
            "notes": list(self.notes),
            "picture": self.picture,
            "rows": [row.to_plain(times) for row in self.rows],
        }
        return json.dumps(plain, indent=1)

    def __repr__(self) -> str:
        solvers = ", ".join(dict.fromkeys(row.solver for row in self.rows))
        return f"Comparison({len(self.rows)} rows: {solvers}; {sheets.title(self)})"

    def _repr_html_(self) -> str:
        try:
            from sdeplug.compare.plots import plot
            from sdeplug.pictures import inline
        except MissingExtraError:
            return self.table().html()
        picture = inline(plot(self, self.metric()))
        return f'<img src="{picture}" alt="errors against cost">\n{self.table().html()}'

    @classmethod
    def from_json(cls, text: str) -> Comparison:
        """From what :meth:`to_json` gives.

        Raises:
            ArgumentError: for any other text.
        """
        try:
            plain = json.loads(text)
            rows = tuple(Row.from_plain(each) for each in plain["rows"])
            known = {key: plain[key] for key in ("settings", "versions", "command", "picture")}
            if plain["format"] != _FORMAT:
                raise ValueError(f"format {plain['format']}")
            return cls(rows=rows, notes=tuple(plain["notes"]), **known)
        except (ValueError, KeyError, TypeError) as error:
            short = text if len(text) < 40 else f"{text[:40]}..."
            raise ArgumentError("text", short, "that of a comparison", repr(error)) from error

    @classmethod
    def load(cls, path: Path | str) -> Comparison:
        """Read a file that holds the text of :meth:`to_json`.

        Raises:
            ArgumentError: for a file that is not there, or holds something else.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ArgumentError("path", str(path), "a readable file", str(error)) from error
        return cls.from_json(text)
