"""What a comparison gives: rows, and ways to look at them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdeplug.compare import sheets
from sdeplug.compare.rows import Row, pareto
from sdeplug.compare.sheet import Sheet
from sdeplug.errors import ArgumentError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FORMAT = 1


@dataclass(frozen=True)
class Comparison:
    """The result of :func:`compare`.

    Attributes:
        rows: one for each solver, budget and size of the error of the score.
        settings: what was compared on, as plain data.
        versions: of what decides the numbers.
        command: what repeats it.
        notes: what a reader should know.
        picture: some exact draws, as ``Row.picture``.
    """

    rows: tuple[Row, ...]
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    command: str = ""
    notes: tuple[str, ...] = ()
    picture: str = field(default="", repr=False)

    @property
    def metrics(self) -> dict[str, bool]:
        """Names of the metrics, the one that ranks first, and whether higher is better."""
        return {each["name"]: each["higher_is_better"] for each in self.settings["metrics"]}

    def best(self, nfe: float, metric: str | None = None, score_error: float | None = None) -> Row:
        """The best row that spent at most so many evaluations; of those at the floor, the cheapest.

        Args:
            nfe: score evaluations.
            metric: what decides; None: the first metric.
            score_error: which axis; None: the first, usually the exact score.

        Raises:
            ArgumentError: if there is no such row, metric or axis.
        """
        name = self.metric(metric)
        front = pareto(self.at(score_error), lambda row: row.nfe, name, self.metrics[name])
        within = [row for row in front if row.nfe <= nfe]
        if not within:
            spent = ", ".join(f"{row.nfe:g}" for row in front)
            raise ArgumentError("nfe", nfe, "enough for a row", f"The best ones spent {spent}.")
        return within[-1]

    def at(self, score_error: float | None = None) -> list[Row]:
        """The rows of one axis; None: the first.

        Raises:
            ArgumentError: if it is none of the axes.
        """
        axes = self.settings["score_errors"]
        wanted = axes[0] if score_error is None else score_error
        if wanted not in axes:
            raise ArgumentError("score_error", score_error, f"one of {axes}")
        return [row for row in self.rows if row.score_error == wanted]

    def metric(self, name: str | None = None) -> str:
        """The name of a metric, checked; None: the first.

        Raises:
            ArgumentError: if it was not measured.
        """
        wanted = next(iter(self.metrics)) if name is None else name
        if wanted not in self.metrics:
            raise ArgumentError("metric", name, f"one of {', '.join(self.metrics)}")
        return wanted

    def table(self, times: bool = True) -> Sheet:
        """All rows, and what exact draws get; ``times`` may be left out, since they vary.

        It prints as text, shows itself in a rich console, and has ``.markdown()``.
        """
        return sheets.table(self, times)

    def trilemma(self, score_error: float | None = None) -> Sheet:
        """Quality, diversity and speed side by side, for image targets.

        Raises:
            ArgumentError: unless the target has images.
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
