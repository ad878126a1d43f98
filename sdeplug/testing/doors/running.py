"""One check on one solver: as a result, and inside a pytest test."""

from __future__ import annotations

import time
from collections.abc import Callable

from sdeplug.testing.bench import Solver, single_thread
from sdeplug.testing.claimed import in_few_steps
from sdeplug.testing.doors.checks import CALLS, Check
from sdeplug.testing.findings import (
    CheckFailed,
    Curve,
    Finding,
    NotApplicable,
    Outcome,
    Result,
    Spectrum,
    Unproven,
)
from sdeplug.testing.memory import remembered


def result_of(name: str, ask: Callable[[], Finding], expected: str | None = None) -> Result:
    """Ask a check, and tell how it ended.

    Args:
        name: name of the check.
        ask: runs it.
        expected: the reason why it is expected to fail, if it is; then it fails if it passes.
    """
    begin = time.perf_counter()
    outcome = Outcome.FAILED
    curves: tuple[Curve, ...] = ()
    spectra: tuple[Spectrum, ...] = ()
    try:
        with single_thread():
            finding = ask()
        outcome, reason, curves = Outcome.PASSED, finding.text, finding.curves
    except NotApplicable as why:
        outcome, reason = Outcome.NOT_APPLICABLE, str(why)
    except Unproven as why:
        outcome, reason = Outcome.UNPROVEN, str(why)
    except CheckFailed as failure:
        reason, curves, spectra = str(failure), failure.curves, failure.spectra
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    if expected is not None and outcome is Outcome.PASSED:
        outcome = Outcome.FAILED
        reason = f"it passes, and was expected to fail: {expected}. Expect it no more ({reason})"
    elif expected is not None and outcome is not Outcome.NOT_APPLICABLE:
        outcome, reason = Outcome.EXPECTED_FAILURE, f"{expected} ({reason})"
    return Result(name, outcome, reason, curves, time.perf_counter() - begin, spectra)


def run_or_skip(check: Check, solver: Solver) -> None:
    """Run a check inside a pytest test; skip the test where it does not apply.

    Raises:
        CheckFailed: if the solver does not keep the promise, or is unproven.
    """
    import pytest

    __tracebackhide__ = True
    try:
        with single_thread():
            kept_finding(check, solver)
    except NotApplicable as reason:
        pytest.skip(str(reason))


def finding_of(check: Check, solver: Solver) -> Finding:
    """What a check says of a solver.

    A contract holds whatever the number of steps: it is tested on few of them where a solver
    brings its own, since all of them would be taken in every call.
    """
    return check(in_few_steps(solver) if check in CALLS else solver)


@remembered(256)
def kept_finding(check: Check, solver: Solver) -> Finding:
    """What a check says that does not fail: kept, since the last one asks what others said."""
    return finding_of(check, solver)
