"""The conformance harness: prove that a solver keeps its promises.

Two doors lead to one list of checks: :func:`check_solver` for a notebook and
:func:`parametrize_with_checks` for pytest.  Without a file, ``pytest --sdeplug-solver NAME`` and
``sdeplug check NAME`` run the same list.  :func:`judge` is for code that is no solver, and
:mod:`sdeplug.testing.strategies` draws what a solver meets, for tests of your own.
"""

from sdeplug.metrics import energy_distance, sliced_w2
from sdeplug.testing.doors import (
    CHECKS,
    CONTRACT,
    FAST,
    LAW,
    Report,
    check_pipeline,
    check_solver,
    judge,
    parametrize_with_checks,
)
from sdeplug.testing.drawn import DrawnSDE
from sdeplug.testing.exact import (
    Affinity,
    ForeignLaw,
    Impulses,
    Law,
    Response,
    affinity,
    counted_columns,
    exact_law,
    exact_spectrum,
    foreign_law,
    grid_errors,
    intercepted,
    marginal_law,
    paired_laws,
    relative_error,
    response,
    through,
    tune_grid,
)
from sdeplug.testing.findings import (
    CheckFailed,
    Curve,
    Finding,
    NotApplicable,
    Outcome,
    Result,
    Spectrum,
    Unproven,
    Verdict,
)
from sdeplug.testing.grids import check_grid
from sdeplug.testing.law import (
    Cell,
    CellVerdict,
    Specimen,
    equivalence_bound,
    law_pvalues,
    sampling_cells,
    specimens,
)
from sdeplug.testing.posterior import (
    PosteriorBench,
    PosteriorErrors,
    PosteriorProblem,
    check_posterior,
    posterior_errors,
    posterior_problems,
)
from sdeplug.testing.weak import weak_error

__all__ = [
    "CHECKS",
    "CONTRACT",
    "FAST",
    "LAW",
    "Affinity",
    "Cell",
    "CellVerdict",
    "CheckFailed",
    "Curve",
    "DrawnSDE",
    "Finding",
    "ForeignLaw",
    "Impulses",
    "Law",
    "NotApplicable",
    "Outcome",
    "PosteriorBench",
    "PosteriorErrors",
    "PosteriorProblem",
    "Report",
    "Response",
    "Result",
    "Specimen",
    "Spectrum",
    "Unproven",
    "Verdict",
    "affinity",
    "check_grid",
    "check_pipeline",
    "check_posterior",
    "check_solver",
    "counted_columns",
    "energy_distance",
    "equivalence_bound",
    "exact_law",
    "exact_spectrum",
    "foreign_law",
    "grid_errors",
    "intercepted",
    "judge",
    "law_pvalues",
    "marginal_law",
    "paired_laws",
    "parametrize_with_checks",
    "posterior_errors",
    "posterior_problems",
    "relative_error",
    "response",
    "sampling_cells",
    "sliced_w2",
    "specimens",
    "through",
    "tune_grid",
    "weak_error",
]
