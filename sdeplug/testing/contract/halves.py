"""Tier 0, the contract: laws in half precision, by numbers that a run in float64 has in common.

Roundings of many numbers cancel, so that a factor that is off shows to a small part of what one
rounding is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from sdeplug.compose import OnGrid
from sdeplug.errors import SdeplugError, StepError
from sdeplug.grid import LogSNR
from sdeplug.noise import NoiseSource, SharedNoise, Silence
from sdeplug.pipeline import Leg, Pipeline
from sdeplug.run import Run
from sdeplug.solvers import Corrector, Integrator
from sdeplug.testing.bench import Solver, jumps
from sdeplug.testing.claimed import first_level, tolerant
from sdeplug.testing.contract.calls import Call, working
from sdeplug.testing.findings import Finding, NotApplicable, demand

HALVES = (torch.float16, torch.bfloat16)
"""The dtypes of half precision."""

_OFF = 0.01  # of a factor; right solvers are off by 0.002
_OFF_BY_DECISIONS = 0.04  # where roundings may change what a row decides, or of few long steps
_LEAST_MOVE = 4.0  # roundings that a sweep moves a state by, if it is not to be lost in them
_LEAST_LEFT = 0.1  # of the size of a state: of less, a part says nothing
_SHAPE = (64, 32)
_SPAN = 0.6, 0.4  # of T: noise and score move the state by as much as it is wide
_STEPS = 16
_SWEEPS = 12  # of a corrector, whose single step does little
_TOO_ROUGH = "its steps follow a tolerance, which roundings of half precision do not meet"


def check_state_in_half_precision(solver: Solver) -> Finding:
    """Given a state in half precision it has the noise and the gain that it has in float64.

    A pipeline never gives it one; who calls a solver by itself may.  It may refuse.
    """
    if jumps(solver):
        raise NotApplicable("it jumps to the data, which are a small difference of large numbers")
    if isinstance(solver, Integrator) and not solver.needs_grid:
        raise NotApplicable("its steps are of its own making, too short for half precision")
    allowed = _OFF if solver.claims.affine else _OFF_BY_DECISIONS
    worst, refused, hidden = 0.0, set(), set()
    for sde in working(solver):
        call = _call(solver, Call.plain(solver, sde))
        for dtype in HALVES:
            try:
                off = _factors(solver, call, dtype)
            except (SdeplugError, RuntimeError, TypeError):
                refused.add(str(dtype).removeprefix("torch."))
                continue
            for what, each in off.items():
                if each is None:
                    hidden.add(f"its {what} in {dtype} on {type(sde).__name__}")
                    continue
                demand(
                    abs(each) <= allowed,
                    f"with a state in {dtype} its {what} is {1.0 + each:.3g} times that in float64 "
                    f"({call})",
                )
                worst = max(worst, abs(each))
    told = f"; it refuses {' and '.join(sorted(refused))}" if refused else ""
    told += f"; roundings hide {', '.join(sorted(hidden))}" if hidden else ""
    return Finding(f"off by at most {worst:.1g}{told}")


def check_pipeline_in_half_precision(solver: Solver) -> Finding:
    """Samples of a pipeline in half precision are as wide as those in float64, from T to eps."""
    if isinstance(solver, Corrector):
        raise NotApplicable("it is a corrector")
    if jumps(solver):
        raise NotApplicable("it jumps to the data")
    if tolerant(solver):
        raise NotApplicable(_TOO_ROUGH)
    try:
        return _as_wide(solver)
    except StepError:  # no wrong number: it says so
        if solver.claims.evaluations is not None:
            raise
        raise NotApplicable(_TOO_ROUGH) from None


def _as_wide(solver: Integrator) -> Finding:
    """Samples in half precision are as wide as those in float64."""
    allowed = _OFF if solver.claims.affine and solver.needs_grid else _OFF_BY_DECISIONS
    worst = 0.0
    for sde in working(solver)[:2]:
        call = Call(sde, sde.T, sde.eps, shape=_SHAPE, level=first_level(solver))
        by = OnGrid(solver, LogSNR(_STEPS)) if solver.needs_grid else solver
        pipeline = Pipeline(call.reverse(call.normal_score()), (Leg(sde.eps, by),))
        wide, *halves = (
            pipeline.sample(_SHAPE, noise=_Common(), dtype=dtype).x
            for dtype in (torch.float64, *HALVES)
        )
        for half in halves:
            off = float(half.double().std() / wide.std()) - 1.0
            demand(
                abs(off) <= allowed,
                f"samples of a pipeline in {half.dtype} are {1.0 + off:.3g} times as wide as those "
                f"in float64 ({call})",
            )
            worst = max(worst, abs(off))
    return Finding(f"off by at most {worst:.1g}")


def _call(solver: Solver, call: Call) -> Call:
    if isinstance(solver, Corrector):
        return replace(call, shape=_SHAPE)
    late, early = _SPAN
    return replace(call, t=late * call.sde.T, s=early * call.sde.T, shape=_SHAPE)


def _factors(solver: Solver, call: Call, dtype: torch.dtype) -> dict[str, float | None]:
    """By how much gain and noise in a dtype are off those in float64, as parts of them."""
    still = torch.zeros(_SHAPE, dtype=torch.float64, device="cpu")
    off: dict[str, float | None] = {}
    if _has_gain(solver, call, dtype):
        off["gain"] = _factor(solver, call, call.state().to(dtype), Silence)
    if solver.claims.stochastic:
        off["noise"] = _factor(solver, call, still.to(dtype), _Common)
    return off


def _has_gain(solver: Solver, call: Call, dtype: torch.dtype) -> bool:
    """Whether what becomes of a state is more than roundings of the dtype, all the way."""
    x = call.state()
    size = float(x.norm())
    moved = float((call.in_steps(solver, x, call.normal_score(), Run(Silence())) - x).norm())
    left = float(_moved(solver, call, x, Silence()).norm())
    return moved >= _LEAST_MOVE * torch.finfo(dtype).eps * size and left >= _LEAST_LEFT * size


def _factor(
    solver: Solver, call: Call, x: Tensor, noise: Callable[[], NoiseSource]
) -> float | None:
    """By how much what becomes of x in its dtype is off, as a part of what it should be; None
    where roundings hide it."""
    half, wide = (_moved(solver, call, each, noise()).double() for each in (x, x.double()))
    if _decides(solver):  # a row that decides otherwise, for a rounding, is none that is off
        along, sizes = (half * wide).sum(1), (wide * wide).sum(1)
        factors = (along / sizes)[sizes > 0.0]
        if not len(factors):
            return 0.0
        moves = factors[factors != 0.0]
        if 2 * len(moves) < len(factors):
            return -1.0
        low, middle, high = moves.quantile(factors.new_tensor((0.25, 0.5, 0.75))).tolist()
        # A move of large steps that ends where it began is as large as the roundings on its way.
        return None if high - low > _OFF_BY_DECISIONS else middle - 1.0
    size = float((wide * wide).sum())
    return float((half * wide).sum()) / size - 1.0 if size else 0.0


def _decides(solver: Solver) -> bool:
    """Whether numbers that are rounded decide what a row does."""
    return solver.claims.randomised and not solver.claims.affine


def _moved(solver: Solver, call: Call, x: Tensor, noise: NoiseSource) -> Tensor:
    run = Run(noise)
    for _ in range(_SWEEPS if isinstance(solver, Corrector) and not _decides(solver) else 1):
        x = call.in_steps(solver, x, call.normal_score(), run)
    return x


class _Common(NoiseSource):
    """The same numbers in every dtype, to rounding."""

    def __init__(self) -> None:
        self.source = SharedNoise(0)

    def normal(self, like: Tensor) -> Tensor:
        return self.source.normal(like.double()).to(like.dtype)


CHECKS = (check_state_in_half_precision, check_pipeline_in_half_precision)
"""The checks of this module."""
