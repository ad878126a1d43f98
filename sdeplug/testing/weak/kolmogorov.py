r"""Tier 2: the weak error with a nonlinear score, without noise.

In one dimension the expectation of a feature phi over the output of N steps follows the backward
equation of the discrete chain,

.. math:: u_N = \varphi, \qquad
          u_i(x) = E_z[u_{i+1}(\mathrm{step}_i(x, z))], \qquad
          E[\varphi(x_N)] = \int u_0(x)\, p_T(x)\, dx .

The mean over the draws z is a Gauss-Hermite quadrature, u is known at 700 points and a polynomial
between them, and the step is the solver as a black box: all points and nodes are one batch.
Where nothing is drawn the points are carried along, and nothing is interpolated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor

from sdeplug.compose import OnGrid
from sdeplug.grid import LogSNR, TimeGrid, Uniform, checked_times
from sdeplug.noise import SharedNoise
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import VPSDE, LinearSDE
from sdeplug.solvers import FlowIntegrator, Integrator, with_own_steps
from sdeplug.targets import GaussianMixture
from sdeplug.testing.bench import Solver, jumps, single_thread
from sdeplug.testing.claimed import first_level, levels
from sdeplug.testing.findings import Curve, Finding, NotApplicable, demand
from sdeplug.testing.memory import remembered
from sdeplug.testing.weak.between import means_between
from sdeplug.testing.weak.nodes import Nodes

_POINTS = 700
_REACH = 8.5  # standard deviations, of a mode at either end
_STEPS = (16, 32, 64)
_SLACK = 0.2  # in the observed order
_RESOLVED = 5e-7  # errors below this are those of the quadrature
_SANE = 0.3
_DRAWS_OF_AFFINE = 2  # one more takes ten seconds: for those whose law nothing else measures


def weak_error(
    integrator: Integrator,
    reverse: ReverseSDE,
    target: GaussianMixture,
    grid: TimeGrid,
    t: float | None = None,
    s: float | None = None,
) -> float:
    """The weak error of a one-step solver, without noise.

    Args:
        integrator: asked for one step at a time, with at most three draws in each.
        reverse: the reverse SDE of the target, with a linear forward SDE.
        target: a mixture in one dimension, of shape ``(1,)``.
        grid: where the steps end.
        t: time to start from, with the exact law; T unless given.
        s: time to reach; eps unless given.

    Returns:
        Root mean square, over x, x^2, x^3, cos 2x, cos 5x and a smoothed indicator of x > 0.3, of
        the bias of their means in units of their standard deviations.

    Raises:
        NotApplicable: if it draws more than three times in a step, or differently for other data.
    """
    sde, start, end = reverse.linear, reverse.forward.T if t is None else t, reverse.forward.eps
    times = checked_times(grid, start, end if s is None else s, sde)
    points = _points(target, sde, times[-1])
    law, values = _density(target, sde, times[-1], points), _features(points)
    mean = law @ values
    spread = (law @ (values - mean).square()).sqrt()
    if _draws(integrator, reverse, *times[:2]):
        values, points = _backward(integrator, reverse, target, times, values)
    else:
        values, points = _forward(integrator, reverse, target, times)
    bias = _density(target, sde, times[0], points) @ values - mean
    return float((bias / spread).square().mean().sqrt())


def check_nonlinear_order(solver: Solver) -> Finding:
    """The weak error on a mixture falls as claimed: the order does not rest on a linear score."""
    integrator = _one_step(solver)
    with single_thread():
        target, sde = _mixture(), VPSDE()
        curves = []
        for each in _levels(integrator):
            reverse = ReverseSDE(sde, target.score(sde), each)
            draws = _draws(integrator, reverse, 0.5 * sde.T, 0.45 * sde.T)
            if draws > _DRAWS_OF_AFFINE and integrator.claims.affine:
                raise NotApplicable(f"it draws {draws} times in a step, and has an exact law")
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
    """Weak errors on ever finer grids, when they fall as claimed."""
    claims = integrator.claims
    steps = _STEPS if claims.floor is None else _STEPS[:-1]
    errors = [_error(integrator, reverse, target, each) for each in steps]
    label = f"{reverse.forward!r} at stochasticity {reverse.stochasticity:g}"
    curve = Curve(label, steps, tuple(errors))
    if claims.floor is not None or claims.order is None:
        return curve
    if _order(curve) < claims.order - _SLACK:  # perhaps the steps are still too long
        errors.append(_error(integrator, reverse, target, 2 * steps[-1]))
        curve = Curve(label, (*steps, 2 * steps[-1]), tuple(errors))
    shown = ", ".join(f"{each:.2g}" for each in errors)
    demand(
        _order(curve) >= claims.order - _SLACK,
        f"order {_order(curve):.2f} observed, {claims.order:g} claimed, with the score of a "
        f"mixture on {label}: weak errors {shown} at {curve.steps} steps",
        (curve,),
    )
    demand(
        errors[-1] <= _SANE,
        f"weak errors {shown} at {curve.steps} steps on {label}: no sampler",
        (curve,),
    )
    return curve


def _error(
    integrator: Integrator, reverse: ReverseSDE, target: GaussianMixture, steps: int
) -> float:
    """The weak error in so many steps; those of an own grid are one call."""
    if integrator.claims.steps is None:
        return weak_error(integrator, reverse, target, LogSNR(steps))
    return weak_error(with_own_steps(integrator, steps), reverse, target, Uniform(1))


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
    """Observed order between the two finest grids; infinite below what can be resolved."""
    coarse, fine = curve.errors[-2:]
    if not math.isfinite(fine):
        return -math.inf
    return math.log2(coarse / fine) if fine > _RESOLVED else math.inf


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
    if claims.steps is None and _remembers(solver):
        raise NotApplicable("it remembers earlier steps: its chain is not one of x alone")
    return solver


def _remembers(integrator: Integrator) -> bool:
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


def _forward(
    integrator: Integrator, reverse: ReverseSDE, target: GaussianMixture, times: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Features at the ends of deterministic steps, and the points where these start."""
    points = _points(target, reverse.linear, times[0], 4 * _POINTS)
    run, x = Run(Nodes(0)), points[:, None]
    with torch.no_grad():
        for late, early in pairwise(times):
            x = integrator.integrate(reverse, x, late, early, run)
    return _features(x[:, 0]), points


