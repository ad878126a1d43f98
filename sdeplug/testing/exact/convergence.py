"""Errors on ever finer grids: whether they fall as claimed, to nothing, and the words if not."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor

from sdeplug.testing.exact.words import largest
from sdeplug.testing.findings import CheckFailed, Curve, demand

SLACK = 0.15
"""How far below the claimed order the observed one may be."""

STEPS = (32, 64, 128)
"""Numbers of steps that errors are extrapolated from."""

_FINEST = 1024  # steps, where the errors on fewer do not tell
_FINEST_OF_HIGHER_ORDERS = 512  # rounding comes into sight on finer grids
_STAYING = 0.7  # of an extrapolated error that the next one is at least, if the limit is wrong
_LIMITS = {1: 5e-4, 2: 1e-4}  # by order; what a consistent solver's extrapolated error stays under
_LIMIT_OF_HIGHER_ORDERS = 1e-5
_BENT = 0.1  # difference of the orders between neighbouring grids
_LOWER = (0.5, 1.0, 2.0, 3.0)  # orders that one may have who claims more


class WrongLimit(CheckFailed):
    """The law is another one, however short the steps are."""


def rms(error: Tensor) -> float:
    """Root mean square of errors."""
    return float(error.square().mean().sqrt())


def extrapolated(errors: Sequence[Tensor], order: float) -> Tensor:
    """The errors in the limit of short steps, from those on two grids or more, each twice as fine.

    From two what falls as the step to the order is taken away, from three the next power too.
    """
    left, power = list(errors), 2.0**order
    while len(left) > 1:
        left = [(power * fine - coarse) / (power - 1.0) for coarse, fine in pairwise(left)]
        power *= 2.0
    return left[0]


def allowed(order: float) -> float:
    """What the extrapolated error of a consistent solver of an order stays under."""
    return _LIMITS.get(math.ceil(order), _LIMIT_OF_HIGHER_ORDERS)


def observed(curve: Curve) -> float:
    """The order of the errors on the finest grids; infinite where the last is nothing.

    Where it rises from grid to grid it is extrapolated: terms of higher order, which still hide
    it, halve each time.
    """
    *before, last = (_between(*pair) for pair in pairwise(curve.errors[-3:]))
    return 2.0 * last - before[-1] if before and before[-1] < last < math.inf else last


def falls(errors: Sequence[Tensor], order: float, least: float = 0.0) -> bool:
    """Whether the last two of the errors fall at the order, to a limit that is right.

    Args:
        errors: as for :func:`demand_order_and_limit`.
        order: the claimed one.
        least: errors below this cannot be told from rounding.
    """
    sizes = tuple(map(rms, errors))
    fast = observed(Curve("", (), sizes)) >= order - SLACK
    return sizes[-1] <= least or (fast and _left(errors, order)[-1] <= allowed(order))


def on_finer_grids(
    error: Callable[[int], Tensor], order: float, least: float = 0.0
) -> tuple[list[int], list[Tensor]]:
    """Errors on three grids, and on finer ones as long as they do not fall as they should.

    The errors of a consistent solver fall on; where those of a wrong one stay, no more is asked.

    Args:
        error: number of steps to errors as :func:`demand_order_and_limit` takes them.
        order: the claimed one.
        least: errors below this cannot be told from rounding.

    Returns:
        Numbers of steps, and the errors.
    """
    counts, finest = list(STEPS), _FINEST if order <= 2 else _FINEST_OF_HIGHER_ORDERS
    errors = [error(steps) for steps in counts]
    while not falls(errors, order, least) and counts[-1] < finest:
        *before, last = _left(errors, order)
        if before and not last <= max(_STAYING * before[-1], allowed(order)):
            break
        counts.append(2 * counts[-1])
        errors.append(error(counts[-1]))
    return counts, errors


def demand_order_and_limit(
    errors: Sequence[Tensor], order: float, curve: Curve, least: float = 0.0
) -> None:
    """Errors on ever finer grids are numbers, vanish, and do so at the order.

    Args:
        errors: for each number of steps those of standard deviations and means, as
            :func:`sdeplug.testing.relative_error` has them for the spectrum of the bench.
        order: the claimed one.
        curve: their root mean squares.
        least: errors below this cannot be told from rounding, and have neither limit nor order.

    Raises:
        CheckFailed: with the first of the three that is not so.
        WrongLimit: where it is the second.
    """
    for steps, error in zip(curve.steps, errors, strict=True):
        demand(
            bool(error.isfinite().all()),
            f"the law is not finite on {curve.label}: at {steps} steps {largest(error)}. Is "
            "something divided by 0, or the root of a negative number, near the end?",
            (curve,),
        )
    if rms(errors[-1]) <= least:
        return
    if not any(_limit_is_right(errors, each) for each in (order, *_lower(curve, order))):
        raise WrongLimit(_wrong_limit(errors, order, curve), (curve,))
    demand(observed(curve) >= order - SLACK, _too_slow(errors, order, curve), (curve,))


def _between(coarse: float, fine: float) -> float:
    return math.log2(coarse / fine) if min(coarse, fine) > 0.0 else math.inf


def _lower(curve: Curve, order: float) -> list[float]:
    """Orders below the claimed one that a curve may have: it bends if its limit is not 0."""
    seen = [_between(*pair) for pair in pairwise(curve.errors)]
    if max(seen) - min(seen) > _BENT:
        return []
    return [each for each in _LOWER if each < order and abs(seen[-1] - each) <= SLACK]


def _limit_is_right(errors: Sequence[Tensor], order: float) -> bool:
    """Whether the extrapolated error is small, or falls as fast as a consistent solver's."""
    *before, last = _left(errors, order)
    fast = any(last <= each / 2.0 ** (order + 1.0 - 2.0 * SLACK) for each in before[-1:])
    return fast or last <= allowed(order)


def _left(errors: Sequence[Tensor], order: float) -> list[float]:
    """The largest extrapolated error of each three neighbouring grids."""
    threes = zip(errors, errors[1:], errors[2:], strict=False)
    return [float(extrapolated(three, order).abs().max()) for three in threes]


def _wrong_limit(errors: Sequence[Tensor], order: float, curve: Curve) -> str:
    *before, last = (f"{each:.2g}" for each in _left(errors, order))
    coarser = f", and {before[-1]} on grids half as fine" if before else ""
    return (
        f"the limit is wrong on {curve.label}: with ever shorter steps "
        f"{largest(extrapolated(errors[-3:], order))}. Extrapolated error {last} at "
        f"{curve.steps[-1]} steps, at most {allowed(order):g} is right{coarser}"
    )


def _too_slow(errors: Sequence[Tensor], order: float, curve: Curve) -> str:
    seen = observed(curve)
    near = round(2.0 * seen) / 2.0 if abs(2.0 * seen - round(2.0 * seen)) <= 2.0 * SLACK else seen
    sizes = ", ".join(f"{each:.2g}" for each in curve.errors)
    return (
        f"its error falls as the step to the power {seen:.2f}: order {near:.3g}, claimed "
        f"{order:g}, on {curve.label}. Errors {sizes} at {curve.steps} steps; at the last "
        f"{largest(errors[-1])}"
    )
