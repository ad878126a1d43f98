"""A solver on ever finer grids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import Any

from sdeplug.compose import OnGrid
from sdeplug.grid import LogSNR, TimeGrid
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Integrator, with_own_steps
from sdeplug.testing.bench import alternating
from sdeplug.testing.findings import NotApplicable

Refined = Callable[[int], Integrator]
"""Number of steps to the solver on so many steps."""


def refinements(integrator: Integrator, sde: LinearSDE) -> tuple[Refined, ...]:
    """The ways to refine an integrator between T and eps.

    An integrator of one step is put on grids that are uniform in the log-SNR, and on such whose
    steps alternate; one with a grid of its own gets more steps of that, by the option that it
    claims for this or by its ``OnGrid``, and is not started anew in between.

    Raises:
        NotApplicable: for an own grid without a number of steps.
    """
    if integrator.claims.steps is not None:
        return (partial(with_own_steps, integrator),)
    if not isinstance(integrator, OnGrid):
        grids = (LogSNR, lambda steps: alternating(steps, sde.T, sde.eps, sde))
        return tuple(partial(_on, integrator, grid) for grid in grids)
    grid: Any = integrator.grid
    if not is_dataclass(grid) or "steps" not in {each.name for each in fields(grid)}:
        raise NotApplicable(f"{grid!r} cannot be refined: check the integrator inside it")
    return (partial(_of, integrator),)


def coarse(integrator: Integrator, sde: LinearSDE) -> Integrator:
    """An integrator on few steps, for what does not depend on their number; one whose own grid
    has no number of steps is left as it is."""
    try:
        uniform, *_ = refinements(integrator, sde)
    except NotApplicable:
        return integrator
    return uniform(16)


def _on(integrator: Integrator, grid: Callable[[int], TimeGrid], steps: int) -> Integrator:
    return OnGrid(integrator, grid(steps))


def _of(integrator: OnGrid, steps: int) -> Integrator:
    grid: Any = integrator.grid
    return replace(integrator, grid=replace(grid, steps=steps))
