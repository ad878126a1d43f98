"""Solvers with a declared bias, such as predictor-correctors: the bias is within the floor."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from sdeplug.reverse import ReverseSDE
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Integrator
from sdeplug.testing.bench import Solver, carried, gaussian, gaussian_score, sdes
from sdeplug.testing.claimed import first_level
from sdeplug.testing.exact.laws import exact_spectrum, marginal_law, relative_error
from sdeplug.testing.exact.paired import PER_ROW, paired_laws
from sdeplug.testing.exact.refine import Refined, refinements
from sdeplug.testing.exact.words import largest
from sdeplug.testing.findings import Curve, Finding, NotApplicable, demand

_STEPS = (64, 128, 256, 512)
_STEPS_IN_PAIRS = (32, 64, 128)
_ROWS = 1024
_MIDDLE = 0.3  # here the noise is as wide as the data: a corrector's bias is largest
_SHRINKING = 0.95  # of one change on refinement to the next


@dataclass(frozen=True)
class _Errors:
    """Errors of one number of steps: their mean over seeds, and its standard error."""

    mean: Tensor
    scatter: Tensor


def check_floor(solver: Solver) -> Finding:
    """Its bias settles as the grid is refined, and is within the declared floor.

    Where that is infinite the size of the bias is only told.
    """
    integrator, floor = _biased(solver)
    curves, excess, scatter = [], -math.inf, 0.0
    for sde in sdes(integrator):
        for end in (sde.eps, _MIDDLE * sde.T):
            uniform, *_ = refinements(integrator, sde)
            curve, last, over = _settling(integrator, sde, end, uniform, floor)
            curves.append(curve)
            excess = max(excess, over)
            scatter = max(scatter, last)
    told = f", give or take {scatter:.0e} from seed to seed" if scatter else ""
    worst = max(curve.errors[-1] for curve in curves)
    return Finding(
        f"off by at most {worst:.2g} at {curves[0].steps[-1]} steps, floor {floor:.2g}{told}",
        tuple(curves),
    )


def _biased(solver: Solver) -> tuple[Integrator, float]:
    """The solver as an integrator with a finite floor, if the check applies to it."""
    if not isinstance(solver, Integrator):
        raise NotApplicable("it is a corrector")
    claims = solver.claims
    if claims.floor is None:
        raise NotApplicable("it claims to be consistent")
    if claims.order is None:
        raise NotApplicable("it claims no order of what vanishes with the step")
    if not claims.affine and not claims.couples_batch:
        raise NotApplicable(f"{PER_ROW} its law")
    return solver, claims.floor


def _settling(
    integrator: Integrator, sde: LinearSDE, end: float, refined: Refined, floor: float
) -> tuple[Curve, float, float]:
    """Largest errors on ever finer grids, the scatter of the last, and by how much it exceeds."""
    counts = _STEPS if integrator.claims.affine else _STEPS_IN_PAIRS
    errors = [_error(integrator, sde, end, refined(steps)) for steps in counts]
    sizes = tuple(float(each.mean.abs().max()) for each in errors)
    curve = Curve(f"{sde!r} to t = {end:g}", counts, sizes)
    *_, third, second, last = errors
    noise = float(sum(each.scatter.max() for each in (third, second, last)))
    before, change = ((a.mean - b.mean).abs() for a, b in ((third, second), (second, last)))
    demand(
        float(change.max()) <= _SHRINKING * float(before.max()) + 4.0 * noise,
        f"it does not settle on {curve.label}: refining the grid changed the law by "
        f"{float(before.max()):.2g}, then by {float(change.max()):.2g}",
        (curve,),
    )
    # What is left of the predictor's own error is about as large as what the refinement removed.
    over = float((last.mean.abs() - change).max()) - floor
    demand(
        over <= 4.0 * noise,
        f"its bias is {over + floor:.2g} on {curve.label}, and its floor {floor:.2g}: at "
        f"{counts[-1]} steps {largest(last.mean)}",
        (curve,),
    )
    return curve, float(last.scatter.max()), over


def _error(integrator: Integrator, sde: LinearSDE, end: float, by: Integrator) -> _Errors:
    start, wanted = (marginal_law(gaussian(), sde, t) for t in (sde.T, end))
    sampler = partial(carried, by, ReverseSDE(sde, gaussian_score(sde), first_level(by)), end)
    if integrator.claims.affine:
        error = relative_error(exact_spectrum(sampler, start), wanted)
        return _Errors(error, torch.zeros_like(error))
    laws = paired_laws(sampler, start, _ROWS, apart=True)
    errors = torch.stack([relative_error(law, wanted) for law in laws])
    return _Errors(errors.mean(0), errors.std(0) / math.sqrt(len(laws)))


CHECKS: tuple[Callable[[Solver], Finding], ...] = (check_floor,)
"""The checks of this module."""
