"""Consistent everywhere: in any number of steps, at any stochasticity, on schedules of no one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from sdeplug.solvers import FlowIntegrator
from sdeplug.testing.bench import Solver, sdes
from sdeplug.testing.claimed import first_level, own_grid
from sdeplug.testing.drawn import DrawnSDE, unusual
from sdeplug.testing.exact.elsewhere import error_on, leak_at, where_it_works
from sdeplug.testing.exact.leaks import Place, Ramp, Watched, places
from sdeplug.testing.exact.words import largest
from sdeplug.testing.findings import CheckFailed, Finding, NotApplicable, demand

_COUNTS = (*range(1, 10), 11, 13, 17)
_LONG = (32, 31, 32, 37)  # even and prime, and all but alike
_WORSE = 2.0  # factor by which more steps may be worse: what parity changes is many times that
_NEGLIGIBLE = 5e-6  # errors below are not compared: rounding of times to float32, or a tolerance
_NEAR_EPS = 0.1  # nats of log-SNR before eps
_LOWER = 0.02  # error per square of a step where one of them may be of a lower order
_MIDDLE = 1.0  # log-SNR: noise and data can both be seen, so that all terms matter
_APART = (0.2, 0.8)  # of the log-SNR between T and eps
_RUNS = 3  # forward SDEs for whole runs, where there is no order to go by
_FEW = 2  # steps of a leak, where their number is not what is asked: one of them has a past


def check_step_numbers(solver: Solver) -> Finding:
    """Any number of steps will do: odd ones and primes, few and many."""
    watched = Watched.of(solver)
    sde = sdes(solver)[0]
    level = first_level(solver)
    (place,) = places(sde, level, _MIDDLE)
    if not own_grid(solver):
        for steps in _COUNTS:
            leak_at(watched, place, steps, f"in {steps} steps, however short")
    near = float(sde.time_at(_tensor(sde.at(sde.eps).log_snr - _NEAR_EPS)))
    _no_worse(watched, Place(sde, level, near, (sde.eps,)), _COUNTS, _LOWER * _NEAR_EPS**2)
    _no_worse(watched, Place(sde, level, sde.T, (sde.eps,)), _LONG)
    tried = sorted({*_COUNTS, *_LONG})
    return Finding(f"in {', '.join(map(str, tried))} steps")


def check_levels(solver: Solver) -> Finding:
    """The marginals are right at stochasticities other than 1, and at such that vary."""
    watched = Watched.of(solver)
    if isinstance(solver, FlowIntegrator):
        raise NotApplicable("it follows the probability flow at every stochasticity")
    if solver.claims.level is not None:
        raise NotApplicable(f"it claims to work at stochasticity {solver.claims.level:g} alone")
    main = [*sdes(solver), DrawnSDE(4, 2.0, 0.01)]
    asked = [
        place
        for number, sde in enumerate(main)
        for level in (0.0, 0.3, 0.5, 2.0, Ramp(0.2, 1.8, sde.T), Ramp(1.5, 0.1, sde.T))
        for place in places(sde, level, (_MIDDLE, -3.0, 4.5)[number])
    ]
    leaks = (partial(_leak, watched, place) for place in asked)
    found = where_it_works(leaks)
    return Finding(f"leaves p_t by at most {max(found):.0e} a nat at {len(found)} places")


def _leak(watched: Watched, place: Place) -> float:
    """The leak at one place, of a stochasticity that may be a function of time."""
    try:
        return leak_at(watched, place, _FEW, "however short the steps")
    except TypeError as error:
        if not callable(place.level):
            raise
        raise CheckFailed(
            f"reverse.stochasticity may be a function of time, and it takes that for a number: ask "
            f"for reverse.level(t), or claim the one that it works at, level=1.0 ({error})"
        ) from error


def check_schedules(solver: Solver) -> Finding:
    """Its law is right on forward SDEs that it has never seen, with another T and eps."""
    fitting = [sde for sde in unusual() if isinstance(sde, solver.claims.needs)]
    if not fitting:
        raise NotApplicable(f"it needs a {solver.claims.needs.__name__}")
    found = where_it_works(
        partial(error_on, solver, sde, *_APART)
        for sde in (fitting if solver.claims.order is not None else fitting[:_RUNS])
    )
    what = "leaves p_t by" if solver.claims.order is not None else "is off by"
    return Finding(f"{what} at most {max(found):.0e} on {len(found)} of them")


def _no_worse(watched: Watched, place: Place, counts: tuple[int, ...], lower: float = 0.0) -> None:
    """No number of steps over a span is much worse than the one before it.

    Args:
        watched: the solver.
        place: the span.
        counts: the numbers.
        lower: error of a single step of a lower order over the whole span.
    """
    end = place.ends[0]
    errors = {steps: watched.error(place, end, steps) for steps in counts}
    for one, other in pairwise(counts):
        size, larger = (float(errors[steps].abs().max()) for steps in (one, other))
        demand(
            larger <= _WORSE * size + _NEGLIGIBLE + lower / other**2,
            f"the number of steps matters: in {one} its law is off by {size:.2g}, and in {other} "
            f"{largest(errors[other])}, {place}",
        )


def _tensor(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64, device="cpu")


CHECKS: tuple[Callable[[Solver], Finding], ...] = (
    check_step_numbers,
    check_levels,
    check_schedules,
)
"""The checks of this module."""
