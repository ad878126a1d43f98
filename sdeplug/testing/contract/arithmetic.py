"""Tier 0, the contract: precision, half precision and gradients."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from sdeplug.errors import StepError
from sdeplug.sde import VESDE, VPSDE
from sdeplug.testing.bench import Solver, jumps
from sdeplug.testing.claimed import first_level, tolerant
from sdeplug.testing.contract.calls import Call, calls, explore, working
from sdeplug.testing.findings import Finding, NotApplicable, demand

_SINGLE = 1e-4  # of the size of the state: a thousand roundings of float32 in a row
_TOLERANCE = 0.1  # where other steps are chosen in another dtype, from T to eps
_ROUNDINGS = 16.0  # of a score in half precision that may add up in one call
_FREE = 0.1  # where the rounding decides how long the steps are
_HALVES = (torch.float16, torch.bfloat16)
_WIDE = (VPSDE(), VESDE(sigma_max=1000.0))
_NUDGE = 1e-5
_AGREED = 1e-4  # of the size of a derivative and of the output


def check_precision(solver: Solver) -> Finding:
    """In float32 it gives what it gives in float64, to rounding."""
    allowed = _TOLERANCE if tolerant(solver) else _SINGLE

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


def check_half_precision(solver: Solver) -> Finding:
    """With a score in half precision it gives what it gives with one in float32, to rounding.

    The score sees x in float16 or bfloat16 and answers in it, as a pipeline in half precision
    has it; the state is in float32.  Noise levels go up to 1000, whose square float16 cannot
    hold.  A solver that says that such a score is too rough for the steps that it is asked for is
    judged in short ones.
    """
    if tolerant(solver):
        return _in_halves(solver, free=True)
    try:
        return _in_halves(solver, free=False)
    except StepError:
        if solver.claims.evaluations is not None:
            raise
        return _in_halves(solver, free=True)


def _in_halves(solver: Solver, free: bool) -> Finding:
    """With a score in half precision as with one in float32; free: as far as a tolerance allows."""
    known = [type(sde) for sde in working(solver)]
    fitting = [sde for sde in _WIDE if type(sde) in known]
    if not fitting:
        raise NotApplicable("it works with neither VP nor VE")
    if free:
        calls(solver, level=0.0)  # with noise another step may mean another path
    # A tolerance that the rounding does not meet makes short steps, many of them in bfloat16.
    least, span, halves = (_FREE, 0.02, _HALVES[:1]) if free else (0.0, 0.1, _HALVES)
    for sde in fitting:
        end = 0.0 if jumps(solver) else (1.0 - span) * sde.T
        call = Call(
            sde, sde.T, end, dtype=torch.float32, level=0.0 if free else first_level(solver)
        )
        with torch.no_grad():
            wide = call.apply(solver)
            size = float(torch.maximum(wide.abs().max(), call.state().abs().max()))
            for dtype in halves:
                rounded = call.apply(solver, score=_Rounded(call, dtype))
                gap = float((rounded - wide).abs().max()) / size
                demand(
                    gap <= max(least, _ROUNDINGS * torch.finfo(dtype).eps),
                    f"with a score in {dtype} it is off by {gap:.2g} of the size of the state: "
                    f"do not divide differences of scores by small numbers ({call})",
                )
    names = " and ".join(str(dtype).removeprefix("torch.") for dtype in halves)
    return Finding(f"{names}, on " + " and ".join(type(sde).__name__ for sde in fitting))


@dataclass(frozen=True)
class _Rounded:
    """The score of a call as a network in half precision would give it."""

    call: Call
    dtype: torch.dtype

    def __call__(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        seen = x.to(self.dtype).to(x.dtype)
        return self.call.score(seen, t).to(self.dtype).to(x.dtype)


def check_gradient(solver: Solver) -> Finding:
    """Called directly it is differentiable in x; where its steps are fixed, the gradient is right.

    Steps that follow a tolerance follow x too, in jumps that a derivative does not see.  What is
    rounded to float32 inside has its differences taken over a longer way.
    """
    if not solver.claims.differentiable:
        raise NotApplicable("it claims no gradients")
    fixed = not tolerant(solver)

    def test(call: Call) -> None:
        direction = replace(call, seed=call.seed + 1).state()
        slope = _slope(solver, call, direction)
        if not fixed or slope is None:
            return
        wanted, scale = _difference(solver, call, direction, _NUDGE)
        if abs(slope - wanted) <= _AGREED * scale:
            return
        again, _ = _difference(solver, call, direction, 100.0 * _NUDGE)
        demand(
            abs(slope - again) <= _AGREED * scale,
            f"the gradient says {slope:.4g}, differences say {wanted:.4g}: a part of the step is "
            "detached, or computed as a float from x. Claim differentiable=False if it is to be so",
        )

    explore(calls(solver), test)
    return Finding("against differences" if fixed else "finite")


def _difference(
    solver: Solver, call: Call, direction: torch.Tensor, nudge: float
) -> tuple[float, float]:
    """Derivative of the sum of the output along a direction, by differences, and its size."""
    up, down = (call.apply(solver, call.state() + sign * nudge * direction) for sign in (1.0, -1.0))
    wanted = float((up - down).sum()) / (2.0 * nudge)
    return wanted, abs(wanted) + float(up.abs().sum()) + 1e-12


def _slope(solver: Solver, call: Call, direction: torch.Tensor) -> float | None:
    """The same by backward(); None where the output itself is not finite, as others say."""
    with torch.enable_grad():
        x = call.state().requires_grad_()
        out = call.apply(solver, x)
        demand(
            out.requires_grad,
            "the output has no gradient: leave out no_grad() and detach(), or claim "
            "differentiable=False",
        )
        (gradient,) = torch.autograd.grad(out.sum(), x)
    if not bool(out.isfinite().all()):
        return None
    demand(
        not solver.claims.affine or torch.allclose(out, call.apply(solver), 1e-6, 1e-6),
        "with gradients its output is another one: it may not depend on requires_grad, nor on "
        "whether there is a graph",
    )
    demand(bool(gradient.isfinite().all()), "the gradient is not finite")
    return float((gradient * direction).sum())


CHECKS = (check_precision, check_half_precision, check_gradient)
"""The checks of this module."""
