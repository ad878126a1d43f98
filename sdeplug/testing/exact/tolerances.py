"""Solvers that follow a tolerance: whether their errors go as that does.

What a solver is off by at its tolerance may be its own, or a mistake.  With a tighter one the
former is smaller, and the latter stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from sdeplug.solvers import Integrator
from sdeplug.testing.claimed import TIGHTER, felt, stays, tighter
from sdeplug.testing.exact.words import largest
from sdeplug.testing.findings import CheckFailed, Unproven

SMALL = 0.007
"""Error of a standard deviation, at most, of a solver whose tolerances are as tight as it takes."""

ITS_OWN = 0.02
"""The same of one whose tolerances have no name here, so that nothing can tighten them."""

_TIGHTEST = 4.0**-6  # of the first tolerances
_UNFELT = 3  # times in a row that an error may stay where tolerances are not felt

Measured = Callable[[Integrator], tuple[Tensor, Tensor | float]]
"""A solver to the errors of a law, and what chance makes of them, of each or of all."""


def demand_tolerance(
    solver: Integrator,
    measured: Measured,
    where: object,
    words: Callable[[Tensor], str] = largest,
    small: float = SMALL,
    off: str = "p_eps is off on",
) -> float:
    """The largest error at the first tolerance that is tight enough.

    Args:
        solver: one that follows a tolerance.
        measured: its errors, or those of the same with tighter tolerances.
        where: what it is run on, for messages.
        words: errors to what they are errors of.
        small: the largest error that is right.
        off: what is wrong otherwise, before where, for messages.

    Raises:
        CheckFailed: if its error stays, however tight its tolerances are.
        Unproven: if it is small, and no option is known to make it smaller.
    """
    by, times, before, stayed = solver, 1.0, math.inf, 0
    while True:
        error, chance = measured(by)
        size = float(error.abs().max())
        if bool((error.abs() <= small + chance).all()):
            return size
        stayed = stayed + 1 if stays(size, before) else 0
        tuned = tighter(by)
        if tuned is None or times <= _TIGHTEST:
            break
        if stayed >= (1 if felt(by) else _UNFELT):
            break
        by, times, before = tuned, TIGHTER * times, size
    if by == solver and bool((error.abs() <= ITS_OWN + chance).all()):
        raise Unproven(
            f"{words(error)} on {where}: by its tolerance, or by a mistake? Call the option of its "
            "tolerance rtol, atol, tolerance or tol, which the checks make tighter, or declare the "
            "bias as its floor"
        )
    how = f", with tolerances {times:.2g} times as large" if times < 1.0 else ""
    raise CheckFailed(f"{off} {where}{how}: {words(error)}, at most {small:.1%} is right")
