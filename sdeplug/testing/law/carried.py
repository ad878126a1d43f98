"""Samples of the statistical tier on their way from T to eps."""

from __future__ import annotations

from torch import Tensor

from sdeplug.compose import OnGrid
from sdeplug.grid import LogSNR
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.solvers import Integrator, with_own_steps


def refined(solver: Integrator, steps: int) -> Integrator:
    """A solver on so many steps: those of its own, where it brings them."""
    own = solver.claims.steps is not None
    return with_own_steps(solver, steps) if own else OnGrid(solver, LogSNR(steps))


def carried(by: Integrator, reverse: ReverseSDE, x: Tensor, run: Run) -> Tensor:
    """x carried from T to eps."""
    return by.integrate(reverse, x, reverse.forward.T, reverse.forward.eps, run)
