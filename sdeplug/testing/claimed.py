"""What the claims of a solver mean to a test: at which stochasticities, on whose grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sdeplug.compose import OnGrid
from sdeplug.errors import SdeplugError
from sdeplug.solvers import Corrector, FlowIntegrator, Integrator, own_steps, with_own_steps

_FEW = 5  # as many as the memory of the longest multistep method, and one more

Level = float | Callable[[float], float]
"""A stochasticity: one number, or a function of time."""


def first_level(solver: Integrator | Corrector) -> float:
    """The stochasticity that a solver is tested at first: 1, unless it has one only."""
    claimed = solver.claims.level
    return 1.0 if claimed is None else claimed


def levels(integrator: Integrator) -> Iterator[float]:
    """The stochasticities that an integrator is tested at, :func:`first_level` first.

    One without noise has the same result at all of them, as the contract has it.
    """
    claims = integrator.claims
    yield first_level(integrator)
    if claims.level is None and claims.stochastic and not isinstance(integrator, FlowIntegrator):
        yield 0.0
        yield 0.5


def tolerant(solver: Integrator | Corrector) -> bool:
    """Whether a solver chooses its steps by a tolerance of its own: it claims neither an order nor
    how often it asks for the score.

    With an order it is refined by a grid, though what it asks for may vary.
    """
    return solver.claims.order is None and solver.claims.evaluations is None


def own_grid(solver: Integrator | Corrector) -> bool:
    """Whether a solver brings its own grid, so that one call of it takes steps of its own."""
    return isinstance(solver, OnGrid) or solver.claims.steps is not None


def in_few_steps(solver: Integrator | Corrector) -> Integrator | Corrector:
    """A solver that brings its own grid, with few steps, where it allows that; others as they
    are."""
    try:
        own = None if isinstance(solver, Corrector) else own_steps(solver)
        if own is None or own <= _FEW:
            return solver
        assert isinstance(solver, Integrator)
        return with_own_steps(solver, _FEW)
    except SdeplugError:  # for a check to say
        return solver
