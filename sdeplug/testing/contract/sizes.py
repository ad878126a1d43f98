"""Tier 0, the contract: what becomes of a number does not depend on how many others there are.

The same numbers, with the same noise, are dealt into rows of every length.  A solver that is
affine treats each by itself, so that all come out as before: what other checks find in few
dimensions and small batches is so in many, to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from sdeplug.errors import StepError
from sdeplug.noise import NoiseSource
from sdeplug.run import Run
from sdeplug.solvers import Corrector, Integrator
from sdeplug.testing.bench import Solver, jumps
from sdeplug.testing.claimed import felt, follows_its_tolerance, stays, tightened, tolerant
from sdeplug.testing.contract.calls import Call, working
from sdeplug.testing.contract.dealt import (
    DIMENSIONS,
    LARGEST,
    NUMBERS,
    USUAL,
    Line,
    NormalScore,
    Size,
    dealt,
    demand_same,
    line,
)
from sdeplug.testing.contract.shifts import Shifts
from sdeplug.testing.findings import CheckFailed, Finding, NotApplicable, demand

_BATCHES = (1, 2, 3, 17, 65, 257, 1025)
_ROUNDING = 1e-10  # a sum may be taken in another order

_TOGETHER = ((1, 100_000), (3000, 3), (100, 300))
_STEPS = 2
_SWEEPS = 32  # of a corrector, which moves p_t by little each time
_SIGMAS = 5.0  # 6e-7 for one size, if it were by chance
_OTHERS = (1, 2, 3)  # other draws: what rows have in common scatters widely
_MANY = (25_000, 4)  # rows in which so few steps make the error that they make in any size
_OWN = 0.02  # relative error of a standard deviation that a solver may choose to make
_OWN_IF_TIGHT = 0.004  # the same with tolerances that are as tight as it takes, without chance
_WIDE = (0.5, 0.1)  # of T: the span of a variance, wide enough for the noise to be most of it


def check_sizes(solver: Solver) -> Finding:
    """A number comes out the same in 1 dimension and in 100,000, alone and in a batch of 10,000.

    Where it depends on its row or its batch, since these decide how long a step is, the numbers
    of every size have the right variance together, at five standard errors.
    """
    call = Call.plain(solver, working(solver)[0])
    if not solver.claims.affine and not _apart(solver, call):
        return _spread(solver, call)
    _demand_same(solver, call, _sizes())
    return Finding(f"the same in all sizes up to {' and '.join(map(str, LARGEST))}")


def _apart(solver: Solver, call: Call) -> bool:
    """Whether a solver that is not affine treats numbers by themselves, at a fixed cost."""
    if solver.claims.evaluations is None:
        return False
    if isinstance(solver, Corrector) and solver.claims.randomised:
        return False  # it may refuse a row, and few numbers hold none that it does
    try:
        _demand_same(solver, call, ((20, 1), (2, 10)))
    except CheckFailed:
        return False
    return True


def _sizes() -> Iterator[Size]:
    """Shapes ``(B, D)``, each with as many of the same numbers as it holds, small ones first."""
    for rows in _BATCHES:
        yield rows, USUAL[1]
    for dimension in DIMENSIONS:
        yield NUMBERS // dimension, dimension
    yield from LARGEST


def _demand_same(solver: Solver, call: Call, sizes: Iterable[Size]) -> None:
    """The numbers of a line come out the same, however they are dealt into rows."""
    demand_same(partial(dealt, partial(_carried, solver, call)), sizes, _ROUNDING, call)


def _spread(solver: Solver, call: Call) -> Finding:
    """The variance of many numbers that a solver has carried, whose law is known."""
    floor = solver.claims.floor or 0.0
    if solver.claims.randomised and not isinstance(solver, Corrector):
        raise NotApplicable("all numbers of a row share what it draws beside noise, such as a time")
    if jumps(solver) or not math.isfinite(floor):
        raise NotApplicable("its law is not that of p_t, and its numbers depend on each other")
    steps = not isinstance(solver, Corrector) and not tolerant(solver)
    base = _off(solver, call, _MANY) if steps else 0.0
    found = {size: _spread_of(solver, call, size, base) for size in _TOGETHER}
    told = {size: off for size, off in found.items() if off is not None}
    if not told:
        raise NotApplicable(
            "all numbers of a row share what it draws beside noise: claim randomised"
        )
    first, worst = next(iter(told)), max(told.values())
    text = f"the standard deviation is off by at most {worst:.1g} up to {first}"
    if isinstance(solver, Corrector) or not follows_its_tolerance(solver) or first != _TOGETHER[0]:
        return Finding(text)
    return Finding(text + _tight(solver, call, first))


def _tight(solver: Integrator, call: Call, size: tuple[int, int]) -> str:
    """What a floor and chance hide is seen with tolerances that are tight, and in draws without
    chance: words, or none where a solver does more than to add what it draws, or where its
    tolerances cannot be made so tight."""
    before = math.inf
    for by in (solver, *tightened(solver)):
        try:
            off = _off(by, call, size, _shifts(size))
            if abs(off) <= _OWN_IF_TIGHT:
                return f", and by {abs(off):.1g} without chance"
            if stays(off, before) and felt(by):
                demand(
                    abs(off - _off(by, call, size, _shifts(size, 1))) > _OWN_IF_TIGHT,
                    _told(by, call, size, off, _OWN_IF_TIGHT),
                )
                break
        except (NotApplicable, StepError):
            break
        before = off
    return ""


def _shifts(size: tuple[int, int], seed: int = 0) -> Shifts:
    return Shifts(1, 1, math.prod(size), seed)


def _spread_of(solver: Solver, call: Call, size: tuple[int, int], base: float) -> float | None:
    """How far the standard deviation of all numbers of a size is off, beside what its steps make.

    Returns:
        None where other draws say something else by far: rows then draw what all their numbers
        have in common, and are too few.

    Raises:
        CheckFailed: if it is off by too much, whatever is drawn.
    """
    off = _off(solver, call, size) - base
    try:
        _demand_small(solver, call, size, off)
    except CheckFailed:
        others = [_off(solver, call, size, Line(0, other)) - base for other in _OTHERS]
        if max(off, *others) - min(off, *others) > 2.0 * _chance(size) + _OWN:
            return None
        raise
    return abs(off)


def _demand_small(solver: Solver, call: Call, size: tuple[int, int], off: float) -> None:
    """A standard deviation is off by no more than a solver may choose, its floor and chance."""
    allowed = _OWN + (solver.claims.floor or 0.0) + _chance(size)
    demand(abs(off) <= allowed, _told(solver, call, size, off, allowed))


def _told(solver: Solver, call: Call, size: tuple[int, int], off: float, allowed: float) -> str:
    return (
        f"the standard deviation of all numbers together is off by {off:+.2g} where x has the "
        f"shape {size}; {allowed:.2g} at most is right ({_wide(solver, call)}, {solver!r})"
    )


def _chance(size: tuple[int, int]) -> float:
    return _SIGMAS / math.sqrt(2.0 * math.prod(size))


def _off(
    solver: Solver, call: Call, size: tuple[int, int], noise: NoiseSource | None = None
) -> float:
    """Relative error of the standard deviation of all numbers, with some draws."""
    wide = _wide(solver, call)
    before, after = NormalScore(call.sde).width(
        torch.tensor((wide.t, wide.s), dtype=torch.float64, device="cpu")
    )
    if isinstance(noise, Shifts):
        z = noise.normal(torch.empty(math.prod(size), dtype=torch.float64, device="cpu"))
    else:
        z = line(0, math.prod(size))
    y, run = (z / z.square().mean().sqrt() * before).reshape(size), Run(noise or Line())
    for _ in range(_SWEEPS if isinstance(solver, Corrector) else 1):
        y = _carried(solver, wide, y, run)
    return float(y.square().mean().sqrt() / after) - 1.0


def _wide(solver: Solver, call: Call) -> Call:
    """The same over a span in which noise is most of the variance; at its start for a corrector."""
    late, early = (fraction * call.sde.T for fraction in _WIDE)
    return replace(call, t=late, s=late if isinstance(solver, Corrector) else early)


def _carried(solver: Solver, call: Call, x: Tensor, run: Run) -> Tensor:
    """x after two steps, so that one of them has a past."""
    with torch.no_grad():
        return call.in_steps(solver, x, NormalScore(call.sde), run, _STEPS)


CHECKS = (check_sizes,)
"""The checks of this module."""
