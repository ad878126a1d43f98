"""The report on one solver: what every check said."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sdeplug.errors import ArgumentError
from sdeplug.sheet import Sheet
from sdeplug.testing.doors.proof import PROOF
from sdeplug.testing.findings import Curve, Outcome, Result, Spectrum, Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Report:
    """All checks on one solver; ``print`` it, or let a notebook show it.

    Attributes:
        solver: the solver, as its representation.
        results: one for each check; none is left out in silence.
    """

    solver: str
    results: tuple[Result, ...]

    @property
    def failures(self) -> tuple[Result, ...]:
        """The checks that failed."""
        return tuple(each for each in self.results if each.outcome is Outcome.FAILED)

    @property
    def verdict(self) -> Verdict:
        """Passed only if no check failed and one of them measured the law; else it is unproven."""
        if self.failures:
            return Verdict.FAILED
        proven = any(each.name == PROOF and each.outcome is Outcome.PASSED for each in self.results)
        return Verdict.PASSED if proven else Verdict.UNPROVEN

    @property
    def passed(self) -> bool:
        """Whether the verdict is :attr:`Verdict.PASSED`."""
        return self.verdict is Verdict.PASSED

    @property
    def words(self) -> str:
        """The verdict in a few words; the last check has the reason of one that is unproven."""
        if self.verdict is Verdict.UNPROVEN:
            return "unproven, since no check measured its law"
        count = len(self.failures)
        return f"{count} check{'s' * (count > 1)} failed" if count else "all promises kept"

    def to_json(self) -> str:
        """The report as JSON; :meth:`from_json` reads it."""
        plain = asdict(self) | {"verdict": self.verdict.value}
        for result in plain["results"]:
            result["outcome"] = result["outcome"].value
            for curve in result["curves"]:
                curve["errors"] = _written(curve["errors"])
            for spectrum in result["spectra"]:
                spectrum["wanted"] = _written(spectrum["wanted"])
                spectrum["seen"] = _written(spectrum["seen"])
        return json.dumps(plain, indent=2, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Read what :meth:`to_json` wrote.

        Raises:
            ArgumentError: for any other text.
        """
        try:
            plain = json.loads(text)
            return cls(plain["solver"], tuple(map(_result, plain["results"])))
        except (ValueError, TypeError, KeyError) as error:
            raise ArgumentError(
                "text", text[:40], "what Report.to_json() wrote", f"It says: {error!r}."
            ) from error

    def picture(self) -> Figure:
        """The observed orders, and the laws that are not what they should be.

        Raises:
            MissingExtraError: if matplotlib is missing.
        """
        from sdeplug.testing.doors.pictures import draw_results

        return draw_results(f"{self.solver}\n{self.words}", self.results)

    def table(self) -> Sheet:
        """What each check said."""
        rows = tuple((each.name, each.outcome.value, each.reason) for each in self.results)
        columns = ("check", "outcome", "what was seen")
        return Sheet(f"{self.solver}: {self.words}", columns, rows, words=3)

    def _repr_html_(self) -> str:
        return self.table().html()

    def __repr__(self) -> str:
        return f"Report({self.solver}: {self.words}, {len(self.results)} checks)"

    def __str__(self) -> str:
        width = max((len(each.name) for each in self.results), default=0)
        lines = [
            f"  {each.name:<{width}}  {each.outcome.value:<14}  {each.reason}".rstrip()
            for each in self.results
        ]
        return "\n".join((f"{self.solver}: {self.words}", *lines))


def _result(plain: Mapping[str, Any]) -> Result:
    return Result(
        plain["name"],
        Outcome(plain["outcome"]),
        plain["reason"],
        tuple(
            Curve(each["label"], tuple(each["steps"]), _read(each["errors"]))
            for each in plain["curves"]
        ),
        plain["seconds"],
        tuple(
            Spectrum(each["label"], _read(each["wanted"]), _read(each["seen"]))
            for each in plain["spectra"]
        ),
    )


def _written(numbers: tuple[float, ...]) -> list[float | str]:
    """JSON has no infinity and no not-a-number: they become text."""
    return [each if math.isfinite(each) else str(each) for each in numbers]


def _read(numbers: list[float | str]) -> tuple[float, ...]:
    return tuple(map(float, numbers))
