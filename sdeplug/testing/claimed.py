"""What the claims of a solver mean to a test: at which stochasticities, on whose grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

from sdeplug.compose import Corrected, OnGrid
from sdeplug.errors import SdeplugError
from sdeplug.options import options_of
from sdeplug.solvers import (
    Corrector,
    FlowIntegrator,
    Integrator,
    own_steps,
    tolerances,
    with_own_steps,
    with_tolerances,
)

_FEW = 5  # as many as the memory of the longest multistep method, and one more

_LOOSE = 0.1  # the largest tolerance of a solver in few steps, unless it has a larger one

TIGHTER = 0.25
"""How many times as large tolerances are that are tighter."""

_STAYING = 0.8  # of an error that the next one is at least, if it does not fall
_FELT = 0.01  # a tolerance from which on a tighter one is felt
_TIGHTENED = 3  # times: a tolerance relative to the state is far above what is narrow

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


def follows_its_tolerance(solver: Integrator) -> bool:
    """Whether a solver follows a tolerance, and with a tighter one declares a smaller bias, if it
    declares any."""
    if not tolerant(solver):
        return False
    floor, tuned = solver.claims.floor, tighter(solver)
    return floor is None or (tuned is not None and (tuned.claims.floor or 0.0) < floor)


def own_grid(solver: Integrator | Corrector) -> bool:
    """Whether a solver brings its own grid, so that one call of it takes steps of its own."""
    return isinstance(solver, OnGrid) or solver.claims.steps is not None


def without_correctors(solver: Integrator) -> Integrator:
    """A solver in which each :class:`Corrected`, at any depth, is its predictor alone."""
    if isinstance(solver, Corrected):
        return without_correctors(solver.integrator)
    inner = {each.name: getattr(solver, each.name) for each in options_of(type(solver))}
    alone = {
        name: without_correctors(part)
        for name, part in inner.items()
        if isinstance(part, Integrator)
    }
    if all(part is inner[name] for name, part in alone.items()):
        return solver
    changed: Integrator = replace(solver, **alone)  # type: ignore[type-var]
    return changed


def in_few_steps(solver: Integrator | Corrector) -> Integrator | Corrector:
    """A solver that brings its own grid, with few steps, and one that follows tolerances, with
    loose ones, where it allows that; others as they are."""
    if isinstance(solver, Corrector):
        return solver
    try:
        if tolerant(solver):
            return with_tolerances(
                solver, max(1.0, _LOOSE / max(tolerances(solver), default=_LOOSE))
            )
        own = own_steps(solver)
        if own is None or own <= _FEW:
            return solver
        return with_own_steps(solver, _FEW)
    except SdeplugError:  # for a check to say
        return solver


def tighter(solver: Integrator) -> Integrator | None:
    """A solver that follows tolerances, with tighter ones; None where it has no options for that,
    or does not allow it."""
    try:
        tuned = with_tolerances(solver, TIGHTER)
    except SdeplugError:
        return None
    return None if tuned == solver else tuned


def tightened(solver: Integrator) -> list[Integrator]:
    """A solver with ever tighter tolerances, as far as it allows that."""
    found, tuned = list[Integrator](), tighter(solver)
    while tuned is not None and len(found) < _TIGHTENED:
        found.append(tuned)
        tuned = tighter(tuned)
    return found


def stays(error: float, before: float) -> bool:
    """Whether an error with tighter tolerances is nearly the one before, or no number."""
    return not abs(error) < _STAYING * abs(before)


def felt(solver: Integrator) -> bool:
    """Whether tolerances are so tight that they and those before make a difference; where they are
    larger, perhaps not."""
    return max(tolerances(solver), default=math.inf) < TIGHTER * _FELT
