"""Errors on ever finer grids: whether they fall as claimed, to nothing, and the words if not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from sdeplug.testing.exact.words import largest
from sdeplug.testing.findings import CheckFailed, Curve, demand

SLACK = 0.15
"""How far below the claimed order the observed one may be."""

_LIMITS = {1: 5e-4, 2: 1e-4}  # by order; what a consistent solver's extrapolated error stays under
_LIMIT_OF_HIGHER_ORDERS = 1e-5
_BENT = 0.1  # difference of the orders between neighbouring grids
_LOWER = (0.5, 1.0, 2.0, 3.0)  # orders that one may have who claims more


class WrongLimit(CheckFailed):
    """The law is another one, however short the steps are."""


def rms(error: Tensor) -> float:
    """Root mean square of errors."""
    return float(error.square().mean().sqrt())


def extrapolated(coarse: Tensor, fine: Tensor, order: float) -> Tensor:
    """The errors in the limit of short steps, from those on two grids, one twice as fine."""
    factor = 2.0**order
    left: Tensor = (factor * fine - coarse) / (factor - 1.0)
    return left


def allowed(order: float) -> float:
    """What the extrapolated error of a consistent solver of an order stays under."""
    return _LIMITS.get(math.ceil(order), _LIMIT_OF_HIGHER_ORDERS)


def observed(curve: Curve) -> float:
    """The order between the two finest grids; infinite where the last error is nothing."""
    return _between(*curve.errors[-2:])


def falls(errors: Sequence[Tensor], order: float, least: float = 0.0) -> bool:
    """Whether the last two of the errors fall at the order, to a limit that is right.

    Args:
        errors: as for :func:`demand_order_and_limit`.
        order: the claimed one.
        least: errors below this cannot be told from rounding.
    """
    fast = _between(*map(rms, errors[-2:])) >= order - SLACK
    return rms(errors[-1]) <= least or (fast and _left(errors, order)[-1] <= allowed(order))


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
    fast = any(last <= each / 2.0 ** (order + 1.0 - 2.0 * SLACK) for each in before)
    return fast or last <= allowed(order)


def _left(errors: Sequence[Tensor], order: float) -> list[float]:
    """The largest extrapolated error of each two neighbouring grids."""
    return [float(extrapolated(*pair, order).abs().max()) for pair in pairwise(errors)]


def _wrong_limit(errors: Sequence[Tensor], order: float, curve: Curve) -> str:
    *before, last = (f"{each:.2g}" for each in _left(errors, order))
    return (
        f"the limit is wrong on {curve.label}: with ever shorter steps "
        f"{largest(extrapolated(errors[-2], errors[-1], order))}. Extrapolated error {last} at "
        f"{curve.steps[-1]} steps, at most {allowed(order):g} is right, and {', '.join(before)} "
        "on a grid half as fine"
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