def _backward(
    integrator: Integrator,
    reverse: ReverseSDE,
    target: GaussianMixture,
    times: Sequence[float],
    values: Tensor,
) -> tuple[Tensor, Tensor]:
    """u_0 and the points where it is known, from u_N at the points at the last time."""
    later = _points(target, reverse.linear, times[-1])
    for early, late in pairwise(reversed(times)):
        points = _points(target, reverse.linear, late)
        noise = Nodes(_draws(integrator, reverse, late, early))
        rows = points.repeat_interleave(noise.repeats)[:, None]
        with torch.no_grad():
            ends = integrator.integrate(reverse, rows, late, early, Run(noise))[:, 0]
        if noise.draws != noise.expected:
            raise NotApplicable("how often it draws depends on the data")
        places = ends.reshape(len(points), noise.repeats)
        values, later = means_between(values, later, places, noise.weights), points
    return values, later


def _draws(integrator: Integrator, reverse: ReverseSDE, t: float, s: float) -> int:
    """How many draws a step takes."""
    counting = Nodes(0)
    with torch.no_grad():
        x = torch.zeros(1, 1, dtype=torch.float64, device="cpu")
        integrator.integrate(reverse, x, t, s, Run(counting))
    return counting.draws


@remembered(1024)  # solvers are put on the same grids
def _points(target: GaussianMixture, sde: LinearSDE, t: float, count: int = _POINTS) -> Tensor:
    """Equidistant points that hold all but 1e-15 of p_t."""
    mean, covariance = target.moments(t, sde)
    reach = _REACH * math.sqrt(float(covariance))
    wide = float(mean) + torch.linspace(-reach, reach, 2001, dtype=torch.float64, device="cpu")
    log_prob = target.log_prob(wide[:, None], t, sde)
    inside = wide[log_prob > log_prob.max() - 0.5 * _REACH**2]
    return torch.linspace(
        float(inside[0]), float(inside[-1]), count, dtype=torch.float64, device="cpu"
    )


def _density(target: GaussianMixture, sde: LinearSDE, t: float, points: Tensor) -> Tensor:
    """p_t as weights on the points; on such points sums are as good as integrals."""
    weights = target.log_prob(points[:, None], t, sde).exp()
    return weights / weights.sum()


def _features(x: Tensor) -> Tensor:
    """The six features at points of shape (P,): (P, 6)."""
    step = torch.special.ndtr((x - 0.3) / 0.1)
    return torch.stack((x, x**2, x**3, (2.0 * x).cos(), (5.0 * x).cos(), step), dim=1)


@cache
def _mixture() -> GaussianMixture:
    """0.4 N(-1, 0.3^2) + 0.6 N(1, 0.5^2)."""
    return GaussianMixture((0.4, 0.6), ((-1.0,), (1.0,)), std=(0.3, 0.5))


CHECKS = (check_nonlinear_order,)
"""The checks of this module."""
