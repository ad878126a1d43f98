r"""Without noise: whether rows end where the probability flow takes them.

At stochasticity 0 there is one path for each starting point, the same for every solver that follows
the flow.  In :math:`y = x / \alpha` and :math:`u = \sigma / \alpha` it does not depend on the
forward SDE (arXiv 2011.13456, equation 13, for a linear one),

.. math:: \frac{dy}{d \log u} = -u^2 \nabla \log p(y; u),

with p the data law after noise of size u.  A solver that takes rows where the flow does, in the
limit of short steps, has the right law: that takes no chance, and tells errors of a thousandth in
any number of dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from sdeplug.compose import OnGrid
from sdeplug.noise import SharedNoise
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.solvers import FlowIntegrator, Integrator
from sdeplug.testing.bench import Solver, jumps, sdes, single_thread
from sdeplug.testing.claimed import first_level, levels, tightened, tolerant
from sdeplug.testing.findings import Finding, NotApplicable, Unproven
from sdeplug.testing.law.carried import carried, refined
from sdeplug.testing.law.cells import Specimen, specimens
from sdeplug.testing.memory import remembered

LIMIT = 0.01
"""How far from the flow rows may end, in standard deviations of a mode; without noise, those of
right solvers of fixed steps end within 0.008."""

_ROWS = 128
_STEPS = (64, 128, 256, 512)  # two in a row tell the limit
_STAYING = 0.8  # of a distance that the next one is at least, if it does not fall
_TOLERANCE = 1e-7  # of the flow itself, which is then known to 2e-5 of a standard deviation
_KEPT = 122  # of them, those that end nearest: between two modes the smallest error leads elsewhere


def check_flow(solver: Solver) -> Finding:
    """Without noise each row ends where the probability flow takes it, on every target."""
    worst, count = 0.0, 0
    with single_thread():
        for setting in _settings(_noiseless(solver)):
            before, last = off_the_flow(*setting)
            _demand_on_it(before, last, *setting[1:])
            worst, count = max(worst, last), count + 1
    return Finding(
        f"rows end {worst:.1e} standard deviations at most from where the flow takes them, in "
        f"{count} settings"
    )


def _demand_on_it(
    before: float, last: float, specimen: Specimen, sde: LinearSDE, level: float
) -> None:
    """Rows are on the flow, or on their way to it.

    Raises:
        Unproven: if they are not, however short the steps.
        NotApplicable: if shorter ones may tell.
    """
    if last <= LIMIT:
        return
    seen = (
        f"rows end {last:.2g} standard deviations of a mode from where the flow takes them, "
        f"{specimen.name} on {sde!r} at stochasticity {level:g}"
    )
    if last < _STAYING * before:
        raise NotApplicable(f"{seen}: samples may tell whether its law is right")
    raise Unproven(
        f"{seen}, and no nearer with shorter steps or tighter tolerances: {LIMIT:g} at most"
    )


def flows(solver: Integrator, level: float) -> bool:
    """Whether a solver claims to converge to the flow at this stochasticity."""
    claims = solver.claims
    if jumps(solver) or claims.floor is not None or not (claims.order or tolerant(solver)):
        return False
    return level == 0.0 or not claims.stochastic or isinstance(solver, FlowIntegrator)


def follows_the_flow(solver: Integrator, specimen: Specimen, sde: LinearSDE, level: float) -> bool:
    """Whether it is known by its paths that a solver has the right law."""
    return flows(solver, level) and off_the_flow(solver, specimen, sde, level)[-1] <= LIMIT


@remembered(64)  # two checks ask for them
def off_the_flow(
    solver: Integrator, specimen: Specimen, sde: LinearSDE, level: float
) -> tuple[float, float]:
    """How far from the flow rows end, in the limit of short steps or as tolerances are tightened.

    Args:
        solver: one that :func:`flows`.
        specimen: the target.
        sde: the forward SDE.
        level: the stochasticity.

    Returns:
        Root mean square of the distances in standard deviations of a mode, of the 95 % of the rows
        that end nearest: for the first grids or tolerances where it is at most :data:`LIMIT`, else
        for the last; before it that for those before these, inf where there are none.
    """
    flow, before, size = _flow(specimen, sde), math.inf, math.inf
    reverse = ReverseSDE(sde, specimen.target.score(sde), level)
    for end in _ends(solver, lambda by: _end(by, reverse, flow.start)):
        before, size = size, flow.distance(end)
        if size <= LIMIT:
            break
    return before, size


def _noiseless(solver: Solver) -> Integrator:
    if not isinstance(solver, Integrator):
        raise NotApplicable("it is a corrector")
    if not flows(solver, 0.0):
        raise NotApplicable("it claims neither an order nor a tolerance, or a bias")
    return solver


def _settings(
    integrator: Integrator,
) -> Iterator[tuple[Integrator, Specimen, LinearSDE, float]]:
    """All targets under one SDE, the first under the others; what draws noise is asked without."""
    level, (first, *others) = first_level(integrator), sdes(integrator)
    if not flows(integrator, level):
        if 0.0 not in levels(integrator):
            raise NotApplicable("it draws noise")
        level, others = 0.0, []
    ring, *_ = specimens()
    for specimen in specimens():
        yield integrator, specimen, first, level
    for sde in others:
        yield integrator, ring, sde, level


def _ends(solver: Integrator, end: Callable[[Integrator], Tensor]) -> Iterator[Tensor]:
    """Where rows end in the limit of short steps, by ever finer grids or tighter tolerances."""
    order = solver.claims.order
    if order is None or (isinstance(solver, OnGrid) and solver.claims.steps is None):
        yield end(solver)
        yield from map(end, tightened(solver))
        return
    grids = (end(refined(solver, steps)) for steps in _STEPS)
    for coarse, fine in pairwise(grids):
        yield fine + (fine - coarse) / (2.0**order - 1.0)


def _end(by: Integrator, reverse: ReverseSDE, x: Tensor) -> Tensor:
    with torch.no_grad():
        return carried(by, reverse, x, Run(SharedNoise(0)))


@dataclass(frozen=True, eq=False)
class _Flow:
    """Some rows of p_T, and where the flow takes them.

    Attributes:
        specimen: the target.
        sde: the forward SDE.
        start: rows at T, float64, ``(n, *shape)``.
        modes: of their ends at eps, int64, ``(n,)``.
        white: these ends in units of their modes, ``(n, D)``.
    """

    specimen: Specimen
    sde: LinearSDE
    start: Tensor
    modes: Tensor
    white: Tensor

    def distance(self, end: Tensor) -> float:
        """Root mean square distance of other ends, but for the farthest, as a part of a mode."""
        target, sde = self.specimen.target, self.sde
        off = target.whitened(end, self.modes, sde.eps, sde) - self.white
        return float(off.square().mean(1).nan_to_num(math.inf).sort()[0][:_KEPT].mean().sqrt())


@remembered(32)  # the same for every solver
def _flow(specimen: Specimen, sde: LinearSDE) -> _Flow:
    from scipy.integrate import solve_ivp

    target, late, early = specimen.target, sde.at(sde.T), sde.at(sde.eps)
    x = target.sample(_ROWS, noise=SharedNoise(5), t=sde.T, sde=sde, dtype=torch.float64)
    one = torch.ones(_ROWS, dtype=torch.float64, device="cpu")

    def slope(log_u: float, y: Any) -> Any:
        u = math.exp(log_u)
        score = target.score_at(torch.from_numpy(y).reshape(x.shape), one, u * one)
        return (-(u**2) * score).flatten().numpy()

    span = tuple(math.log(each.sigma / each.alpha) for each in (late, early))
    solved = solve_ivp(
        slope, span, (x / late.alpha).flatten().numpy(), "DOP853",
        rtol=_TOLERANCE, atol=_TOLERANCE * math.exp(span[1]),
    )  # fmt: skip
    end = early.alpha * torch.from_numpy(solved.y[:, -1]).reshape(x.shape)
    modes = target.responsibilities(end, sde.eps, sde).argmax(1)
    return _Flow(specimen, sde, x, modes, target.whitened(end, modes, sde.eps, sde))


CHECKS = (check_flow,)
"""The checks of this module."""
