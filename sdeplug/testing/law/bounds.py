"""The error that samples are let pass, from what a solver does to Gaussian data."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from sdeplug.compose import Corrected, OnGrid
from sdeplug.reverse import ReverseSDE
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Integrator, own_steps
from sdeplug.testing.claimed import own_grid
from sdeplug.testing.exact import (
    Law,
    counted_columns,
    exact_spectrum,
    extrapolated_columns,
    is_affine,
    refinements,
)
from sdeplug.testing.findings import NotApplicable
from sdeplug.testing.law.carried import carried
from sdeplug.testing.law.cells import Specimen

LEAST = 0.002
"""What a solver without error is let pass."""

FACTOR = 3.0
"""What is let pass, in units of the error for Gaussian data."""

_ADAPTIVE = 0.01  # of one that is accurate to a tolerance that is not known here
_UNKNOWN, _OF_HIGHER_ORDERS = {1: 0.1}, 0.03  # of fixed steps without an exact law, by order


def equivalence_bound(
    solver: Integrator, specimen: Specimen, sde: LinearSDE, level: float = 1.0
) -> float:
    """The relative error tau that is let pass, from what the solver does to Gaussian data.

    Three times the largest error of an exact standard deviation (tier 1), over variances from
    the narrowest direction of a component to the widest of the whole, at least 0.2 %; and the
    floor that the solver claims.  A corrector adds its floor to what its predictor has.

    Args:
        solver: an integrator that is run from T to eps as it is.
        specimen: the target.
        sde: the forward SDE.
        level: stochasticity of the reverse SDE.
    """
    floor, alone = solver.claims.floor or 0.0, _predictor(solver)
    order = alone.claims.order
    if (order is not None or own_grid(alone)) and is_affine(alone):
        return floor + max(LEAST, FACTOR * _error(alone, specimen, sde, level))
    if order is None:
        return floor + _ADAPTIVE
    return floor + _UNKNOWN.get(math.ceil(order), _OF_HIGHER_ORDERS)


def _predictor(solver: Integrator) -> Integrator:
    """A predictor-corrector without its corrector, on the same grid."""
    if isinstance(solver, OnGrid):
        return replace(solver, integrator=_predictor(solver.integrator))
    return _predictor(solver.integrator) if isinstance(solver, Corrected) else solver


def _error(solver: Integrator, specimen: Specimen, sde: LinearSDE, level: float) -> float:
    """Largest relative error of a standard deviation for Gaussian data, at eps."""
    variances = _variances(specimen, sde)

    def spectrum(t: float) -> Tensor:
        marginal = sde.at(t)
        return marginal.alpha**2 * variances + marginal.sigma**2

    def score(x: Tensor, t: Tensor) -> Tensor:
        return x / -spectrum(float(t[0]))

    reverse = ReverseSDE(sde, score, level)
    start = Law(torch.zeros_like(variances), torch.diag(spectrum(sde.T)))
    columns = _columns(solver, reverse, len(variances))
    actual = exact_spectrum(partial(carried, solver, reverse), start, columns).covariance
    return float(((actual.diagonal() / spectrum(sde.eps)).sqrt() - 1.0).abs().max())


def _columns(solver: Integrator, reverse: ReverseSDE, dimension: int) -> int | None:
    """How many draws it makes, if each step makes as many; None where that is not to be seen."""
    length = solver.grid.length if isinstance(solver, OnGrid) else own_steps(solver)
    if length is None or (isinstance(solver, OnGrid) and solver.claims.steps is not None):
        return None
    try:
        finer, *_ = refinements(solver, reverse.linear)
    except NotApplicable:
        return None
    return extrapolated_columns(
        lambda steps: counted_columns(partial(carried, finer(steps), reverse), dimension),
        length,
    )


def _variances(specimen: Specimen, sde: LinearSDE) -> Tensor:
    """The narrowest variance, and eight in geometric steps from there to the widest."""
    end = sde.at(sde.eps)
    start = max(specimen.narrowest, (end.sigma / end.alpha) ** 2)
    ends = math.log10(start), math.log10(specimen.widest)
    steps = torch.logspace(*ends, 8, dtype=torch.float64, device="cpu")
    return torch.cat((steps.new_tensor([specimen.narrowest]), steps))
