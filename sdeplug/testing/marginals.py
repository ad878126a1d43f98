"""Marginal consistency by exact laws: the limit and the order of a solver, without noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from torch import Tensor

from sdeplug.compose import OnGrid
from sdeplug.grid import LogSNR, TimeGrid
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.solver import Corrector, Integrator
from sdeplug.testing.bench import (
    Solver,
    alternating,
    gaussian,
    gaussian_score,
    levels,
    rotated,
    rotation,
    sdes,
)
from sdeplug.testing.exact import Law, exact_law, exact_spectrum, marginal_law, relative_error
from sdeplug.testing.report import Curve, Finding, NotApplicable, demand

_LIMITS = {1: 5e-4, 2: 1e-4}  # by order; what a consistent solver's extrapolated error stays under
_LIMIT_OF_HIGHER_ORDERS = 1e-5
_SLACK = 0.15  # in the observed order
_STEPS = (128, 256, 512)
_SWEEPS = 30


def check_marginals(solver: Solver) -> Finding:
    """It carries p_T to p_eps: the right limit, at the claimed order, on two kinds of grid."""
    integrator, order = _consistent(solver)
    curves = []
    for sde in sdes(integrator):
        for level in levels(integrator):
            grids: tuple[Callable[[int], TimeGrid], ...] = (
                LogSNR,
                partial(alternating, t=sde.T, s=sde.eps, sde=sde),
            )
            for grid in grids:
                curves.append(_refined(integrator, order, sde, level, grid))
    slowest = min(map(_order, curves))
    return Finding(f"order {slowest:.2f} observed, {order:g} claimed", tuple(curves))


def check_rotation(solver: Solver) -> Finding:
    """Rotating the data rotates the samples: coordinates are not mixed up."""
    integrator, _ = _consistent(solver)
    axes = rotation()
    worst = 0.0
    for sde in sdes(integrator):
        by = OnGrid(integrator, LogSNR(16))
        straight, turned = (
            exact_law(
                partial(_carried, by, ReverseSDE(sde, target.score(sde))),
                marginal_law(target, sde, sde.T),
            )
            for target in (gaussian(), rotated())
        )
        back = Law(axes.T @ turned.mean, axes.T @ turned.covariance @ axes)
        worst = max(
            worst,
            float((back.mean - straight.mean).abs().max()),
            float((back.covariance - straight.covariance).abs().max()),
        )
    demand(worst <= 1e-8, f"the law of rotated data is off by {worst:.2g}")
    return Finding(f"off by {worst:.0e}")


def check_corrector_invariance(solver: Solver) -> Finding:
    """A corrector leaves p_t as it is, up to its declared floor."""
    if not isinstance(solver, Corrector):
        raise NotApplicable("it is an integrator")
    if not solver.claims.affine:
        raise NotApplicable("it is not affine: its law is not to be had exactly")
    if solver.claims.floor == math.inf:
        raise NotApplicable("it claims no consistency")
    worst = 0.0
    for sde in sdes(solver):
        reverse = ReverseSDE(sde, gaussian().score(sde))
        for t in (0.1, 0.5, 1.0):

            def swept(x: Tensor, run: Run, reverse: ReverseSDE = reverse, t: float = t) -> Tensor:
                for _ in range(_SWEEPS):
                    x = solver.correct(reverse, x, t, run)
                return x

            marginal = marginal_law(gaussian(), sde, t)
            error = relative_error(exact_law(swept, marginal), marginal)
            worst = max(worst, float(error.abs().max()))
    floor = solver.claims.floor or 1e-9
    demand(worst <= floor, f"{_SWEEPS} sweeps moved p_t by {worst:.2g}; its floor is {floor:.2g}")
    return Finding(f"{worst:.1e} after {_SWEEPS} sweeps, floor {floor:.1e}")


def _consistent(solver: Solver) -> tuple[Integrator, float]:
    """The solver as an integrator with a claimed order, if the check applies to it."""
    if not isinstance(solver, Integrator):
        raise NotApplicable("it is a corrector")
    claims = solver.claims
    if isinstance(solver, OnGrid):
        raise NotApplicable("its grid is fixed: check the integrator inside it")
    if not claims.affine:
        raise NotApplicable("it is not affine: its law is not to be had exactly")
    if claims.floor is not None:
        raise NotApplicable(f"it declares a bias that does not vanish (floor={claims.floor:g})")
    if claims.order is None:
        raise NotApplicable("it claims no order")
    return solver, claims.order


def _refined(
    integrator: Integrator,
    order: float,
    sde: LinearSDE,
    level: float,
    grid: Callable[[int], TimeGrid],
) -> Curve:
    """Errors on ever finer grids, when their order and their limit are right."""
    target = gaussian()
    reverse = ReverseSDE(sde, gaussian_score(sde), level)
    start, wanted = marginal_law(target, sde, sde.T), marginal_law(target, sde, sde.eps)

    def error(steps: int) -> Tensor:
        by = OnGrid(integrator, grid(steps))
        return relative_error(exact_spectrum(partial(_carried, by, reverse), start), wanted)

    errors = [error(steps) for steps in _STEPS]
    rms = tuple(float(each.square().mean().sqrt()) for each in errors)
    curve = Curve(f"{sde!r} at stochasticity {level:g}", _STEPS, rms)
    _demand_limit(errors, order, error, curve)
    demand(
        _order(curve) >= order - _SLACK,
        f"order {_order(curve):.2f} observed, {order:g} claimed, on {curve.label}: "
        f"errors {', '.join(f'{each:.2g}' for each in rms)} at {_STEPS} steps",
        (curve,),
    )
    return curve


def _carried(by: Integrator, reverse: ReverseSDE, x: Tensor, run: Run) -> Tensor:
    """x carried from T to eps."""
    return by.integrate(reverse, x, reverse.forward.T, reverse.forward.eps, run)


def _order(curve: Curve) -> float:
    """Observed order between the two finest grids."""
    return math.log2(curve.errors[-2] / curve.errors[-1]) if curve.errors[-1] > 0.0 else math.inf


def _demand_limit(
    errors: list[Tensor], order: float, error: Callable[[int], Tensor], curve: Curve
) -> None:
    """The extrapolated error is small, or falls as fast as a consistent solver's."""
    limit = _extrapolated(errors[-2], errors[-1], order)
    allowed = _LIMITS.get(math.ceil(order), _LIMIT_OF_HIGHER_ORDERS)
    if limit <= allowed:
        return
    finer = _extrapolated(errors[-1], error(2 * _STEPS[-1]), order)
    demand(
        finer <= limit / 2.0 ** (order + 1.0 - 2.0 * _SLACK),
        f"the limit is wrong on {curve.label}: extrapolated error {limit:.2g} (at most "
        f"{allowed:g}), and {finer:.2g} on a grid twice as fine",
        (curve,),
    )


def _extrapolated(coarse: Tensor, fine: Tensor, order: float) -> float:
    factor = 2.0**order
    return float(((factor * fine - coarse) / (factor - 1.0)).abs().max())


CHECKS = (check_marginals, check_rotation, check_corrector_invariance)
"""The checks of this module."""
