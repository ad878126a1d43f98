"""What a tuning found, and views of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from sdeplug.errors import MissingExtraError
from sdeplug.pipeline import Pipeline
from sdeplug.registry import write_spec
from sdeplug.sheet import Sheet
from sdeplug.tuning.trials import Proof, Trial
from sdeplug.values import jsonable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Tuning:
    """What :func:`tune` found; a notebook shows it whole.

    Attributes:
        trials: the candidates, the best first.
        proof: the chosen one on data that chose nothing.
        pipeline: the chosen one, ready to sample.
        metric: what was measured, for people.
        nfe: the budget.
        rows: rows that the network evaluated, in all.
        seconds: wall time.
    """

    trials: tuple[Trial, ...]
    proof: Proof
    pipeline: Pipeline
    metric: str
    nfe: int
    rows: int
    seconds: float

    @property
    def label(self) -> str:
        """Name of the chosen candidate."""
        return self.trials[0].label

    def save(self, path: Path | str) -> None:
        """Write the chosen pipeline to a ``.toml`` or ``.json`` file, without its network.

        ``Pipeline.from_spec(read_spec(path), score)`` reads it.

        Raises:
            ArgumentError: for another ending, or a pipeline that has no plain form.
            UnwrittenError: if it cannot be written.
        """
        write_spec(self.pipeline.to_spec(), path)

    def table(self) -> Sheet:
        """The candidates, the best first, and the chosen one on other data."""
        rows = [
            (each.label, str(each.nfe), str(each.samples), each.failure or str(each.distance),
             "" if each.failure else str(each.behind))
            for each in self.trials
        ]  # fmt: skip
        columns = ("candidate", "NFE", "samples", self.metric, "behind the first")
        return Sheet(f"At {self.nfe} evaluations", columns, tuple(rows), notes=(self.told,))

    @property
    def told(self) -> str:
        """What other data say of the choice."""
        proof = self.proof
        default = "" if self.label == "auto" else f", auto at {proof.default}"
        text = (
            f"On other data {self.label} is at {proof.chosen}{default}, and data at {proof.floor}. "
        )
        error = 2.0 * (proof.gain.error or 0.0)
        if self.label == "auto":
            return f"{text}Nothing was found that is better."
        if proof.gain.mean > error:
            return f"{text}It is better than auto by {proof.gain}."
        return f"{text}By {proof.gain} it is no better than auto for certain: take more samples."

    def to_json(self) -> str:
        """Everything as JSON, the chosen pipeline without its network; what is not finite is null.

        Raises:
            ArgumentError: for a pipeline that has no plain form.
        """
        plain = {
            "nfe": self.nfe, "metric": self.metric, "rows": self.rows, "seconds": self.seconds,
            "trials": [asdict(each) for each in self.trials], "proof": asdict(self.proof),
            "told": self.told, "pipeline": self.pipeline.to_spec(),
        }  # fmt: skip
        return json.dumps(jsonable(plain), indent=1, allow_nan=False)

    def plot(self) -> Figure:
        """The distance of each candidate, with its standard error.

        Raises:
            MissingExtraError: without matplotlib.
        """
        from sdeplug.tuning.race_pictures import raced

        return raced(self.trials, f"{self.metric}, at {self.nfe} evaluations")

    def __str__(self) -> str:
        spent = f"{self.rows} rows evaluated, {self.seconds:.1f} s"
        return f"{self.table()}\n{spent}"

    def __repr__(self) -> str:
        return f"Tuning({self.label!r} of {len(self.trials)} at {self.nfe}: {self.proof.chosen})"

    def _repr_html_(self) -> str:
        told = f"<p>{escape(self.told)}</p>"
        try:
            from sdeplug.pictures import inline

            return f'{told}<img src="{inline(self.plot())}" alt="distances">\n{self.table().html()}'
        except MissingExtraError:
            return f"{told}\n{self.table().html()}"
