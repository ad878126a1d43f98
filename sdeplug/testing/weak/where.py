"""Where leaks on a mixture are looked at."""

from __future__ import annotations

from collections.abc import Iterator

from sdeplug.solvers import FlowIntegrator, Integrator
from sdeplug.testing.bench import all_sdes, sdes
from sdeplug.testing.claimed import Level, first_level, own_grid, tolerant
from sdeplug.testing.drawn import DrawnSDE
from sdeplug.testing.exact.leaks import Place, Ramp, inner, places

_LOG_SNRS = (0.0, 0.5, 0.0)  # modes overlap, and the noise can be seen
_FRACTIONS = ((0.02, 0.3, 0.7, 0.98), (0.1, 0.9), (0.3, 0.7), (0.02, 0.5), (0.3, 0.98))
_DRAWN = DrawnSDE(4, 2.0, 0.01)
_OTHER = DrawnSDE(1, 3.0, 0.01)  # with other stochasticities, in other noise
_LEVELS: tuple[Level, ...] = (0.3, 2.0, Ramp(0.5, 1.5, 3.0))


def where_modes_overlap(integrator: Integrator) -> Iterator[Place]:
    """One place on each SDE, at other levels where it works at all of them."""
    first = first_level(integrator)
    levels = (first, first, first) if _one_level(integrator) else (first, 0.5, 2.0)
    for number, (sde, level) in enumerate(zip((*sdes(integrator), _DRAWN), levels, strict=False)):
        yield from places(sde, level, _LOG_SNRS[number])


def everywhere(integrator: Integrator) -> Iterator[Place]:
    """The same, and other noise, SDEs and levels for noise in steps of each row's own, which no law
    of a whole run tells of."""
    yield from where_modes_overlap(integrator)
    claims = integrator.claims
    by_row = tolerant(integrator) and claims.stochastic and not claims.couples_batch
    if not by_row or own_grid(integrator):
        return
    for sde, fractions in zip(all_sdes(integrator), _FRACTIONS, strict=False):
        yield from places(sde, first_level(integrator), *inner(sde, *fractions))
    if not _one_level(integrator):
        for level, fraction in zip(_LEVELS, (0.2, 0.5, 0.4), strict=True):
            yield from places(_OTHER, level, *inner(_OTHER, fraction))


def _one_level(integrator: Integrator) -> bool:
    return integrator.claims.level is not None or isinstance(integrator, FlowIntegrator)
