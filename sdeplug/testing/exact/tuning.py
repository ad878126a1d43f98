"""Grids measured, not guessed: which one a solver is most accurate on, by exact laws."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from itertools import product

from sdeplug.compose import OnGrid
from sdeplug.errors import ArgumentError
from sdeplug.grid import Focus, Karras, LogSNR, Quadratic, TimeGrid, Uniform
from sdeplug.reverse import ReverseSDE
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Integrator
from sdeplug.testing.bench import SPECTRUM, carried, gaussian, gaussian_score
from sdeplug.testing.claimed import own_grid
from sdeplug.testing.exact.affine import is_affine
from sdeplug.testing.exact.laws import exact_spectrum, marginal_law, relative_error

_NARROW = 1e-4  # a variance as small as the details of an image, beside those of the bench
_POWERS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15, 1.3)
_EXPONENTS = (1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0)
_ENDS = tuple(product((0.0, 0.002, 0.005, 0.01), (5.0, 10.0, 20.0, 60.0)))


def tune_grid(solver: Integrator, sde: LinearSDE, nfe: int, stochasticity: float = 1.0) -> TimeGrid:
    """The grid on which a solver is most accurate with so many score evaluations.

    Noise-free: the error is that of the exact law at eps for Gaussian data of variances 1e-4 to 4.
    The grids are equal steps in powers of the log-SNR, in powers of sigma / alpha (Karras), in
    log-SNR between two noise ratios (Focus), in time, and in its square root.

    Args:
        solver: an integrator of one step, affine when the score is.
        sde: the forward SDE.
        nfe: budget of score evaluations.
        stochasticity: l of the reverse SDE.

    Raises:
        ArgumentError: for a solver that is not affine or brings its own grid, or a budget below
            one step.
    """
    grid, _ = grid_errors(solver, sde, nfe, stochasticity)[0]
    return grid


def grid_errors(
    solver: Integrator, sde: LinearSDE, nfe: int, stochasticity: float = 1.0
) -> list[tuple[TimeGrid, float]]:
    """All grids of :func:`tune_grid` with their errors, the best first; raises the same.

    Returns:
        Grids with root mean square relative errors of the standard deviations.
    """
    if own_grid(solver):
        raise ArgumentError("solver", solver, "of single steps: it brings its own grid")
    steps = nfe // (solver.claims.evaluations or 1)
    if steps < 1:
        raise ArgumentError("nfe", nfe, f"at least {solver.claims.evaluations}, those of a step")
    if not is_affine(solver):
        raise ArgumentError("solver", solver, "affine when the score is: its law is exact then")
    measured = [(grid, _error(OnGrid(solver, grid), sde, stochasticity)) for grid in _grids(steps)]
    return sorted(measured, key=lambda pair: pair[1])


def _grids(steps: int) -> Iterator[TimeGrid]:
    yield from (LogSNR(steps, power) for power in _POWERS)
    yield from (Karras(steps, rho) for rho in _EXPONENTS)
    yield from (Focus(steps, low, high) for low, high in _ENDS)
    yield from (Uniform(steps), Quadratic(steps))


def _error(by: Integrator, sde: LinearSDE, level: float) -> float:
    spectrum = (_NARROW, *SPECTRUM)
    reverse = ReverseSDE(sde, gaussian_score(sde, spectrum), level)
    start, end = (marginal_law(gaussian(spectrum), sde, t) for t in (sde.T, sde.eps))
    law = exact_spectrum(partial(carried, by, reverse, sde.eps), start)
    error = float(relative_error(law, end).chunk(2)[0].square().mean().sqrt())
    return error if math.isfinite(error) else math.inf
