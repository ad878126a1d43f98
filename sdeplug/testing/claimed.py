"""What the claims of a solver mean to a test: at which stochasticities, on whose grid."""

from __future__ import annotations

from collections.abc import Iterator

from sdeplug.compose import OnGrid
from sdeplug.solvers import Corrector, FlowIntegrator, Integrator


def first_level(solver: Integrator | Corrector) -> float:
    """The stochasticity that a solver is tested at first: 1, unless it has one only."""
    claimed = solver.claims.level
    return 1.0 if claimed is None else claimed


def levels(integrator: Integrator) -> Iterator[float]:
    """The stochasticities that an integrator is tested at, :func:`first_level` first."""
    yield first_level(integrator)
    if integrator.claims.level is None and not isinstance(integrator, FlowIntegrator):
        yield 0.0
        yield 0.5


def own_grid(solver: Integrator | Corrector) -> bool:
    """Whether a solver brings its own grid, so that one call of it takes steps of its own."""
    return isinstance(solver, OnGrid) or solver.claims.steps is not None
