"""Very many very short steps: what a step does beside carrying the law along adds up in them.

A corrector inside a step moves the law by little, but as often as there are steps.  On the grids
that an order is seen on that may be too seldom to be seen, and an extrapolation takes it for a part
of what falls with the step.
"""

from __future__ import annotations

import math
from functools import partial

import torch

from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Integrator
from sdeplug.testing.bench import Solver, gaussian, gaussian_score, jumps, sdes
from sdeplug.testing.claimed import first_level
from sdeplug.testing.exact.affine import is_affine
from sdeplug.testing.exact.laws import Law, marginal_law, relative_error, response
from sdeplug.testing.findings import Finding, NotApplicable, demand

_FRACTIONS = (0.1, 0.5)  # of T
_INSTANT = 1e-12  # of T
_DOUBLINGS = 17  # 131,072 steps, over 1.3e-5 of T
_OFF = 1e-5  # of what claims to be consistent; frozen steps are off by 1e-8
_BESIDE = 1.05  # times the floor, as it is beside a step that carries the law along


def check_many_short_steps(solver: Solver) -> Finding:
    """In a hundred thousand short steps the law stays p_t, but for what it declares as its floor.

    The map of one step is had exactly, and doubled over and over.
    """
    integrator = _stepper(solver)
    floor, worst = integrator.claims.floor, 0.0
    for sde in sdes(integrator):
        for fraction in _FRACTIONS:
            off = _left(integrator, sde, fraction * sde.T)
            demand(
                off <= _OFF + _BESIDE * (floor or 0.0),
                f"{2**_DOUBLINGS:,} steps over {_INSTANT * 2**_DOUBLINGS:.0e} of the time moved "
                f"p_t by {off:.2g} at t = {fraction * sde.T:g} of {sde!r}: a part of each step "
                "does not vanish with its length, as a corrector in it; "
                + (f"its floor is {floor:.2g}" if floor else "declare it as floor"),
            )
            worst = max(worst, off)
    return Finding(f"off by {worst:.1e} after {2**_DOUBLINGS:,} steps")


def _stepper(solver: Solver) -> Integrator:
    if not isinstance(solver, Integrator):
        raise NotApplicable("it is a corrector")
    if jumps(solver) or not solver.needs_grid:
        raise NotApplicable("it takes no single steps: check the integrator inside it")
    if not is_affine(solver):
        raise NotApplicable("it is not affine: the law of a step is not to be had exactly")
    return solver


def _left(integrator: Integrator, sde: LinearSDE, t: float) -> float:
    """By how much the law is off that of the time where so many steps end."""
    h = _INSTANT * sde.T
    reverse = ReverseSDE(sde, gaussian_score(sde), first_level(integrator))
    sampler = partial(_stepped, integrator, reverse, t, t - h)
    start = marginal_law(gaussian(), sde, t)
    found = response(sampler, len(start.mean), apart=True)
    # What is small beside 1 is kept by itself: the gain less 1.
    change, offset = found.inputs[0] - 1.0, found.offset
    added = found.noise.square().sum(0) if len(found.noise) else torch.zeros_like(offset)
    for _ in range(_DOUBLINGS):
        gain = 1.0 + change
        offset, added = offset + gain * offset, added + gain.square() * added
        change = change * (2.0 + change)
    gain = 1.0 + change
    variance = gain.square() * start.covariance.diagonal() + added
    law = Law(gain * start.mean + offset, torch.diag(variance))
    wanted = marginal_law(gaussian(), sde, t - h * 2**_DOUBLINGS)
    off = float(relative_error(law, wanted).abs().max())
    return off if math.isfinite(off) else math.inf


def _stepped(
    integrator: Integrator, reverse: ReverseSDE, t: float, s: float, x: torch.Tensor, run: Run
) -> torch.Tensor:
    return integrator.integrate(reverse, x, t, s, run)


CHECKS = (check_many_short_steps,)
"""The checks of this module."""
