"""Tier 0, the contract: precision and gradients."""

from __future__ import annotations

from dataclasses import replace

import torch

from sdeplug.testing.bench import Solver
from sdeplug.testing.contract.calls import Call, calls, explore
from sdeplug.testing.findings import Finding, demand

_SINGLE = 1e-4  # of the size of the state: a thousand roundings of float32 in a row
_TOLERANCE = 1e-2  # where other steps are chosen in another dtype
_NUDGE = 1e-5


def check_precision(solver: Solver) -> Finding:
    """In float32 it gives what it gives in float64, to rounding."""
    allowed = _TOLERANCE if solver.claims.evaluations is None else _SINGLE

    def test(call: Call) -> None:
        exact = call.apply(solver)
        x = call.state().to(torch.float32)
        rounded = replace(call, dtype=torch.float32).apply(solver, x).to(torch.float64)
        # What is small because it is a difference of large numbers is not to be had exactly.
        size = torch.maximum(exact.abs().max(), x.abs().max()).clamp(min=1e-30)
        gap = float((exact - rounded).abs().max() / size)
        demand(
            gap <= allowed,
            f"float32 is off by {gap:.2g} of the size of the state: compute coefficients as "
            "Python floats, as sde.at(t) gives them",
        )

    return explore(calls(solver), test)


def check_gradient(solver: Solver) -> Finding:
    """Called directly it is differentiable in x; where its steps are fixed, the gradient is right.

    Steps that follow a tolerance follow x too, in jumps that a derivative does not see.
    """
    fixed = solver.claims.evaluations is not None

    def test(call: Call) -> None:
        direction = replace(call, seed=call.seed + 1).state()
        slope = _slope(solver, call, direction)
        if not fixed:
            return
        nudge = _NUDGE * direction
        up, down = (call.apply(solver, call.state() + sign * nudge) for sign in (1.0, -1.0))
        wanted = float((up - down).sum()) / (2.0 * _NUDGE)
        scale = abs(wanted) + float(up.abs().sum()) + 1e-12
        demand(
            abs(slope - wanted) <= 1e-4 * scale,
            f"the gradient says {slope:.4g}, differences say {wanted:.4g}: a part of the step is "
            "detached, or computed as a float from x",
        )

    explore(calls(solver), test)
    return Finding("against differences" if fixed else "finite")


def _slope(solver: Solver, call: Call, direction: torch.Tensor) -> float:
    """Derivative of the sum of the output along a direction, by backward()."""
    with torch.enable_grad():
        x = call.state().requires_grad_()
        out = call.apply(solver, x)
        demand(out.requires_grad, "the output has no gradient: leave out no_grad() and detach()")
        (gradient,) = torch.autograd.grad(out.sum(), x)
    demand(bool(gradient.isfinite().all()), "the gradient is not finite")
    return float((gradient * direction).sum())


CHECKS = (check_precision, check_gradient)
"""The checks of this module."""
