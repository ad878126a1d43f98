"""What checks say: findings, failures and outcomes."""

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


class Unproven(CheckFailed):
    """No check measured the law of a solver; the message says why, and what to claim or do."""


class Outcome(Enum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "FAILED"
    NOT_APPLICABLE = "not applicable"
    EXPECTED_FAILURE = "expected failure"
    UNPROVEN = "UNPROVEN"


class Verdict(Enum):
    """What all checks say of a solver.

    ``PASSED``: its law was measured, and every promise is kept.  ``FAILED``: a promise is not
    kept.  ``UNPROVEN``: no check failed, and none could measure its law.
    """

    PASSED = "passed"
    FAILED = "failed"
    UNPROVEN = "unproven"


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
