"""Whether the law of a solver was measured: what lies between passed and failed.

A solver that promises little keeps it.  One that no check could judge has therefore not passed,
whatever else it keeps: it is unproven, and is told why.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from sdeplug.compose import OnGrid
from sdeplug.solvers import Corrector, Integrator
from sdeplug.testing.bench import Solver, jumps, sdes
from sdeplug.testing.doors.checks import FAST, LAW, Check
from sdeplug.testing.doors.running import kept_finding, result_of
from sdeplug.testing.exact import refinements
from sdeplug.testing.findings import Finding, NotApplicable, Outcome, Result, Unproven

PROOF = "check_proof"
"""Name of the last check, whose result decides between passed and unproven."""

_MEASURING = {check.__name__ for check in LAW}
_LEFT_OUT = "only the slow checks measure its law: run without --fast, fast=False"
_NO_ORDER = (
    "it claims no order and has no tolerance of its own, so that no error is too large for it: "
    "claim order=1, which every consistent solver has; one that brings its own grid claims with "
    "steps the option that refines it"
)


@dataclass(frozen=True)
class Proof:
    """The last check: one of those before it has measured the law of the solver.

    Attributes:
        fast: whether only the checks that are free of noise run.
    """

    fast: bool = False

    @property
    def __name__(self) -> str:
        """The name of the check."""
        return PROOF

    def of(self, solver: Solver, results: Iterable[Result]) -> Finding:
        """What the results of the other checks prove.

        Raises:
            Unproven: if none of them measured the law.
            NotApplicable: if one did, and the law is wrong.
        """
        return proven(results, unprovable(solver), _LEFT_OUT if self.fast else None)

    def __call__(self, solver: Solver) -> Finding:
        """The same for a test by itself: asks the checks that measure a law, until one answers.

        Raises:
            Unproven: if none can.
            NotApplicable: if the law is wrong, or if only the checks that are left out measure it.
        """
        why = unprovable(solver)
        if why is not None:
            raise Unproven(why)
        try:
            return self.of(solver, list(self._asked(solver)))
        except Unproven as reason:
            if self.fast:
                raise NotApplicable(f"unproven: {reason}") from reason
            raise

    def _asked(self, solver: Solver) -> Iterator[Result]:
        checks: Iterable[Check] = [each for each in LAW if each in FAST] if self.fast else LAW
        for check in checks:
            result = result_of(check.__name__, partial(kept_finding, check, solver))
            yield result
            if result.outcome is not Outcome.NOT_APPLICABLE:
                return


def proven(
    results: Iterable[Result], why: str | None = None, otherwise: str | None = None
) -> Finding:
    """What the results of checks prove of a law.

    Args:
        results: of all checks; those that measure a law count.
        why: why none of them can tell whether the law is right, if that is so.
        otherwise: what to do where none applies; else the last of them has said why.

    Raises:
        Unproven: if none of them measured it, or one of them could not tell.
        NotApplicable: if one did, and it is wrong.
    """
    measured = [each for each in results if each.name in _MEASURING]
    for each in measured:
        if each.outcome is Outcome.FAILED:
            raise NotApplicable(f"{each.name} failed: its law is wrong, and not unproven")
        if each.outcome is Outcome.EXPECTED_FAILURE:
            raise Unproven(f"{each.name} measures its law, and is expected to fail")
        if each.outcome is Outcome.UNPROVEN:
            raise Unproven(f"{each.name}: {each.reason}")
    if why is not None:
        raise Unproven(why)
    passed = [each.name for each in measured if each.outcome is Outcome.PASSED]
    if passed:
        return Finding(f"its law was measured by {' and '.join(passed)}")
    last = measured[-1].reason if measured else "none of them was asked"
    raise Unproven(otherwise or f"no check could measure its law: {last}")


def unprovable(solver: Solver) -> str | None:
    """Why no check can tell whether the law is right, by what the solver claims; or None."""
    claims = solver.claims
    if claims.floor == math.inf:
        return (
            "it claims no consistency (floor=inf), so that no law of it is wrong: claim an order, "
            "or the largest bias that it has as its floor"
        )
    if isinstance(solver, Corrector):
        return None
    if jumps(solver):
        return (
            "it ends in the law of the posterior mean, which depends on the score alone: check "
            "the solver without Denoise()"
        )
    if claims.order is None:
        return None if _tolerant(solver) else _NO_ORDER
    if isinstance(solver, OnGrid):
        try:
            refinements(solver, sdes(solver)[0])
        except NotApplicable as reason:
            return str(reason)
    return None


def _tolerant(solver: Integrator) -> bool:
    """Whether it is accurate to a tolerance of its own, which the checks hold it to."""
    if isinstance(solver, OnGrid):
        return _tolerant(solver.integrator) and not solver.claims.affine
    return solver.claims.evaluations is None
