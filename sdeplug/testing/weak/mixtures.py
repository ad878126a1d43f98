"""Consistency at a point with a nonlinear score: leaks on a mixture in two dimensions.

What samples of mixtures tell to some per cent is told here to a thousandth, as are the leaks of a
Gaussian: a sum over a grid of states, and over balanced draws for each of them, is the law after
one short span.  So it takes no law of the solver, nor that its steps be affine in anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from sdeplug.compose import OnGrid
from sdeplug.grid import Uniform
from sdeplug.noise import NoiseSource
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.solvers import Corrector, FlowIntegrator, Integrator
from sdeplug.testing.bench import Solver, jumps, parts, sdes, single_thread
from sdeplug.testing.claimed import first_level, own_grid
from sdeplug.testing.drawn import DrawnSDE
from sdeplug.testing.exact import is_affine, refinements
from sdeplug.testing.exact.elsewhere import where_it_works
from sdeplug.testing.exact.leaks import Place, places
from sdeplug.testing.findings import CheckFailed, Finding, NotApplicable
from sdeplug.testing.weak.balanced import SIZES, Balanced, Counted
from sdeplug.testing.weak.modes import of_modes, points, three_modes, told_of_modes
from sdeplug.testing.weak.nonlinear import remembers

LIMIT = 1e-3
"""What the leak of a consistent solver stays under; measured in right ones: 4e-4."""

_HIDDEN = 5e-3
"""Of a leak that chance hides at stochasticity 1: noise that is 1 % too large makes 7e-3."""

_OWN = 8  # steps over a wide span of a solver that makes its own; then twice as many
_PAST = 5  # steps of what remembers earlier ones
_LEVELS, _ROWS = (64, 32, 16), 2**19  # where sizes are drawn
_LOG_SNRS = (0.0, 0.5, 0.0)  # modes overlap, and the noise can be seen
_LOOKS = ((8, 1e-1), (24, 1e-5))  # how many runs, and how often they are wrong of a right solver


def check_mixture_leaks(solver: Solver) -> Finding:
    """Over short spans it leaves p_t by nothing where the score is not linear.

    What decides at thresholds by what it draws fails if a first look and a longer one find its
    leak too large: 1e-5 of false alarms.
    """
    with single_thread():
        watched = _Watched.of(solver)
        found = where_it_works(
            partial(watched.demand, place) for place in _places(watched.integrator)
        )
    return Finding(f"leaves p_t by at most {max(found):.0e} a nat at {len(found)} places")


def _places(integrator: Integrator) -> Iterator[Place]:
    """One on each SDE where modes overlap, at other levels where it works at all of them."""
    first = first_level(integrator)
    one = integrator.claims.level is not None or isinstance(integrator, FlowIntegrator)
    levels = (first, first, first) if one else (first, 0.5, 2.0)
    forward = (*sdes(integrator), DrawnSDE(4, 2.0, 0.01))
    for number, (sde, level) in enumerate(zip(forward, levels, strict=False)):
        yield from places(sde, level, _LOG_SNRS[number])


@dataclass(frozen=True)
class _Watched:
    """A solver whose leaks are looked at.

    Attributes:
        integrator: the solver.
        affine: whether noise is added, or there is none: then signs are as good as numbers.
        steps: in a span.
    """

    integrator: Integrator
    affine: bool
    steps: int

    @classmethod
    def of(cls, solver: Solver) -> _Watched:
        if not isinstance(solver, Integrator):
            raise NotApplicable("it is a corrector")
        claims = solver.claims
        if jumps(solver) or claims.floor is not None or claims.order is None:
            raise NotApplicable("it claims no order, or a bias that does not vanish")
        if claims.couples_batch:
            raise NotApplicable("its rows hang together")
        if any(isinstance(part, Corrector) for part in parts(solver)):
            raise NotApplicable("a corrector is at work in it, whose steps do not follow the span")
        affine = not claims.stochastic or is_affine(solver)
        return cls(solver, affine, _PAST if own_grid(solver) or remembers(solver) else 1)

    def demand(self, place: Place) -> float:
        """The largest leak at a place.

        Raises:
            CheckFailed: if it is too large.
            NotApplicable: if chance hides it.
        """
        leak = self._leak(place)
        size = float(leak.abs().max())
        if size <= LIMIT:
            return size
        if self.affine:
            raise CheckFailed(_told(leak, place, torch.zeros_like(leak)))
        return self._by_chance(place)

    def _by_chance(self, place: Place) -> float:
        """The same where it decides at a threshold between two levels, perhaps."""
        levels, found = self._levels(place), list[Tensor]()
        for count, alpha in _LOOKS:
            found += [self._leak(place, levels, seed) for seed in range(len(found), count)]
            leak, chance = torch.stack(found).mean(0), _chance(torch.stack(found), alpha)
            hidden = float(chance.max()) > _hidden(place)
            right = bool((leak.abs() <= chance.clamp(min=LIMIT)).all())
            if right and not hidden:
                return float(leak.abs().max())
        if right:
            raise NotApplicable(
                "what it draws hides its leaks: the sampling checks measure its law"
            )
        raise CheckFailed(_told(leak, place, chance))

    def _levels(self, place: Place) -> int:
        """The most levels that do not take too many rows."""
        (by, end), _ = self._runs(place)
        columns, count = self._columns(by, place, end), len(points(place.sde, place.t)[0])
        rows = (Balanced(1, columns, each, 0).repeats * count for each in _LEVELS)
        few = (level for level, each in zip(_LEVELS, rows, strict=True) if each <= _ROWS)
        return next(few, _LEVELS[-1])

    def _leak(self, place: Place, levels: int | None = None, seed: int | None = None) -> Tensor:
        """Errors of :func:`of_modes` per nat of log-SNR, in the limit of short spans.

        Args:
            place: where.
            levels: of the sizes of what is drawn; as few as it takes unless given.
            seed: of sizes that are drawn themselves.
        """
        coarse, fine = (self._error(*run, place, levels, seed) for run in self._runs(place))
        return 2.0 * fine - coarse

    def _runs(self, place: Place) -> tuple[tuple[Integrator, float], tuple[Integrator, float]]:
        """The solver and the end of a span, half of it, or twice as many steps of its own."""
        full, half, wide = place.ends
        if own_grid(self.integrator):
            refined, *_ = refinements(self.integrator, place.sde)
            return (refined(_OWN), wide), (refined(2 * _OWN), wide)
        by = OnGrid(self.integrator, Uniform(self.steps))
        return (by, full), (by, half)

    def _error(
        self, by: Integrator, end: float, place: Place, levels: int | None, seed: int | None
    ) -> Tensor:
        """The same over one span."""
        (x, weights), sde = points(place.sde, place.t), place.sde
        columns = self._columns(by, place, end)
        if columns and own_grid(self.integrator):
            raise NotApplicable("it draws noise in steps of its own, which may be long ones")
        if self.affine or not columns:
            levels = 1
        few = next((each for each in SIZES if each >= columns - 1), SIZES[-1])
        noise = Balanced(len(x), columns, levels or few, seed)
        y = self._carried(by, place, end, x.repeat_interleave(noise.repeats, 0), noise)
        change = of_modes(y, end, sde).reshape(len(x), noise.repeats, -1).mean(1)
        change -= of_modes(x, place.t, sde)
        return weights @ change / (sde.at(end).log_snr - sde.at(place.t).log_snr)

    def _columns(self, by: Integrator, place: Place, end: float) -> int:
        """How many numbers a row draws."""
        noise = Counted()
        self._carried(by, place, end, points(place.sde, place.t)[0][:1], noise)
        return noise.draws

    def _carried(
        self, by: Integrator, place: Place, end: float, x: Tensor, noise: NoiseSource
    ) -> Tensor:
        reverse = ReverseSDE(place.sde, three_modes().score(place.sde), place.level)
        with torch.no_grad():
            return by.integrate(reverse, x, place.t, end, Run(noise))


def _hidden(place: Place) -> float:
    """What chance may hide of a leak, as an error of noise goes."""
    level = place.level(place.t) if callable(place.level) else place.level
    return _HIDDEN * max(1.0, level**2)


def _chance(found: Tensor, alpha: float) -> Tensor:
    """How far means of n numbers are off at most, but for a share alpha of all cases in which one
    of them is: ``(n, m)`` to ``(m,)``."""
    from scipy import special

    count, width = found.shape
    cases = width * len(_LOG_SNRS)
    quantile = -float(special.stdtrit(count - 1, 0.5 * alpha / cases))
    return quantile * found.std(0) / math.sqrt(count)


def _told(leak: Tensor, place: Place, chance: Tensor) -> str:
    """What leaks most surely."""
    worst = int((leak.abs() - chance).argmax())
    give = f", give or take {100.0 * float(chance[worst]):.1g}" if bool(chance.any()) else ""
    return (
        f"its law leaves p_t on a mixture: for each nat of log-SNR "
        f"{told_of_modes(worst, float(leak[worst]))}{give}; {100.0 * LIMIT:g} % at most is right, "
        f"{place}"
    )


CHECKS: tuple[Callable[[Solver], Finding], ...] = (check_mixture_leaks,)
"""The checks of this module."""
