"""Solvers and SDEs in the configuration of a scheduler, which is plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sdeplug import ArgumentError, Integrator, PluginError, from_spec, solver, to_spec
from sdeplug.solvers import own_steps, with_own_steps


def single_steps(given: str | Mapping[str, Any] | Integrator) -> Integrator:
    """A solver of single steps, by name, plain form or itself.

    Raises:
        ArgumentError: for one that steps by itself, one whose own steps remember each other, or
            no integrator.
    """
    by: Any = solver(given) if isinstance(given, str) else given
    by = from_spec(by, Integrator) if isinstance(by, Mapping) else by
    if not isinstance(by, Integrator):
        raise ArgumentError("solver", given, "an integrator, or the name of one")
    steps = own_steps(by)
    single = by if steps is None else with_own_steps(by, 1)
    if steps is not None and by.claims.evaluations == steps and (by.claims.order or 1) > 1:
        raise ArgumentError(
            "solver", by, "a solver whose steps can be taken one by one",
            "Each of its steps goes by what those before it saw, on a grid of its own: "
            "'exponential/adams' and 'exponential/unipc' are of its kind, and take any grid.",
        )  # fmt: skip
    if not single.needs_grid:
        raise ArgumentError(
            "solver", by, "a solver of single steps, which a grid refines",
            "It steps by itself: score_of(pipeline) gives the score of a pipeline to run it on.",
        )  # fmt: skip
    return single


def plain(value: Any) -> Any:
    """The plain form of a solver or an SDE; its representation where no plugin offers it."""
    if isinstance(value, (str, Mapping)):
        return value
    try:
        return to_spec(value)
    except PluginError:
        return repr(value)
