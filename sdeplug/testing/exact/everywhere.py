"""Consistent everywhere: in any number of steps, at any stochasticity, on schedules of no one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError, PairingError
from sdeplug.solvers import FlowIntegrator
from sdeplug.testing.bench import Solver, sdes
from sdeplug.testing.claimed import first_level, own_grid
from sdeplug.testing.drawn import DrawnSDE, unusual
from sdeplug.testing.exact.leaks import LEAK, Place, Watched, places
from sdeplug.testing.exact.words import largest
from sdeplug.testing.findings import Finding, NotApplicable, demand

_COUNTS = (*range(1, 10), 11, 13, 17)
_LONG = (64, 61, 64, 67)  # even and prime, and all but alike
_WORSE = 2.0  # factor by which more steps may be worse: what parity changes is many times that
_NEGLIGIBLE = 1e-6  # errors below are not compared: rounding, or a tolerance
_NEAR_EPS = 0.1  # nats of log-SNR before eps
_MIDDLE = 1.0  # log-SNR: noise and data can both be seen, so that all terms matter
_APART = (-3.0, 4.5)
_FEW = 2  # steps of a leak, where their number is not what is asked: one of them has a past


@dataclass(frozen=True)
class Ramp:
    """A stochasticity that goes from one value at time 0 to another at T, evenly."""

    start: float
    end: float
    T: float

    def __call__(self, t: float) -> float:
        """The stochasticity at time t."""
        return self.start + (self.end - self.start) * t / self.T

    def __str__(self) -> str:
        return f"from {self.start:g} at t = 0 to {self.end:g} at T"


def check_step_numbers(solver: Solver) -> Finding:
    """Any number of steps will do: odd ones and primes, few and many."""
    watched = Watched.of(solver)
    sde = sdes(solver)[0]
    level = first_level(solver)
    (place,) = places(sde, level, _MIDDLE)
    if not own_grid(solver):
        for steps in _COUNTS:
            _demand_none(watched.leak(place, steps), f"in {steps} steps, however short", place)
    near = float(sde.time_at(_tensor(sde.at(sde.eps).log_snr - _NEAR_EPS)))
    for start, counts in ((near, _COUNTS), (sde.T, _LONG)):
        _no_worse(watched, Place(sde, level, start, (sde.eps, sde.eps)), counts)
    tried = sorted({*_COUNTS, *_LONG})
    return Finding(f"in {', '.join(map(str, tried))} steps")


def check_levels(solver: Solver) -> Finding:
    """The marginals are right at stochasticities that are not 0, 1/2 or 1, and that vary."""
    watched = Watched.of(solver)
    if isinstance(solver, FlowIntegrator):
        raise NotApplicable("it follows the probability flow at every stochasticity")
    if solver.claims.level is not None:
        raise NotApplicable(f"it claims to work at stochasticity {solver.claims.level:g} alone")
    main = [*sdes(solver), DrawnSDE(4, 2.0, 0.01)]
    asked = [
        place
        for number, sde in enumerate(main)
        for level in (0.3, 2.0, Ramp(0.2, 1.8, sde.T), Ramp(1.5, 0.1, sde.T))
        for place in places(sde, level, (_MIDDLE, *_APART)[number])
    ]
    worst, seen = _leaks(watched, asked)
    return Finding(f"leaves p_t by at most {worst:.0e} a nat at stochasticity {', '.join(seen)}")


def check_schedules(solver: Solver) -> Finding:
    """The marginals are right on forward SDEs that it has never seen, with another T and eps."""
    watched, level = Watched.of(solver), first_level(solver)
    fitting = [sde for sde in unusual() if isinstance(sde, solver.claims.needs)]
    if not fitting:
        raise NotApplicable(f"it needs a {solver.claims.needs.__name__}")
    asked = [place for sde in fitting for place in places(sde, level, *_APART)]
    worst, _ = _leaks(watched, asked)
    return Finding(f"leaves p_t by at most {worst:.0e} a nat on {len(fitting)} of them")


def _leaks(watched: Watched, asked: Iterable[Place]) -> tuple[float, list[str]]:
    """The largest leak, and the stochasticities at which it was found; refusals are left out."""
    worst, seen = 0.0, dict[str, None]()
    for place in asked:
        try:
            leak = watched.leak(place, _FEW)
        except PairingError:
            continue
        except ArgumentError as error:
            if error.argument != "stochasticity":
                raise
            continue
        worst = max(worst, _demand_none(leak, "however short the steps", place))
        seen[place.noise] = None
    if not seen:
        raise NotApplicable("it refuses all of these")
    return worst, [*seen]


def _demand_none(leak: Tensor, when: str, place: Place) -> float:
    """The largest of the errors per nat, which is next to nothing."""
    size = float(leak.abs().max())
    demand(
        size <= LEAK,
        f"{when}, its law leaves p_t: for each nat of log-SNR {largest(leak)}, {100.0 * LEAK:g} % "
        f"at most is right, {place}",
    )
    return size


def _no_worse(watched: Watched, place: Place, counts: tuple[int, ...]) -> None:
    """No number of steps over a span is much worse than the one before it."""
    end = place.ends[0]
    errors = {steps: watched.error(place, end, steps) for steps in counts}
    for one, other in pairwise(counts):
        size, larger = (float(errors[steps].abs().max()) for steps in (one, other))
        demand(
            larger <= _WORSE * size + _NEGLIGIBLE,
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
