"""What checks say: outcomes with reasons."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from sdeplug.errors import ArgumentError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Curve:
    """Errors on ever finer grids, for a picture.

    Attributes:
        label: what was refined.
        steps: numbers of steps.
        errors: one error for each.
    """

    label: str
    steps: tuple[int, ...]
    errors: tuple[float, ...]


@dataclass(frozen=True)
class Spectrum:
    """A law and the one that it should be, for a picture.

    Attributes:
        label: what carried the law there.
        wanted: standard deviations along the principal axes of the right law.
        seen: those of the law along the same axes.
    """

    label: str
    wanted: tuple[float, ...]
    seen: tuple[float, ...]


@dataclass(frozen=True)
class Finding:
    """What a check that did not fail has seen.

    Attributes:
        text: a few words and numbers.
        curves: errors against steps, where the check refines a grid.
    """

    text: str = ""
    curves: tuple[Curve, ...] = ()


class CheckFailed(AssertionError):
    """A check found that a solver does not keep a promise.

    Args:
        message: what was seen and what was promised.
        curves: as those of a :class:`Finding`.
        spectra: the laws that are not what they should be.
    """

    def __init__(
        self,
        message: str,
        curves: tuple[Curve, ...] = (),
        spectra: tuple[Spectrum, ...] = (),
    ) -> None:
        super().__init__(message)
        self.curves, self.spectra = curves, spectra


class NotApplicable(Exception):
    """A check does not apply to a solver; the message says why."""


class Outcome(Enum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "FAILED"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class Result:
    """One check on one solver.

    Attributes:
        name: name of the check.
        outcome: how it ended.
        reason: what was measured, or why it failed or did not apply.
        curves: errors against steps, where the check refines a grid.
        seconds: wall time.
        spectra: laws that are not what they should be, where the check compares laws.
    """

    name: str
    outcome: Outcome
    reason: str
    curves: tuple[Curve, ...] = ()
    seconds: float = 0.0
    spectra: tuple[Spectrum, ...] = ()


@dataclass(frozen=True)
class Report:
    """All checks on one solver; ``print`` it.

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
    def passed(self) -> bool:
        """Whether no check failed."""
        return not self.failures

    @property
    def verdict(self) -> str:
        """The report in three words."""
        count = len(self.failures)
        return f"{count} check{'s' * (count > 1)} failed" if count else "all promises kept"

    def to_json(self) -> str:
        """The report as JSON; :meth:`from_json` reads it."""
        plain = asdict(self)
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
        from sdeplug.testing.pictures import draw_report

        return draw_report(self)

    def __str__(self) -> str:
        width = max((len(each.name) for each in self.results), default=0)
        lines = [
            f"  {each.name:<{width}}  {each.outcome.value:<14}  {each.reason}".rstrip()
            for each in self.results
        ]
        return "\n".join((f"{self.solver}: {self.verdict}", *lines))


def demand(
    condition: bool,
    message: str,
    curves: tuple[Curve, ...] = (),
    spectra: tuple[Spectrum, ...] = (),
) -> None:
    """Fail the check unless the condition holds.

    Raises:
        CheckFailed: with the message, the curves and the laws.
    """
    if not condition:
        raise CheckFailed(message, curves, spectra)


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
