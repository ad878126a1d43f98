r"""Whole runs with noise in steps of each row's own, in rows of few numbers: nearly without chance.

In such rows steps follow the noise, so that no exact law is to be had.  But where the noise of a
row is an increment of its Brownian path, and the path is known beside the run, what a number is
made of is known but for little: for Gaussian data

.. math:: y = c + a x + \sum_k b_k\,\Delta W_k + e,

with c, a and b by least squares over all rows, and e small.  Its mean is c and its variance
:math:`a^2 + \sum_k b_k^2 + \langle e^2 \rangle` in units of what they are made of.  A few hundred
rows tell these to a thousandth, where by themselves a hundred times as many would be needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from sdeplug.errors import StepError
from sdeplug.noise.walk import Floats
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Integrator
from sdeplug.testing.bench import (
    SPECTRUM,
    Solver,
    gaussian_law,
    gaussian_score,
    sdes,
    single_thread,
)
from sdeplug.testing.claimed import first_level, follows_its_tolerance
from sdeplug.testing.exact.paths import Known, Walked
from sdeplug.testing.exact.tolerances import demand_tolerance
from sdeplug.testing.exact.wide_rows import LIMIT, rows_of_their_own
from sdeplug.testing.findings import Finding, NotApplicable

SEEN = 0.01
"""An error that is not let pass."""

_DATA = 8 * SPECTRUM  # variances of the numbers of a row
_ROWS, _LOOKS = 256, (1, 2, 4, 8)  # in a run, and how many of these are looked at
_TIMES = 64  # at which a path is known
_SURE, _WRONG = 3.9, 5.3  # standard errors: that an error is small, 1e-4; that it is not, 1e-7


def check_short_rows(solver: Solver) -> Finding:
    """In steps of each row's own, with the noise of ``run.noise.walk``, rows of forty numbers get
    from T to eps with the means and variances that they should have.

    A right solver fails with a probability of 1e-5 at most.
    """
    integrator = rows_of_their_own(solver)
    floor = 0.0 if follows_its_tolerance(integrator) else integrator.claims.floor or 0.0
    with single_thread():
        sde = sdes(integrator)[0]
        known = partial(_known, sde, floor, integrator)
        off = demand_tolerance(integrator, known, sde, small=LIMIT + floor)
    return Finding(f"rows of forty numbers are off by {off:.1e}")


def _known(
    sde: LinearSDE, floor: float, first: Integrator, by: Integrator
) -> tuple[Tensor, Tensor]:
    """Errors of standard deviations and means, and what chance makes of them at most, each of shape
    ``(2 D,)``: of a solver, or of the same with tighter tolerances.

    Raises:
        NotApplicable: if chance hides whether they are small.
    """
    try:
        times = _times(sde, by)
        made = list[_Made]()
        for looks in _LOOKS:
            made += [_made(sde, by, times, seed) for seed in range(len(made), looks)]
            error, scatter = _errors(made)
            small = (error.abs() + _SURE * scatter <= SEEN + floor).all()
            wrong = (error.abs() - _WRONG * scatter > LIMIT + floor).any()
            if bool(small | wrong | ~error.isfinite().all()):
                return error, _WRONG * scatter
            if bool((_SURE * scatter > math.sqrt(_LOOKS[-1] / looks) * (SEEN + floor)).any()):
                break  # not even with all of them
    except StepError as stop:
        if by == first:
            raise
        raise NotApplicable(f"with tighter tolerances it stops: {stop}") from stop
    raise NotApplicable(
        f"chance hides what {len(made) * _ROWS} rows are off by: {float(error.abs().max()):.1e}, "
        f"give or take {float(scatter.max()):.0e}"
    )


@dataclass(frozen=True, eq=False)
class _Made:
    """Rows at eps, and what they are made of.

    Attributes:
        y: in units of standard deviations about the mean, shape ``(B, D)``.
        of: x at T and increments of its path, as independent normal numbers: ``(1 + K, B, D)``.
    """

    y: Tensor
    of: Tensor


def _times(sde: LinearSDE, by: Integrator) -> Floats:
    """Times at which paths are to be known: those of the steps of two rows."""
    walked = Walked()
    like = torch.empty(2, len(_DATA), dtype=torch.float64, device="cpu")
    _carried(sde, by, walked.normal(like), Run(walked))
    times = walked.between(_TIMES)
    if not len(times):
        raise NotApplicable(
            "its noise is not that of run.noise.walk: the sampling checks measure its law"
        )
    return times


def _made(sde: LinearSDE, by: Integrator, times: Floats, seed: int) -> _Made:
    noise = Known(seed, times)
    z = noise.normal(torch.empty(_ROWS, len(_DATA), dtype=torch.float64, device="cpu"))
    y = _carried(sde, by, z, Run(noise))
    assert noise.steps is not None
    return _Made(y, torch.cat((z[None], noise.steps)))


def _carried(sde: LinearSDE, by: Integrator, z: Tensor, run: Run) -> Tensor:
    """Draws of p_T carried to eps; both in units of standard deviations about their means."""
    law, score = gaussian_law(sde, _DATA), gaussian_score(sde, _DATA)
    reverse = ReverseSDE(sde, score, first_level(by))
    (center, variance), (mean, spread) = law(sde.T), law(sde.eps)
    with torch.no_grad():
        y = by.integrate(reverse, center + variance.sqrt() * z, sde.T, sde.eps, run)
    return (y - mean) / spread.sqrt()


def _errors(made: list[_Made]) -> tuple[Tensor, Tensor]:
    """Errors of standard deviations and means for each variance of the bench, and their standard
    errors: shape ``(2 D,)``."""
    y, of = torch.cat([each.y for each in made]), torch.cat([each.of for each in made], 1)
    if not bool(y.isfinite().all()):
        nothing = y.new_full((2 * len(SPECTRUM),), math.nan)
        return nothing, nothing
    found = [
        _error(y[:, number :: len(SPECTRUM)], of[..., number :: len(SPECTRUM)])
        for number in range(len(SPECTRUM))
    ]
    stds, means = zip(*found, strict=True)
    error, scatter = torch.tensor([*stds, *means], dtype=torch.float64, device="cpu").T
    return error, scatter


def _error(y: Tensor, of: Tensor) -> tuple[tuple[float, float], tuple[float, float]]:
    """Errors of standard deviation and mean of numbers of one variance, each with its standard
    error, which is that of rows: numbers of one have their steps in common.

    Args:
        y: what should be normal, shape ``(B, M)``.
        of: what it is made of, shape ``(P, B, M)``.
    """
    columns = torch.cat((torch.ones_like(of[:1]), of)).flatten(1).T
    weights = torch.linalg.lstsq(columns, y.reshape(-1, 1)).solution
    told = (columns[:, 1:] @ weights[1:]).reshape(y.shape)
    left = y - told - weights[0]
    variance = float(weights[1:].square().sum() + left.square().mean())
    influence = (2.0 * told * left + left.square()).mean(1)
    std, size = math.sqrt(variance), math.sqrt(len(y))
    return (
        (std - 1.0, float(influence.std()) / (2.0 * std * size)),
        (float(weights[0]), float(left.mean(1).std()) / size),
    )


CHECKS = (check_short_rows,)
"""The checks of this module."""
