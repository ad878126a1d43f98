"""Consistency at a point of what draws more than noise: leaks, by arrays that are mirrored.

Given what else it draws, such as a time, a solver that is randomised is affine.  So of its variance
over a short span an orthogonal array leaves to chance only what ties x, noise and the rest
together; with each row mirrored about the mean of x the largest part of that is gone as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from sdeplug.compose import OnGrid
from sdeplug.grid import Uniform
from sdeplug.reverse import ReverseSDE
from sdeplug.solvers import Corrector, Integrator
from sdeplug.testing.bench import Solver, gaussian_law, gaussian_score, parts, sdes
from sdeplug.testing.claimed import first_level
from sdeplug.testing.drawn import DrawnSDE
from sdeplug.testing.exact.arrays import LEVELS, Arrays, array_moments
from sdeplug.testing.exact.elsewhere import where_it_works
from sdeplug.testing.exact.leaks import Place, places
from sdeplug.testing.exact.moments import QUANTILE, STAGES
from sdeplug.testing.exact.words import largest
from sdeplug.testing.findings import CheckFailed, Finding, NotApplicable

LIMIT = 3e-3
"""What the leak of a randomised solver stays under; measured in right ones: 5e-4 by chance."""

_HIDDEN = 0.01  # of a leak that chance hides
_VARIANCE = 0.25
_STEPS = 2
_MIDDLE, _MOSTLY_NOISE = 1.0, -3.0  # log-SNR


def check_randomised_leaks(solver: Solver) -> Finding:
    """Over short spans it leaves p_t by nothing, though it draws more than noise.

    A leak fails if two stages of 8 and 16 arrays find it too large: 1e-6 of false alarms at most.
    """
    integrator = _judged(solver)
    found = where_it_works(partial(_leak_at, integrator, *each) for each in _places(integrator))
    return Finding(f"leaves p_t by at most {max(found):.0e} a nat at {len(found)} places")


def _judged(solver: Solver) -> Integrator:
    if not isinstance(solver, Integrator):
        raise NotApplicable("it is a corrector")
    claims = solver.claims
    if not claims.randomised or claims.affine:
        raise NotApplicable("it draws noise alone: other checks measure its leaks")
    if not solver.needs_grid or claims.couples_batch or claims.floor is not None:
        raise NotApplicable("its rows hang together, or its steps are its own, or biased")
    if any(isinstance(part, Corrector) for part in parts(solver)):
        raise NotApplicable("a corrector is at work in it, whose steps do not follow the span")
    return solver


def _places(integrator: Integrator) -> Iterator[tuple[Place, float]]:
    """One on each SDE, at levels that other checks do not have where it works at all of them."""
    first, one = first_level(integrator), integrator.claims.level is not None
    drawn = DrawnSDE(4, 2.0, 0.01)
    asked = (first, first if one else 0.5, first if one else 2.0)
    for sde, level in zip((*sdes(integrator), drawn), asked, strict=False):
        (place,) = places(sde, level, _MOSTLY_NOISE if sde is drawn else _MIDDLE)
        yield place, level


def _leak_at(integrator: Integrator, place: Place, level: float) -> float:
    for seeds in STAGES:
        found = torch.stack([_leak(integrator, place, seed) for seed in seeds])
        leak = found.mean(0)
        chance = QUANTILE * float(found.std(0).max()) / math.sqrt(len(found))
        size = float(leak.abs().max())
        if size <= max(LIMIT, chance):
            if chance > _HIDDEN * max(1.0, level**2):  # as an error of noise goes
                raise NotApplicable("what it draws hides its leaks: the sampling checks measure it")
            return size
    raise CheckFailed(
        f"its law leaves p_t: for each nat of log-SNR {largest(leak, (_VARIANCE,))}, give or take "
        f"{100.0 * chance:.2g} %; {100.0 * LIMIT:g} % at most is right, {place}"
    )


def _leak(integrator: Integrator, place: Place, seed: int) -> Tensor:
    """Errors of standard deviation and mean per nat of log-SNR, in the limit of short spans."""
    full, half, _ = place.ends
    coarse, fine = (_error(integrator, place, end, seed) for end in (full, half))
    return 2.0 * fine - coarse


def _error(integrator: Integrator, place: Place, end: float, seed: int) -> Tensor:
    """The same over one span."""
    sde, by = place.sde, OnGrid(integrator, Uniform(_STEPS))
    reverse = ReverseSDE(sde, gaussian_score(sde, (_VARIANCE,)), place.level)
    law = gaussian_law(sde, (_VARIANCE,))
    (mean, variance), (there, wanted) = (tuple(map(float, law(t))) for t in (place.t, end))
    reached, spread = array_moments(
        lambda x, run: by.integrate(reverse, x, place.t, end, run),
        mean, variance, Arrays(LEVELS[-1], seed, mirrored=True),
    )  # fmt: skip
    off = math.sqrt(spread / wanted) - 1.0, (reached - there) / math.sqrt(wanted)
    nats = sde.at(end).log_snr - sde.at(place.t).log_snr
    return torch.tensor(off, dtype=torch.float64, device="cpu") / nats


CHECKS: tuple[Callable[[Solver], Finding], ...] = (check_randomised_leaks,)
"""The checks of this module."""
