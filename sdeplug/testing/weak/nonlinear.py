"""Order and limit of a solver with a nonlinear score: weak errors on a mixture, on ever finer
grids."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import pairwise

import torch
from torch import Tensor

from sdeplug.compose import OnGrid
from sdeplug.grid import LogSNR, TimeGrid, Uniform, checked_times
from sdeplug.noise import SharedNoise
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import VPSDE
from sdeplug.solvers import FlowIntegrator, Integrator, with_own_steps
from sdeplug.targets import GaussianMixture
from sdeplug.testing.bench import Solver, jumps, single_thread
from sdeplug.testing.claimed import first_level, levels
from sdeplug.testing.exact.convergence import extrapolated, observed
from sdeplug.testing.findings import CheckFailed, Curve, Finding, NotApplicable, demand
from sdeplug.testing.weak.features import Bias
from sdeplug.testing.weak.kolmogorov import RESOLVED, weak_bias

_STEPS = (16, 32, 64)
_FINEST = 256  # where the order still rises
_RISING = 0.1  # of the order between neighbouring grids, if it is to go on
_SLACK = 0.2  # in the observed order
_SANE = 0.3
_STAYING = 0.7  # of an extrapolated bias that the next one is at least, if the limit is wrong
_SMOOTH, _SHARE = 1e-3, 0.07  # of a bias that other nodes may change: 0.12 at thresholds
LIMIT = 2.5e-3
"""What the extrapolated bias of a consistent solver stays under; that of one whose standard
deviation is off by 1 % is 4e-3 and more."""


def check_nonlinear_order(solver: Solver) -> Finding:
    """The weak error on a mixture falls as claimed, and to nothing: neither the order nor the limit
    rests on a linear score."""
    integrator = _one_step(solver)
    with single_thread():
        target, sde = _mixture(), VPSDE()
        curves = []
        for each in _levels(integrator):
            reverse = ReverseSDE(sde, target.score(sde), each)
            curves.append(_refined(integrator, reverse, target))
    last = ", ".join(f"{curve.errors[-1]:.1e}" for curve in curves)
    if integrator.claims.floor is not None:
        return Finding(
            f"weak error {last} at {curves[0].steps[-1]} steps, not tested: it declares a bias",
            tuple(curves),
        )
    slowest = min(map(_order, curves))
    return Finding(
        f"order {slowest:.2f} observed, {integrator.claims.order:g} claimed; weak error {last} "
        f"at {_STEPS[-1]} steps",
        tuple(curves),
    )


def _refined(integrator: Integrator, reverse: ReverseSDE, target: GaussianMixture) -> Curve:
    """Weak errors on ever finer grids, when they fall as claimed, and to nothing."""
    claims = integrator.claims
    bias = partial(_bias, integrator, reverse, target)
    steps = list(_STEPS if claims.floor is None else _STEPS[:-1])
    biases = [bias(each) for each in steps]
    label = f"{reverse.forward!r} at stochasticity {reverse.stochasticity:g}"
    curve = _curve(label, steps, biases)
    if claims.floor is not None or claims.order is None:
        return curve
    while steps[-1] < _FINEST and _may_improve(curve, biases, claims.order):
        steps.append(2 * steps[-1])
        biases.append(bias(steps[-1]))
        curve = _curve(label, steps, biases)
    try:
        _demand_order_and_limit(curve, biases, claims.order)
    except CheckFailed:
        _demand_smooth(integrator, reverse, target, biases[1])
        raise
    return curve


def _may_improve(curve: Curve, biases: Sequence[Bias], order: float) -> bool:
    """Whether shorter steps may show the order, or the limit, that longer ones do not."""
    if _order(curve) < order - _SLACK:
        return _may_rise(curve)
    limits = _limits(biases, order)
    return limits[-1].size > LIMIT and _may_fall(limits)


def _demand_order_and_limit(curve: Curve, biases: Sequence[Bias], order: float) -> None:
    """Weak errors fall at the order, and to nothing.

    Raises:
        CheckFailed: if they do not.
    """
    shown, limits = ", ".join(f"{each:.2g}" for each in curve.errors), _limits(biases, order)
    where = f"with the score of a mixture on {curve.label}"
    seen = f"weak errors {shown} at {curve.steps} steps; at the last {biases[-1].largest()}"
    demand(
        limits[-1].size <= LIMIT or _may_fall(limits),
        f"the limit is wrong {where}: with ever shorter steps {limits[-1].largest()}; {seen}",
        (curve,),
    )
    demand(
        _order(curve) >= order - _SLACK,
        f"order {_order(curve):.2f} observed, {order:g} claimed, {where}: {seen}",
        (curve,),
    )
    demand(curve.errors[-1] <= _SANE, f"no sampler on {curve.label}: {seen}", (curve,))


def _limits(biases: Sequence[Bias], order: float) -> list[Bias]:
    """What is left of three biases in a row for ever shorter steps, the last from the finest."""
    return [
        replace(three[-1], off=extrapolated([each.off for each in three], order))
        for three in zip(biases, biases[1:], biases[2:], strict=False)
    ]


def _may_fall(limits: Sequence[Bias]) -> bool:
    """Whether the steps were perhaps too long for a limit: always at first, then where it falls."""
    return len(limits) == 1 or limits[-1].size < _STAYING * limits[-2].size


def _demand_smooth(
    integrator: Integrator, reverse: ReverseSDE, target: GaussianMixture, bias: Bias
) -> None:
    """Other nodes give nearly the same bias, in as many steps as the second.

    Raises:
        NotApplicable: if they do not, as where a draw decides at a threshold between two of them.
    """
    other = _bias(integrator, reverse, target, _STEPS[1], more=True)
    change = replace(bias, off=other.off - bias.off).size
    if change > max(_SMOOTH, _SHARE * bias.size):
        raise NotApplicable(
            "what it draws acts at thresholds between the nodes of the quadrature: the sampling "
            "checks measure its law"
        )


def _curve(label: str, steps: Sequence[int], biases: Sequence[Bias]) -> Curve:
    return Curve(label, tuple(steps), tuple(each.size for each in biases))


def _may_rise(curve: Curve) -> bool:
    """Whether the steps were perhaps too long: always at first, then where the order rises."""
    if len(curve.steps) == len(_STEPS):
        return True
    before, last = (math.log2(coarse / fine) for coarse, fine in pairwise(curve.errors[-3:]))
    return last - before > _RISING and curve.steps[-1] < _FINEST


def _bias(
    integrator: Integrator,
    reverse: ReverseSDE,
    target: GaussianMixture,
    steps: int,
    more: bool = False,
) -> Bias:
    """The biases in so many steps; those of an own grid are one call."""
    by: Integrator = integrator
    grid: TimeGrid = LogSNR(steps)
    if integrator.claims.steps is not None:
        by, grid = with_own_steps(integrator, steps), Uniform(1)
    sde = reverse.linear
    return weak_bias(by, reverse, target, checked_times(grid, sde.T, sde.eps, sde), more)


def _levels(integrator: Integrator) -> tuple[float, ...]:
    """Stochasticities: one where it does not matter, or where a bias is only reported.

    On a grid of its own noise is drawn in every step of one call, more often than there are nodes
    for.
    """
    claims, first = integrator.claims, first_level(integrator)
    if isinstance(integrator, FlowIntegrator) or claims.floor is not None:
        return (first,)
    silent = (0.0,) if 0.0 in levels(integrator) else ()
    if claims.steps is not None and claims.stochastic:
        return silent
    return tuple(dict.fromkeys((first, *silent)))


def _order(curve: Curve) -> float:
    """Observed order on the finest grids; infinite below what can be resolved."""
    fine = curve.errors[-1]
    if not math.isfinite(fine):
        return -math.inf
    return observed(curve) if fine > RESOLVED else math.inf


def _one_step(solver: Solver) -> Integrator:
    """The solver as an integrator of single steps, if the check applies to it."""
    if not isinstance(solver, Integrator):
        raise NotApplicable("it is a corrector")
    claims = solver.claims
    if isinstance(solver, OnGrid):
        raise NotApplicable("its grid is fixed: check the integrator inside it")
    if jumps(solver) or claims.floor == math.inf:
        raise NotApplicable("it claims no consistency")
    if claims.order is None:
        raise NotApplicable("it claims no order")
    if claims.couples_batch:
        raise NotApplicable("it couples the rows of a batch, which are points and nodes here")
    if not isinstance(VPSDE(), claims.needs):
        raise NotApplicable(f"it needs a {claims.needs.__name__}; the bench is VP")
    if not _levels(solver):
        raise NotApplicable("it draws noise in steps of its own, one after the other in one call")
    if claims.steps is None and remembers(solver):
        raise NotApplicable("it remembers earlier steps: its chain is not one of x alone")
    return solver


def remembers(integrator: Integrator) -> bool:
    """Whether a sequence of steps differs from single steps one after the other."""
    target, sde = _mixture(), VPSDE()
    reverse = ReverseSDE(sde, target.score(sde), first_level(integrator))
    x = torch.linspace(-2.0, 2.0, 5, dtype=torch.float64, device="cpu")[:, None]
    ends: list[Tensor] = []
    for whole in (True, False):
        run, y = Run(SharedNoise(0)), x
        advance = integrator.begin(reverse, run) if whole else None
        with torch.no_grad():
            for late, early in pairwise((0.5, 0.45, 0.4, 0.35, 0.3, 0.25)):
                step = advance or integrator.begin(reverse, run)
                y = step(y, late, early)
        ends.append(y)
    return not torch.allclose(ends[0], ends[1], rtol=1e-12, atol=1e-12)


@cache
def _mixture() -> GaussianMixture:
    """0.4 N(-1, 0.3^2) + 0.6 N(1, 0.5^2)."""
    return GaussianMixture((0.4, 0.6), ((-1.0,), (1.0,)), std=(0.3, 0.5))


CHECKS = (check_nonlinear_order,)
"""The checks of this module."""
