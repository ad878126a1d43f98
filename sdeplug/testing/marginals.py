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
from sdeplug.testing.bench import Solver, alternating, gaussian, levels, sdes
from sdeplug.testing.exact import exact_law, marginal_law, relative_error
from sdeplug.testing.report import NotApplicable, demand

_LIMITS = {1: 5e-4, 2: 1e-4}  # by order; what a consistent solver's extrapolated error stays under
_LIMIT_OF_HIGHER_ORDERS = 1e-5
_SLACK = 0.15  # in the observed order
_STEPS = (128, 256, 512)
_SWEEPS = 30


def check_marginals(solver: Solver) -> str:
    """It carries p_T to p_eps: the right limit, at the claimed order, on two kinds of grid."""
    integrator, order = _consistent(solver)
    observed = []
    for sde in sdes(integrator):
        for level in levels(integrator):
            grids: tuple[Callable[[int], TimeGrid], ...] = (
                LogSNR,
                partial(alternating, t=sde.T, s=sde.eps, sde=sde),
            )
            for grid in grids:
                observed.append(_observed_order(integrator, order, sde, level, grid))
    return f"order {min(observed):.2f} observed, {order:g} claimed"


def check_corrector_invariance(solver: Solver) -> str:
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
    return f"{worst:.1e} after {_SWEEPS} sweeps, floor {floor:.1e}"


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


def _observed_order(
    integrator: Integrator,
    order: float,
    sde: LinearSDE,
    level: float,
    grid: Callable[[int], TimeGrid],
) -> float:
    """Observed order between the two finest grids, when it and the limit are right."""
    target = gaussian()
    reverse = ReverseSDE(sde, target.score(sde), level)
    start, wanted = marginal_law(target, sde, sde.T), marginal_law(target, sde, sde.eps)

    def error(steps: int) -> Tensor:
        by = OnGrid(integrator, grid(steps))
        law = exact_law(lambda x, run: by.integrate(reverse, x, sde.T, sde.eps, run), start)
        return relative_error(law, wanted)

    errors = [error(steps) for steps in _STEPS]
    where = f"on {sde!r} at stochasticity {level:g}"
    _demand_limit(errors, order, error, where)
    rms = [float(each.square().mean().sqrt()) for each in errors]
    observed = math.log2(rms[-2] / rms[-1]) if rms[-1] > 0.0 else math.inf
    demand(
        observed >= order - _SLACK,
        f"order {observed:.2f} observed, {order:g} claimed, {where}: "
        f"errors {', '.join(f'{each:.2g}' for each in rms)} at {_STEPS} steps",
    )
    return observed


def _demand_limit(
    errors: list[Tensor], order: float, error: Callable[[int], Tensor], where: str
) -> None:
    """The extrapolated error is small, or falls as fast as a consistent solver's."""
    limit = _extrapolated(errors[-2], errors[-1], order)
    allowed = _LIMITS.get(math.ceil(order), _LIMIT_OF_HIGHER_ORDERS)
    if limit <= allowed:
        return
    finer = _extrapolated(errors[-1], error(2 * _STEPS[-1]), order)
    demand(
        finer <= limit / 2.0 ** (order + 1.0 - 2.0 * _SLACK),
        f"the limit is wrong {where}: extrapolated error {limit:.2g} (at most {allowed:g}), "
        f"and {finer:.2g} on a grid twice as fine",
    )


def _extrapolated(coarse: Tensor, fine: Tensor, order: float) -> float:
    factor = 2.0**order
    return float(((factor * fine - coarse) / (factor - 1.0)).abs().max())
