"""What a comparison found: its rows and what they were measured on, whatever looks at them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sdeplug.compare.rows import Row, pareto
from sdeplug.errors import ArgumentError


@dataclass(frozen=True)
class Results:
    """Rows, and what they were measured on; :class:`Comparison` adds the views.

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

    def score(self, score_error: float) -> str:
        """What score an axis is for, in words."""
        if score_error:
            return f"score error {score_error:g}"
        return "the network's score" if self.settings["score"] == "network" else "exact score"

    def metric(self, name: str | None = None) -> str:
        """The name of a metric, checked; None: the first.

        Raises:
            ArgumentError: if it was not measured.
        """
        wanted = next(iter(self.metrics)) if name is None else name
        if wanted not in self.metrics:
            raise ArgumentError("metric", name, f"one of {', '.join(self.metrics)}")
        return wanted
