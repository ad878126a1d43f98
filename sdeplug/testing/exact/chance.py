"""Errors in the limit of short steps where chance is in them, and what it hides.

Errors are measured again and again, each time with other numbers, on three grids.  More is asked
only where chance still hides what is to be seen, or where the steps are too long to tell; so what
is nearly free of chance is cheap, and what is wrong by much is told at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug.testing.exact.convergence import extrapolated
from sdeplug.testing.findings import Curve, Unproven, demand

LIMIT = 0.004
"""What the extrapolated errors of a consistent sampler stay under."""

MOST = 0.01
"""The largest error that what is said to pass may have, for all that chance leaves open."""

ALPHA = 1e-3
"""Rate of false alarms on grids of one fineness; a verdict takes two, which makes 1e-6."""

FINEST = 4
"""How many times as many steps the finest of three grids has."""

_LOOKS = (4, 8, 16, 32, 64)  # how often it has been measured when what was found is looked at
_STAYING = 0.7  # of an error that the next one is at least, if the limit is wrong
_MOST_STEPS = 1024  # steps

Errors = Callable[[int, int], Tensor]
"""(steps, seed) to errors of a law, shape ``(m,)``, with chance in them that the seed decides."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """Errors in the limit of short steps, to what chance leaves open.

    Attributes:
        steps: of the three grids.
        on_grids: mean errors on them, shape ``(3, m)``.
        limit: what is left of them for ever shorter steps, shape ``(m,)``.
        scatter: its standard errors, shape ``(m,)``.
        quantile: how many of these it is off by at most, but for one time in 1 / :data:`ALPHA`.
    """

    steps: tuple[int, int, int]
    on_grids: Tensor
    limit: Tensor
    scatter: Tensor
    quantile: float

    @property
    def chance(self) -> Tensor:
        """How far the limit is off at most, shape ``(m,)``."""
        return self.quantile * self.scatter

    @property
    def surely(self) -> float:
        """The error that one of them has at least."""
        return float((self.limit.abs() - self.chance).max())

    @property
    def possibly(self) -> float:
        """The error that none of them is above."""
        return float((self.limit.abs() + self.chance).max())


def in_the_limit(
    errors: Errors, order: float, steps: int, words: Callable[[Tensor], str]
) -> Estimate:
    """Errors in the limit, on grids so fine that a consistent sampler's are below :data:`LIMIT`.

    Args:
        errors: as measured on a grid.
        order: how they fall with the steps.
        steps: of the coarsest grid.
        words: errors to what they are errors of.

    Raises:
        CheckFailed: if they are no numbers, or too large and no smaller on grids of twice as many
            steps.
        Unproven: if chance leaves it open whether they are below :data:`MOST`.
    """
    now, before = _estimated(errors, order, steps), math.inf
    while now.surely > LIMIT:
        size = float(now.limit.abs().max())
        falls = size <= _STAYING * before and 2 * now.steps[-1] <= _MOST_STEPS
        demand(
            falls,
            f"with ever shorter steps {words(now.limit)}, give or take {_percent(now)}. "
            f"Extrapolated from {', '.join(map(str, now.steps))} steps; at most {LIMIT:g} is right",
            (Curve("", now.steps, tuple(now.on_grids.abs().amax(1).tolist())),),
        )
        before, now = size, _estimated(errors, order, now.steps[1])
    if now.possibly > MOST:
        raise Unproven(
            f"chance hides errors of up to {now.possibly:.1%}, in {_LOOKS[-1]} runs on each grid; "
            f"more than {MOST:.0%} is too much"
        )
    return now


def _estimated(errors: Errors, order: float, steps: int) -> Estimate:
    """Errors in the limit from grids of so many steps, twice and four times as many."""
    grids, found = (steps, 2 * steps, FINEST * steps), list[Tensor]()
    for look in _LOOKS:
        for number in range(len(found), look):
            seed = steps * _LOOKS[-1] + number
            found.append(torch.stack([errors(count, seed) for count in grids]))
            demand(bool(found[-1].isfinite().all()), f"its law is not finite in {steps} steps")
        estimate = _of(torch.stack(found, 1), order, grids)
        if estimate.surely > LIMIT or estimate.possibly <= MOST:
            break
    return estimate


def _of(found: Tensor, order: float, grids: tuple[int, int, int]) -> Estimate:
    """What errors of shape ``(3, n, m)`` say of their limit.

    Two powers of the step are taken away where chance allows that, or else one, from the coarsest
    grid and the finest, which makes less of chance.
    """
    twice = extrapolated(list(found), order)
    once = extrapolated([found[0], found[-1]], 2.0 * order)
    estimates = [
        Estimate(grids, found.mean(1), each.mean(0), *_scatter(each)) for each in (twice, once)
    ]
    return estimates[float(estimates[0].chance.max()) > MOST]


def _scatter(found: Tensor) -> tuple[Tensor, float]:
    """Standard errors of means of n numbers, ``(n, m)`` to ``(m,)``, and the quantile of Student's
    law for all of them and all looks."""
    from scipy import special

    count, width = found.shape
    quantile = -float(special.stdtrit(count - 1, 0.5 * ALPHA / (width * len(_LOOKS))))
    return found.std(0) / math.sqrt(count), quantile


def _percent(estimate: Estimate) -> str:
    """Two standard errors of the largest error."""
    largest = int(estimate.limit.abs().argmax())
    return f"{200.0 * float(estimate.scatter[largest]):.1g} %"
