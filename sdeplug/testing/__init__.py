"""The conformance harness: prove that a solver keeps its promises.

Two doors lead to one list of checks: :func:`check_solver` for a notebook and
:func:`parametrize_with_checks` for pytest.  Without a file, ``pytest --sdeplug-solver NAME`` and
``sdeplug check NAME`` run the same list.  :mod:`sdeplug.testing.strategies` draws what a solver
meets, for tests of your own.
"""

from sdeplug.testing.affine import Affinity, affinity
from sdeplug.testing.battery import law_pvalues
from sdeplug.testing.cells import Cell, Specimen, Verdict, specimens
from sdeplug.testing.checks import CHECKS, CONTRACT, FAST
from sdeplug.testing.distances import energy_distance, sliced_w2
from sdeplug.testing.doors import check_solver, parametrize_with_checks
from sdeplug.testing.exact import (
    Law,
    Response,
    counted_columns,
    exact_law,
    exact_spectrum,
    marginal_law,
    relative_error,
    response,
    through,
)
from sdeplug.testing.findings import (
    CheckFailed,
    Curve,
    Finding,
    NotApplicable,
    Outcome,
    Result,
    Spectrum,
)
from sdeplug.testing.impulses import Impulses
from sdeplug.testing.intercept import ForeignLaw, foreign_law
from sdeplug.testing.kolmogorov import weak_error
from sdeplug.testing.paired import paired_laws
from sdeplug.testing.report import Report
from sdeplug.testing.sampling import equivalence_bound, sampling_cells
from sdeplug.testing.tuning import grid_errors, tune_grid

__all__ = [
    "CHECKS",
    "CONTRACT",
    "FAST",
    "Affinity",
    "Cell",
    "CheckFailed",
    "Curve",
    "Finding",
    "ForeignLaw",
    "Impulses",
    "Law",
    "NotApplicable",
    "Outcome",
    "Report",
    "Response",
    "Result",
    "Specimen",
    "Spectrum",
    "Verdict",
    "affinity",
    "check_solver",
    "counted_columns",
    "energy_distance",
    "equivalence_bound",
    "exact_law",
    "exact_spectrum",
    "foreign_law",
    "grid_errors",
    "law_pvalues",
    "marginal_law",
    "paired_laws",
    "parametrize_with_checks",
    "relative_error",
    "response",
    "sampling_cells",
    "sliced_w2",
    "specimens",
    "through",
    "tune_grid",
    "weak_error",
]
