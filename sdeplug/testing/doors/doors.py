"""Two doors to the checks: a function for notebooks, a decorator for pytest.

A third, for the command line of pytest, is built from the same parts: :mod:`sdeplug_pytest`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from sdeplug.errors import MissingExtraError, PairingError
from sdeplug.options import Configured, options_of
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Corrector, Integrator
from sdeplug.testing.bench import Solver
from sdeplug.testing.doors.checks import CHECKS, FAST, Check
from sdeplug.testing.doors.proof import Proof
from sdeplug.testing.doors.report import Report
from sdeplug.testing.doors.running import finding_of, result_of, run_or_skip
from sdeplug.testing.exact import OnOwnSDEs
from sdeplug.testing.findings import Finding, Result
from sdeplug.values import OneOf

if TYPE_CHECKING:
    import pytest


def check_solver(
    solver: Solver,
    fast: bool = False,
    on_result: Callable[[Result], None] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    sdes: Sequence[LinearSDE] = (),
) -> Report:
    """Run all checks on a solver.

    Args:
        solver: an instance of an integrator or corrector.
        fast: only what is free of noise and takes seconds: the contract and the exact laws.
        on_result: called with each result as soon as it is there, to show progress; there are
            as many as :func:`selected` checks.
        expected_failures: name of a check to the reason why it is expected to fail; it is a
            failure if it passes.
        sdes: forward SDEs of your own, on which it has to be right too: ``check_own_sdes``.

    Returns:
        What each check said, and the verdict.  A solver that raises fails the check, with its
        error as reason.

    Raises:
        PairingError: if it is not an instance of an integrator or corrector, if an expected
            failure names no check, or if one of the SDEs is not linear.
        ArgumentError: if one of the SDEs is unsound.
        MissingExtraError: if hypothesis is missing.
    """
    demand_instance(solver)
    checks, expected = selected(fast, sdes), dict(expected_failures or {})
    _demand_known(expected, checks)
    results: list[Result] = []
    for check in checks:
        ask: Callable[[], Finding] = partial(finding_of, check, solver)
        if isinstance(check, Proof):
            ask = partial(check.of, solver, tuple(results))
        results.append(result_of(check.__name__, ask, expected.get(check.__name__)))
        if on_result is not None:
            on_result(results[-1])
    return Report(repr(solver), tuple(results))


def parametrize_with_checks(
    solvers: Sequence[Solver],
    expected_failures: Mapping[str, str] | None = None,
    fast: bool = False,
    sdes: Sequence[LinearSDE] = (),
) -> Callable[[Callable[..., Any]], Any]:
    """Decorate a pytest test that takes ``check`` and calls it. ::

        @parametrize_with_checks([MySolver()])
        def test_solver(check):
            check()

    Each check is a test of its own, ``MySolver-check_value`` for example, and one that does not
    apply is skipped with its reason.  The last, ``check_proof``, fails for a solver that no check
    can judge; with ``fast`` it is skipped where the checks that are left out can.

    Args:
        solvers: instances of integrators or correctors.
        expected_failures: name of a check to the reason why it is expected to fail; it is an
            error if it passes.
        fast: as for :func:`check_solver`.
        sdes: likewise.

    Raises:
        PairingError: if one is not an instance of an integrator or corrector, if an expected
            failure names no check, or if one of the SDEs is not linear.
        ArgumentError: if one of the SDEs is unsound.
        MissingExtraError: if pytest or hypothesis is missing.
    """
    try:
        import pytest
    except ImportError as error:
        raise MissingExtraError("parametrize_with_checks", "pytest", "check") from error

    checks, expected = selected(fast, sdes), dict(expected_failures or {})
    _demand_known(expected, checks)
    return pytest.mark.parametrize("check", list(_parameters(solvers, checks, expected)))


def selected(fast: bool = False, sdes: Sequence[LinearSDE] = ()) -> tuple[Check, ...]:
    """The checks that will run, in their order; the last tells whether they measured the law.

    Args:
        fast: as for :func:`check_solver`.
        sdes: likewise.

    Raises:
        PairingError: if one of the SDEs is not linear.
        ArgumentError: if one of them is unsound.
        MissingExtraError: if hypothesis, which drives some of them, is missing.
    """
    if importlib.util.find_spec("hypothesis") is None:
        raise MissingExtraError("sdeplug.testing", "hypothesis", "check")
    for sde in sdes:
        _demand_linear(sde)
    own = (OnOwnSDEs(tuple(sdes)),) if sdes else ()
    return (*(FAST if fast else CHECKS), *own, Proof(fast))


def demand_instance(solver: object) -> None:
    """Refuse what is not an instance of a solver.

    Raises:
        PairingError: for anything but an integrator or corrector.
    """
    if not isinstance(solver, (Integrator, Corrector)):
        hint = " Give an instance: add ()." if isinstance(solver, type) else ""
        raise PairingError(f"{solver!r} is not an Integrator or Corrector.{hint}")


def _demand_linear(sde: object) -> None:
    if not isinstance(sde, LinearSDE):
        hint = " Give an instance: add ()." if isinstance(sde, type) else ""
        raise PairingError(
            f"sdes has {sde!r}, which is not a LinearSDE: only its p_t are known exactly.{hint}"
        )
    sde.validate()


def _demand_known(expected: Mapping[str, str], checks: Sequence[Check]) -> None:
    names = [check.__name__ for check in checks]
    unknown = sorted(set(expected) - set(names))
    if unknown:
        raise PairingError(
            f"expected_failures names no check: {', '.join(unknown)}. "
            f"The checks are: {', '.join(names)}."
        )


def _parameters(
    solvers: Sequence[Solver], checks: Sequence[Check], expected: Mapping[str, str]
) -> Iterator[Any]:
    import pytest

    for solver in solvers:
        demand_instance(solver)
        for check in checks:
            reason = expected.get(check.__name__)
            marks: list[pytest.MarkDecorator] = (
                [] if reason is None else [pytest.mark.xfail(reason=reason, strict=True)]
            )
            name = f"{_label(solver)}-{check.__name__}"
            yield pytest.param(partial(run_or_skip, check, solver), id=name, marks=marks)


def _label(value: object) -> str:
    """A short name for a test: the class, and the options that are not at their defaults."""
    if isinstance(value, (bool, int, float, str, OneOf)):
        return str(value)
    name = type(value).__name__
    if not isinstance(value, Configured):
        return name  # not its repr, in which an address would differ between two workers
    words = []
    for option in options_of(type(value)):
        given = getattr(value, option.name)
        if option.required:
            words.append(_label(given))
        elif given != option.default:
            words.append(f"{option.name}={_label(given)}")
    return f"{name}({','.join(words)})" if words else name
