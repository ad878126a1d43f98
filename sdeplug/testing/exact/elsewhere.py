"""Whether a solver of any kind is right on one forward SDE, whichever it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TypeVar

from torch import Tensor

from sdeplug.errors import ArgumentError, PairingError
from sdeplug.grid import LogSNR
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Corrector, Integrator
from sdeplug.testing.bench import Solver, gaussian
from sdeplug.testing.claimed import Level, first_level, own_grid, tolerant
from sdeplug.testing.exact.convergence import extrapolated
from sdeplug.testing.exact.invariance import drift_of
from sdeplug.testing.exact.laws import marginal_law
from sdeplug.testing.exact.leaks import LEAK, Place, Watched, inner, places
from sdeplug.testing.exact.marginals import Setting, consistent, converging
from sdeplug.testing.exact.paired import errors_in_pairs
from sdeplug.testing.exact.refine import refinements
from sdeplug.testing.exact.tolerances import demand_tolerance
from sdeplug.testing.exact.words import largest
from sdeplug.testing.findings import Curve, NotApplicable, demand

Found = TypeVar("Found")

_FEW = 2  # steps of a leak: one of them has a past
_BIASED = (64, 128)  # steps of a solver with a floor
_PREDICTING = 4e-3  # what the extrapolation from so few of them may leave of a predictor's error
_ROWS = 1024
_ROUNDING = 1e-9


def where_it_works(asked: Iterable[Callable[[], Found]]) -> list[Found]:
    """What is found; what a solver refuses, and says so, is left out.

    Raises:
        NotApplicable: if it refuses everything.
    """
    found = []
    for ask in asked:
        try:
            found.append(ask())
        except PairingError:
            continue
        except ArgumentError as error:
            if error.argument != "stochasticity":
                raise
    if not found:
        raise NotApplicable("it refuses all of these")
    return found


def error_on(solver: Solver, sde: LinearSDE, *fractions: float) -> float:
    """How far a solver is off on one forward SDE, which is no more than it promises.

    Args:
        solver: an integrator or corrector.
        sde: the forward SDE.
        fractions: where it is looked at, as for :func:`inner`, if it is somewhere.

    Returns:
        A leak, where it claims an order; else an error of the law.

    Raises:
        CheckFailed: if it is off by more.
        NotApplicable: if its errors cannot be known without chance.
    """
    if isinstance(solver, Corrector):
        return _moved(solver, sde, *fractions)
    if solver.claims.floor is not None:
        return _biased(solver, sde)
    if tolerant(solver):
        return _by_its_tolerance(solver, sde)
    watched = Watched.of(solver)
    asked = places(sde, first_level(solver), *inner(sde, *fractions))
    return max(leak_at(watched, place, _FEW, "however short the steps") for place in asked)


def whole_run(integrator: Integrator, sde: LinearSDE, level: Level) -> Curve:
    """Errors of whole runs on ever finer grids, whose order and limit are right.

    Raises:
        CheckFailed: if they are not.
        NotApplicable: if it claims no order, or its law is not to be had exactly.
    """
    _, order = consistent(integrator)
    uniform, *_ = refinements(integrator, sde)
    words = str(level) if callable(level) else f"{level:g}"
    setting = Setting(f"{sde!r} at stochasticity {words}", sde, level, sde.eps, uniform)
    curve, _ = converging(integrator, setting, order)
    return curve


def leak_at(watched: Watched, place: Place, steps: int, when: str) -> float:
    """The leak of a solver at one place, which is next to nothing.

    What makes its own steps may do in a short span what it does in no whole run, such as go up to
    the start in each step; then a whole run tells.

    Raises:
        CheckFailed: if it is not.
    """
    leak = watched.leak(place, steps)
    size = float(leak.abs().max())
    if size > LEAK and own_grid(watched.integrator) and watched.affine:
        return whole_run(watched.integrator, place.sde, place.level).errors[-1]
    demand(
        size <= LEAK,
        f"{when}, its law leaves p_t: for each nat of log-SNR {largest(leak)}, {100.0 * LEAK:g} % "
        f"at most is right, {place}",
    )
    return size


def _moved(corrector: Corrector, sde: LinearSDE, *fractions: float) -> float:
    if not corrector.claims.affine:
        raise NotApplicable("it is a corrector that is not affine: the sampling checks measure it")
    floor, worst = corrector.claims.floor or _ROUNDING, 0.0
    for place in places(sde, 1.0, *inner(sde, *fractions)):
        start = marginal_law(gaussian(), sde, place.t)
        moved = drift_of(corrector, sde, place.t, start).many
        size = float(moved.abs().max())
        demand(
            size <= floor,
            f"many sweeps moved p_t, by more than its floor {floor:.2g}: {largest(moved)}, {place}",
        )
        worst = max(worst, size)
    return worst


def _biased(integrator: Integrator, sde: LinearSDE) -> float:
    claims = integrator.claims
    if not claims.affine or claims.order is None or not math.isfinite(claims.floor or 0.0):
        raise NotApplicable("it declares a bias, and its law is not to be had exactly")
    watched, run = Watched(integrator, affine=True), _whole(integrator, sde)
    coarse, fine = (watched.error(run, sde.eps, steps, LogSNR) for steps in _BIASED)
    left = extrapolated((coarse, fine), claims.order)
    size, floor = float(left.abs().max()), claims.floor or 0.0
    demand(
        size <= floor + _PREDICTING,
        f"its bias is over its floor {floor:.2g}: with short steps {largest(left)}, {run}",
    )
    return size


def _by_its_tolerance(integrator: Integrator, sde: LinearSDE) -> float:
    """A solver that is accurate to a tolerance of its own."""
    run = _whole(integrator, sde)

    def measured(by: Integrator) -> tuple[Tensor, float]:
        if by.claims.stochastic:
            return errors_in_pairs(sde, by, _ROWS)
        return Watched(by, affine=False).error(run, sde.eps, 1), 0.0

    if integrator.claims.stochastic and not integrator.claims.couples_batch:
        raise NotApplicable("its steps differ from row to row, and it draws noise")
    return demand_tolerance(integrator, measured, sde)


def _whole(solver: Solver, sde: LinearSDE) -> Place:
    """A whole run, as a place."""
    return Place(sde, first_level(solver), sde.T, (sde.eps,))
