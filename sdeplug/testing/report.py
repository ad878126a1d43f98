"""What checks say: outcomes with reasons."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class CheckFailed(AssertionError):
    """A check found that a solver does not keep a promise."""


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
    """

    name: str
    outcome: Outcome
    reason: str


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


def demand(condition: bool, message: str) -> None:
    """Fail the check unless the condition holds.

    Raises:
        CheckFailed: with the message.
    """
    if not condition:
        raise CheckFailed(message)
