"""The conformance harness: prove that a solver keeps its promises.

Two doors lead to one list of checks: :func:`check_solver` for a notebook and
:func:`parametrize_with_checks` for pytest.
"""

from sdeplug.testing.checks import CHECKS, FAST
from sdeplug.testing.doors import check_solver, parametrize_with_checks
from sdeplug.testing.exact import (
    Impulses,
    Law,
    exact_law,
    exact_spectrum,
    marginal_law,
    relative_error,
)
from sdeplug.testing.report import (
    CheckFailed,
    Curve,
    Finding,
    NotApplicable,
    Outcome,
    Report,
    Result,
)

__all__ = [
    "CHECKS",
    "FAST",
    "CheckFailed",
    "Curve",
    "Finding",
    "Impulses",
    "Law",
    "NotApplicable",
    "Outcome",
    "Report",
    "Result",
    "check_solver",
    "exact_law",
    "exact_spectrum",
    "marginal_law",
    "parametrize_with_checks",
    "relative_error",
]
