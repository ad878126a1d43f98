"""Consistency at a point with a nonlinear score: leaks on a mixture in two dimensions.

What samples of mixtures tell to some per cent is told here to a thousandth, as are the leaks of a
Gaussian: a sum over a grid of states, and over balanced draws for each of them, is the law after
one short span.  So it takes no law of the solver, nor that its steps be affine in anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from sdeplug.compose import OnGrid
from sdeplug.grid import Uniform
from sdeplug.solvers import Corrector, Integrator
from sdeplug.testing.bench import Solver, jumps, parts, single_thread
from sdeplug.testing.claimed import (
    follows_its_tolerance,
    own_grid,
    tolerant,
    without_correctors,
)
from sdeplug.testing.exact import is_affine, refinements
from sdeplug.testing.exact.elsewhere import where_it_works
from sdeplug.testing.exact.leaks import Place
from sdeplug.testing.exact.tolerances import demand_tolerance
from sdeplug.testing.findings import CheckFailed, Finding, NotApplicable
from sdeplug.testing.weak.balanced import SIZES, Balanced
from sdeplug.testing.weak.modes import points, told_of_modes
from sdeplug.testing.weak.nonlinear import remembers
from sdeplug.testing.weak.spans import adds_noise, at_once, columns, error
from sdeplug.testing.weak.where import everywhere, where_modes_overlap

LIMIT = 1e-3
"""What the leak of a consistent solver stays under; measured in right ones: 5e-4."""

_HIDDEN = 5e-3
"""Of a leak that chance hides at stochasticity 1: noise that is 1 % too large makes 7e-3."""

_LEAVES = "its law leaves p_t on a mixture"

_OWN = 8  # steps over a wide span of a solver that makes its own; then twice as many
_FEW = {2: 2.0, 3: -9.0, 4: 8.0}  # the same with noise: without what falls as 1 / n and 1 / n^2
_SHORT = 3.0  # times the part of the span that that of half of it may be: 2 for any leak
_PAST = 5  # steps of what remembers earlier ones
_LEVELS, _ROWS = (64, 32, 16), 2**19  # where sizes are drawn
_LOOKS = ((8, 1e-1), (24, 1e-5))  # how many runs, and how often they are wrong of a right solver


def check_mixture_leaks(solver: Solver) -> Finding:
    """Over short spans it leaves p_t by nothing where the score is not linear.

    What decides at thresholds by what it draws fails if a first look and a longer one find its
    leak too large: 1e-5 of false alarms.  Of what has a corrector after each step it is asked
    without: sweeps do not follow the span.
    """
    if not isinstance(solver, Integrator):
        raise NotApplicable("it is a corrector")
    alone = without_correctors(solver)
    with single_thread():
        watched = _Watched.of(alone)
        found = where_it_works(
            partial(watched.demand, place) for place in everywhere(watched.integrator)
        )
    told = "" if alone is solver else ", its predictor alone"
    return Finding(f"leaves p_t by at most {max(found):.0e} a nat at {len(found)} places{told}")


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
    def of(cls, solver: Integrator) -> _Watched:
        claims, follows = solver.claims, follows_its_tolerance(solver)
        if jumps(solver) or not (follows or (claims.floor is None and claims.order is not None)):
            raise NotApplicable("it claims no order, or a bias that does not vanish")
        if claims.couples_batch and claims.stochastic and not follows:
            raise NotApplicable("its rows hang together")
        if any(isinstance(part, Corrector) for part in parts(solver)):
            raise NotApplicable("a corrector is at work in it, whose steps do not follow the span")
        if follows:
            place = next(where_modes_overlap(solver))
            return cls(solver, not claims.stochastic or adds_noise(solver, place), 1)
        affine = not claims.stochastic or is_affine(solver)
        return cls(solver, affine, _PAST if own_grid(solver) or remembers(solver) else 1)

    def demand(self, place: Place) -> float:
        """The largest leak at a place.

        Raises:
            CheckFailed: if it is too large.
            NotApplicable: if chance hides it.
        """
        if tolerant(self.integrator):
            return self._by_tolerance(place)
        leak = self._leak(place)
        size = float(leak.abs().max())
        if size <= LIMIT:
            return size
        if self.affine:
            raise CheckFailed(_told(leak, place))
        return self._by_chance(place)

    def _by_tolerance(self, place: Place) -> float:
        """The same at the first tolerance that is tight enough.

        Where a tighter one takes more draws than there are, because steps are rejected, the leak
        of those that are not is what it is.
        """
        found = list[Tensor]()

        def measured(by: Integrator) -> tuple[Tensor, float]:
            try:
                found.append(replace(self, integrator=by)._leak(place))
            except NotApplicable:
                if not found:
                    raise
                raise CheckFailed(_told(found[-1], place)) from None
            return found[-1], 0.0

        try:
            return demand_tolerance(self.integrator, measured, place, _most, LIMIT, _LEAVES)
        except CheckFailed:
            if self.affine:
                raise
        return self._by_chance(place)

    def _by_chance(self, place: Place) -> float:
        """The same where it decides at a threshold between two levels, perhaps."""
        levels, found = self._levels(place), list[Tensor]()
        asked = len(tuple(everywhere(self.integrator)))
        for count, alpha in _LOOKS:
            found += [self._leak(place, levels, seed) for seed in range(len(found), count)]
            leak, chance = torch.stack(found).mean(0), _chance(torch.stack(found), alpha / asked)
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
        *_, (_, by, end) = self._runs(place)
        number, count = columns(by, place, end), len(points(place.sde, place.t)[0])
        rows = (Balanced(1, number, each, 0).repeats * count for each in _LEVELS)
        few = (level for level, each in zip(_LEVELS, rows, strict=True) if each <= _ROWS)
        return next(few, _LEVELS[-1])

    def _leak(self, place: Place, levels: int | None = None, seed: int | None = None) -> Tensor:
        """Errors of :func:`of_modes` per nat of log-SNR, in the limit of short spans.

        Args:
            place: where.
            levels: of the sizes of what is drawn; as few as it takes unless given.
            seed: of sizes that are drawn themselves.
        """
        found = [
            weight * self._error(by, end, place, levels, seed)
            for weight, by, end in self._runs(place)
        ]
        leak = torch.stack(found).sum(0)
        if len(found) == 2 * len(_FEW):
            _demand_short(leak, torch.stack(found[: len(_FEW)]).sum(0))
        return leak

    def _runs(self, place: Place) -> list[tuple[float, Integrator, float]]:
        """What a leak is a sum of: weights, the solver, and the ends of spans.

        The span is halved, or has more steps of its own.  For each of these balanced draws have to
        be had, so that few of them have to do where noise is drawn.
        """
        by, (full, half, wide) = self.integrator, place.ends
        spans = ((-1.0, full), (2.0, half))
        if own_grid(by):
            refined, *_ = refinements(by, place.sde)
            if not by.claims.stochastic:
                return [(-1.0, refined(_OWN), wide), (2.0, refined(2 * _OWN), wide)]
            return [
                (weight * share, refined(steps), end)
                for weight, end in spans
                for steps, share in _FEW.items()
            ]
        if tolerant(by):
            return [(weight, at_once(by, place, end), end) for weight, end in spans]
        return [(weight, OnGrid(by, Uniform(self.steps)), end) for weight, end in spans]

    def _error(
        self, by: Integrator, end: float, place: Place, levels: int | None, seed: int | None
    ) -> Tensor:
        """The same over one span."""
        number = columns(by, place, end, None if tolerant(by) else 1)
        if self.affine or not number:
            levels = 1
        few = next((each for each in SIZES if each >= number - 1), SIZES[-1])
        count = len(points(place.sde, place.t)[0])
        return error(by, place, end, Balanced(count, number, levels or few, seed))


def _demand_short(leak: Tensor, part: Tensor) -> None:
    """Steps of its own follow the span: what half of it makes is as much for each nat, and as long
    noise would make twice as much.

    Args:
        leak: from a span and half of it.
        part: that of the span, with the weight -1.

    Raises:
        NotApplicable: if they do not.
    """
    worst = int(leak.abs().argmax())
    if abs(float(leak[worst])) > LIMIT and abs(float((leak - part)[worst])) > _SHORT * abs(
        float(part[worst])
    ):
        raise NotApplicable("it draws noise in steps of its own, which do not follow the span")


def _hidden(place: Place) -> float:
    """What chance may hide of a leak, as an error of noise goes."""
    level = place.level(place.t) if callable(place.level) else place.level
    return _HIDDEN * max(1.0, level**2)


def _chance(found: Tensor, alpha: float) -> Tensor:
    """How far means of n numbers are off at most, but for a share alpha of all cases in which one
    of them is: ``(n, m)`` to ``(m,)``."""
    from scipy import special

    count, width = found.shape
    quantile = -float(special.stdtrit(count - 1, 0.5 * alpha / width))
    return quantile * found.std(0) / math.sqrt(count)


def _told(leak: Tensor, place: Place, chance: Tensor | None = None) -> str:
    """What leaks most surely."""
    surely = leak.abs() if chance is None else leak.abs() - chance
    give = "" if chance is None else f", give or take {100.0 * float(chance[surely.argmax()]):.1g}"
    return f"{_LEAVES}: {_most(leak, surely)}{give}; {100.0 * LIMIT:g} % at most is right, {place}"


def _most(leak: Tensor, surely: Tensor | None = None) -> str:
    """What leaks most."""
    worst = int((leak.abs() if surely is None else surely).argmax())
    return f"for each nat of log-SNR {told_of_modes(worst, float(leak[worst]))}"


CHECKS: tuple[Callable[[Solver], Finding], ...] = (check_mixture_leaks,)
"""The checks of this module."""
