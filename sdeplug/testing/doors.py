"""Two doors to the checks: a function for notebooks, a decorator for pytest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from sdeplug.errors import PairingError
from sdeplug.solver import Corrector, Integrator
from sdeplug.testing.bench import Solver
from sdeplug.testing.checks import CHECKS, FAST, Check
from sdeplug.testing.report import CheckFailed, Curve, NotApplicable, Outcome, Report, Result

if TYPE_CHECKING:
    import pytest


def check_solver(solver: Solver, fast: bool = False) -> Report:
    """Run all checks on a solver.

    Args:
        solver: an instance of an integrator or corrector.
        fast: only what is free of noise and takes seconds: the contract and the exact laws.

    Returns:
        What each check said.  A solver that raises fails the check, with its error as reason.

    Raises:
        PairingError: if it is not an instance of an integrator or corrector.
    """
    _demand_instance(solver)
    checks = FAST if fast else CHECKS
    return Report(repr(solver), tuple(_result(check, solver) for check in checks))


def parametrize_with_checks(
    solvers: Sequence[Solver], expected_failures: Mapping[str, str] | None = None
) -> Callable[[Callable[..., Any]], Any]:
    """Decorate a pytest test that takes ``check`` and calls it. ::

        @parametrize_with_checks([MySolver()])
        def test_solver(check):
            check()

    Args:
        solvers: instances of integrators or correctors.
        expected_failures: name of a check to the reason why it is expected to fail; it is an
            error if it passes.

    Raises:
        PairingError: if one is not an instance of an integrator or corrector.
    """
    import pytest

    expected = dict(expected_failures or {})
    unknown = set(expected) - {check.__name__ for check in CHECKS}
    if unknown:
        raise PairingError(f"expected_failures names no check: {', '.join(sorted(unknown))}")
    return pytest.mark.parametrize("check", list(_parameters(solvers, expected)))


def _parameters(solvers: Sequence[Solver], expected: Mapping[str, str]) -> Iterator[Any]:
    import pytest

    for solver in solvers:
        _demand_instance(solver)
        for check in CHECKS:
            reason = expected.get(check.__name__)
            marks: list[pytest.MarkDecorator] = (
                [] if reason is None else [pytest.mark.xfail(reason=reason, strict=True)]
            )
            name = f"{type(solver).__name__}-{check.__name__}"
            yield pytest.param(partial(_skipping, check, solver), id=name, marks=marks)


def _skipping(check: Check, solver: Solver) -> None:
    import pytest

    try:
        check(solver)
    except NotApplicable as reason:
        pytest.skip(str(reason))


def _result(check: Check, solver: Solver) -> Result:
    begin = time.perf_counter()
    outcome = Outcome.FAILED
    curves: tuple[Curve, ...] = ()
    try:
        finding = check(solver)
        outcome, reason, curves = Outcome.PASSED, finding.text, finding.curves
    except NotApplicable as why:
        outcome, reason = Outcome.NOT_APPLICABLE, str(why)
    except CheckFailed as failure:
        reason, curves = str(failure), failure.curves
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    seconds = time.perf_counter() - begin
    return Result(check.__name__, outcome, reason, curves, seconds)


def _demand_instance(solver: object) -> None:
    if not isinstance(solver, (Integrator, Corrector)):
        hint = " Give an instance: add ()." if isinstance(solver, type) else ""
        raise PairingError(f"{solver!r} is not an Integrator or Corrector.{hint}")
