"""What checks say: outcomes with reasons."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


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
    """

    def __init__(self, message: str, curves: tuple[Curve, ...] = ()) -> None:
        super().__init__(message)
        self.curves = curves


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
    """

    name: str
    outcome: Outcome
    reason: str
    curves: tuple[Curve, ...] = ()
    seconds: float = 0.0


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

    def __str__(self) -> str:
        width = max(len(each.name) for each in self.results)
        lines = [
            f"  {each.name:<{width}}  {each.outcome.value:<14}  {each.reason}".rstrip()
            for each in self.results
        ]
        verdict = "all promises kept" if self.passed else f"{len(self.failures)} checks failed"
        return "\n".join((f"{self.solver}: {verdict}", *lines))


def demand(condition: bool, message: str, curves: tuple[Curve, ...] = ()) -> None:
    """Fail the check unless the condition holds.

    Raises:
        CheckFailed: with the message and the curves.
    """
    if not condition:
        raise CheckFailed(message, curves)
