"""What a diagnosis found, and views of it."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from html import escape
from typing import TYPE_CHECKING

from sdeplug.errors import MissingExtraError
from sdeplug.sheet import Sheet
from sdeplug.tuning.advice import Advice
from sdeplug.tuning.laws import Laws
from sdeplug.tuning.levels import Level, root
from sdeplug.values import jsonable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """What :func:`diagnose` found; it prints its tables and its advice, a notebook shows all.

    Attributes:
        levels: what the network says, from much noise to little.
        laws: what the flow and the reverse SDE give on their way to the data.
        advice: what to do.
        exact: whether the errors are exact, since the law of the data is; else they are at least
            what is told.
        nfe: score evaluations.
        rows: rows that were evaluated, over all of them.
        seconds: wall time.
    """

    levels: tuple[Level, ...]
    laws: tuple[Laws, ...]
    advice: tuple[Advice, ...]
    exact: bool
    nfe: int
    rows: int
    seconds: float

    @property
    def error(self) -> float:
        """Relative error of the predicted noise: the root mean square over the levels.

        Of data it is at least this, since only a part of it can be seen.  It is what a score model
        tells as its ``error``, and solvers that choose by it take.
        """
        squares = [each.error.mean**2 for each in self.levels]
        return math.sqrt(sum(squares) / len(squares))

    def table(self) -> Sheet:
        """A row for each level."""
        columns = ["t", "log-SNR", "loss", "above a Gaussian's"]
        columns += ["irreducible", "error"] if self.exact else ["error, at least"]
        columns += ["scale", "bias", "size"]
        rows = []
        for each in self.levels:
            row = [f"{each.t:.3g}", f"{each.log_snr:.2f}", str(each.loss), str(each.excess)]
            row += [] if each.irreducible is None else [str(each.irreducible)]
            row += [str(each.error), str(each.slope), str(root(each.bias))]
            row += [f"{each.response:.2f} of {each.expected:.2f}"]
            rows.append(tuple(row))
        least = "" if self.exact else "at least "
        title = f"The network, level by level: error {least}{self.error:.2g} over all"
        return Sheet(title, tuple(columns), tuple(rows), words=0)

    def laws_table(self) -> Sheet:
        """How far samples are from data on their way: a row for each time."""
        rows = [
            (f"{each.t:.3g}", *map(str, (each.flow, each.noisy, each.gain, each.chance)))
            for each in self.laws
        ]
        columns = ("t", "flow", "reverse SDE", "flow less SDE", "other data")
        return Sheet("Distance of samples to data", columns, tuple(rows), words=0)

    def to_json(self) -> str:
        """Everything as JSON, with ``error``; what is not finite is null."""
        plain = {"error": self.error, **asdict(self)}
        return json.dumps(jsonable(plain), indent=1, allow_nan=False)

    def plot(self) -> Figure:
        """Loss and error over the noise, and the distances of the two laws.

        Raises:
            MissingExtraError: without matplotlib.
        """
        from sdeplug.tuning.pictures import diagnosed

        return diagnosed(self.levels, self.laws, self.exact)

    def __str__(self) -> str:
        told = "\n".join(f"- {each.text}" for each in self.advice)
        spent = f"{self.nfe} evaluations of {self.rows} rows in all, {self.seconds:.1f} s"
        return f"{self.table()}\n\n{self.laws_table()}\n\n{told}\n\n{spent}"

    def __repr__(self) -> str:
        rules = ", ".join(each.rule for each in self.advice)
        return f"Diagnosis(error={self.error:.3g}, exact={self.exact}, advice: {rules})"

    def _repr_html_(self) -> str:
        told = "".join(f"<li>{escape(each.text)}</li>" for each in self.advice)
        tables = f"{self.table().html()}\n{self.laws_table().html()}"
        try:
            from sdeplug.pictures import inline

            picture = f'<img src="{inline(self.plot())}" alt="loss and error over the noise">\n'
        except MissingExtraError:
            picture = ""
        return f"<ul>{told}</ul>\n{picture}{tables}"
