"""Whole runs of what has noise in steps of each row's own: exact, in rows of very many numbers.

Such a row feels no chance in the lengths of its steps, and with draws that are orthonormal there is
none in its law.  That tells what long runs do to a variance; what becomes of rows that go different
ways is asked for elsewhere, where noise is drawn anew for a step that is tried again.
"""

from __future__ import annotations

import math
from contextlib import suppress
from functools import partial

import torch
from torch import Tensor

from sdeplug.errors import StepError
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Integrator
from sdeplug.testing.bench import SPECTRUM, Solver, jumps, sdes, single_thread
from sdeplug.testing.claimed import first_level, follows_its_tolerance, tolerant
from sdeplug.testing.contract.shifts import Shifts
from sdeplug.testing.exact.tolerances import demand_tolerance
from sdeplug.testing.findings import Finding, NotApplicable

LIMIT = 5e-3
"""Error of a standard deviation, at most, with tolerances as tight as it takes."""

_ROWS = 2  # what both say is no chance
_LENGTHS = (2048, 4096)  # numbers of one variance, and draws in a run


def check_wide_rows(solver: Solver) -> Finding:
    """In steps of each row's own, with noise, a row of ten thousand numbers gets from T to eps
    with the variances that it should have."""
    integrator = rows_of_their_own(solver)
    floor = 0.0 if follows_its_tolerance(integrator) else integrator.claims.floor or 0.0
    with single_thread():
        off = [
            demand_tolerance(integrator, partial(_known, sde, integrator), sde, small=LIMIT + floor)
            for sde in sdes(integrator)
        ]
    return Finding(f"rows of ten thousand numbers are off by {max(off):.1e}")


def rows_of_their_own(solver: Solver) -> Integrator:
    """A solver that draws noise in steps of each row's own.

    Raises:
        NotApplicable: for any other.
    """
    if not isinstance(solver, Integrator):
        raise NotApplicable("it is a corrector")
    claims = solver.claims
    if jumps(solver) or not tolerant(solver):
        raise NotApplicable("it claims an order, or how often it asks for the score")
    if not claims.stochastic or claims.couples_batch:
        raise NotApplicable("it draws no noise, or all rows have steps in common")
    if claims.randomised or claims.floor == math.inf:
        raise NotApplicable("all numbers of a row share what it draws, or it claims no consistency")
    return solver


def _known(sde: LinearSDE, first: Integrator, by: Integrator) -> tuple[Tensor, float]:
    """Errors of standard deviations, shape ``(2 D,)`` as words for them have it, and how far two
    rows are apart: of a solver, or of the same with tighter tolerances."""
    try:
        found = wide_errors(sde, by)
    except StepError as error:
        if by == first:
            raise
        raise NotApplicable(f"with tighter tolerances it stops: {error}") from error
    off, apart = found.mean(0), float((found[0] - found[1]).abs().max())
    if apart > LIMIT:
        raise NotApplicable(
            f"two rows are {apart:.1e} apart: it does more than to add what it draws, and the "
            "sampling checks measure its law"
        )
    return torch.cat((off, torch.zeros_like(off))), apart


def wide_errors(sde: LinearSDE, by: Integrator) -> Tensor:
    """Errors of standard deviations at eps in rows of very many numbers.

    Args:
        sde: the forward SDE.
        by: a solver that adds what it draws, and does the same to all numbers of a row but for
            their scores.

    Returns:
        For two rows, with other draws, the errors of the numbers of each variance of the bench:
        shape ``(2, D)``.

    Raises:
        NotApplicable: if a run takes more draws than there are, or others than one for each number.
    """
    for length in _LENGTHS:
        with suppress(NotApplicable):
            return _ends(sde, by, Shifts(_ROWS, len(SPECTRUM), length), length)
    raise NotApplicable(
        f"it takes more than {_LENGTHS[-1] - 1} draws from T to eps, or others than one for each "
        "number: the sampling checks measure its law"
    )


def _ends(sde: LinearSDE, by: Integrator, noise: Shifts, length: int) -> Tensor:
    shape = _ROWS, len(SPECTRUM), length
    like = torch.empty(shape, dtype=torch.float64, device="cpu").flatten(1)
    start, end = (_stds(sde, torch.tensor([t], dtype=torch.float64, device="cpu"))
                  for t in (sde.T, sde.eps))  # fmt: skip
    x = (noise.normal(like).reshape(shape) * start).flatten(1)

    def score(x: Tensor, t: Tensor) -> Tensor:
        found = x.reshape(len(x), len(SPECTRUM), -1) / -_stds(sde, t.to(torch.float64)).square()
        return found.reshape(x.shape).to(x.dtype)

    with torch.no_grad():
        y = by.integrate(ReverseSDE(sde, score, first_level(by)), x, sde.T, sde.eps, Run(noise))
    return (y.reshape(shape) / end).square().mean(2).sqrt() - 1.0


def _stds(sde: LinearSDE, t: Tensor) -> Tensor:
    """Standard deviations of p_t about 0, at the times of rows: shape ``(B, D, 1)``."""
    data = torch.tensor(SPECTRUM, dtype=torch.float64, device="cpu").sqrt()[:, None]
    alpha, sigma = (each[:, None, None] for each in (sde.alpha(t), sde.sigma(t)))
    return torch.hypot(alpha * data, sigma)


CHECKS = (check_wide_rows,)
"""The checks of this module."""
