"""Whole runs on forward SDEs that no one wrote, and on those of whoever asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from sdeplug.sde import LinearSDE
from sdeplug.solvers import FlowIntegrator, Integrator
from sdeplug.testing.bench import Solver
from sdeplug.testing.claimed import Level, first_level
from sdeplug.testing.drawn import DrawnSDE
from sdeplug.testing.exact.convergence import observed
from sdeplug.testing.exact.elsewhere import error_on, leak_at, where_it_works, whole_run
from sdeplug.testing.exact.leaks import Ramp, Watched, inner, places
from sdeplug.testing.exact.marginals import consistent
from sdeplug.testing.findings import Curve, Finding, NotApplicable

_FRACTIONS = (0.02, 0.25, 0.5, 0.75, 0.98)  # of the log-SNR between T and eps


def check_drawn_runs(solver: Solver) -> Finding:
    """On drawn schedules whole runs have the claimed order and the right limit."""
    integrator, order = consistent(solver)
    drawn = [DrawnSDE(11, 2.5, 0.02), DrawnSDE(8, 0.6, 0.003)]
    if not isinstance(drawn[0], integrator.claims.needs):
        raise NotApplicable(f"it needs a {integrator.claims.needs.__name__}")
    curves = where_it_works(
        partial(whole_run, integrator, sde, level)
        for sde, level in zip(drawn, _two_levels(integrator, drawn[1]), strict=True)
    )
    slowest = min(map(observed, curves))
    return Finding(f"order {slowest:.2f} observed, {order:g} claimed", tuple(curves))


@dataclass(frozen=True)
class OnOwnSDEs:
    """A check on forward SDEs that are not the harness's own.

    Attributes:
        sdes: the forward SDEs, linear ones.
    """

    sdes: tuple[LinearSDE, ...]

    @property
    def __name__(self) -> str:
        """The name of the check."""
        return "check_own_sdes"

    def __call__(self, solver: Solver) -> Finding:
        """Its law is right on each of them: at points, at several stochasticities, in whole runs.

        Raises:
            CheckFailed: if it is not, with the forward SDE.
            NotApplicable: if it refuses all of them, or its errors cannot be known.
        """
        curves: list[Curve] = []
        found = where_it_works(partial(self._error, solver, sde, curves) for sde in self.sdes)
        return Finding(
            f"right on {len(found)} of {len(self.sdes)}, off by at most {max(found):.0e}",
            tuple(curves),
        )

    def _error(self, solver: Solver, sde: LinearSDE, curves: list[Curve]) -> float:
        if not isinstance(sde, solver.claims.needs):
            raise NotApplicable(f"it needs a {solver.claims.needs.__name__}, not {sde!r}")
        worst = error_on(solver, sde, *_FRACTIONS)
        try:
            integrator, _ = consistent(solver)
        except NotApplicable:
            return worst
        watched = Watched.of(solver)
        for level in _two_levels(integrator, sde)[1:]:
            for place in places(sde, level, *inner(sde, *_FRACTIONS)):
                worst = max(worst, leak_at(watched, place, 2, "however short the steps"))
        curves.append(whole_run(integrator, sde, first_level(solver)))
        return worst


def _two_levels(integrator: Integrator, sde: LinearSDE) -> tuple[Level, Level]:
    """A stochasticity that it works at, and one that varies where it works at all of them."""
    first = first_level(integrator)
    one = isinstance(integrator, FlowIntegrator) or integrator.claims.level is not None
    return (first, first if one else Ramp(0.3, 1.5, sde.T))


CHECKS: tuple[Callable[[Solver], Finding], ...] = (check_drawn_runs,)
"""The checks of this module."""
