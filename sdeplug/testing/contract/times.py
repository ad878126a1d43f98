"""Tier 0, the contract: short spans, the ends of time, sequences of steps, both directions."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from sdeplug.compose import OnGrid
from sdeplug.errors import SdeplugError
from sdeplug.grid import At, TimeGrid
from sdeplug.noise import Silence
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Corrector, Field, FlowIntegrator, Integrator
from sdeplug.testing.bench import Solver, by_row, jumps, parts
from sdeplug.testing.claimed import first_level
from sdeplug.testing.contract.calls import Call, calls, explore, working
from sdeplug.testing.findings import CheckFailed, Finding, NotApplicable, demand
from sdeplug.testing.memory import remembered

_INSTANT = 1e-9
_STEADY = 0.02  # relative error of the velocity in so short a span
_LONGER = 1e4  # times as long: rounding is not seen there any more
_SIGMAS = 8.0  # of noise, in a span so short that nothing else moves the state


def check_near_eps(solver: Solver) -> Finding:
    """The last steps are finite, where the score of a point of data is as steep as it gets.

    Into eps; and into 0, if it goes there without asking for a score at 0, which need not exist.
    """
    reached = set()
    for sde in working(solver):
        for end in (sde.eps, 0.0):
            for factor in (1.5, 20.0):
                start = max(factor * sde.eps, 1e-3 * factor * sde.T)
                if not _finite(solver, Call(sde, start, end, level=first_level(solver))):
                    break  # it does not go there, from wherever
                reached.add("0" if end == 0.0 else "eps")
    return Finding(f"reaches {' and '.join(sorted(reached, reverse=True)) or 'neither end'}")


def check_short_span(solver: Solver) -> Finding:
    """Over a span of 1e-9 of the time the state hardly moves, and its mean moves by the drift.

    What draws in steps of its own may put noise back, and has a drift of its own to take it away.
    """
    integrator = _stepper(solver)
    claims = integrator.claims
    if claims.floor is not None:
        raise NotApplicable("it declares a bias: a corrector may be at work in it")
    if claims.order is None and claims.evaluations is not None:
        raise NotApplicable("it claims no order: its steps need not follow the span")
    if any(isinstance(part, Corrector) for part in parts(integrator)):
        raise NotApplicable("a corrector is at work in it, whose steps do not follow the span")
    if any(isinstance(part, TimeGrid) for part in parts(integrator)):
        raise NotApplicable("its grid is made for longer spans: check the integrator inside it")
    for sde in working(integrator):
        instant = _INSTANT * sde.T
        for t in (sde.T, 0.5 * sde.T, sde.eps + instant):
            call = Call(sde, t, t - instant, level=first_level(solver))
            x = call.state()
            moved = float((call.apply(integrator, x) - x).abs().max())
            demand(math.isfinite(moved), f"x becomes infinite, or not a number ({call})")
            allowed = _allowed(call, x)
            demand(moved <= allowed, f"x moved by {moved:.2g}, not {allowed:.2g} at most ({call})")
            if claims.stochastic and claims.steps is not None:
                continue
            shift = call.apply(integrator, x, Run(Silence())) - x
            reverse = call.reverse()
            velocity = reverse.drift if claims.stochastic else reverse.flow
            wanted = (call.s - call.t) * velocity(x, t)
            gap = float((shift - wanted).abs().max() / wanted.abs().max())
            if not gap <= _STEADY:
                raise CheckFailed(f"{_moved_wrongly(integrator, call, gap)} ({call})")
    return Finding()


def _moved_wrongly(integrator: Integrator, call: Call, gap: float) -> str:
    """Why x moves otherwise than by the drift: rounding, which a longer span hides, or a factor."""
    counted = _counted(integrator, call)
    if abs(counted + 1.0) <= _STEADY:
        return "without noise x moves against the drift: it has the wrong sign"
    if abs(_counted(integrator, _longer(call)) - 1.0) <= _STEADY:
        return (
            f"without noise x moves otherwise than by the drift, by {gap:.2g} of it, and over a "
            "longer span by the drift: compute the length of the step in float64"
        )
    return f"without noise x moves {counted:.3g} times as far along the drift as it should"


def _longer(call: Call) -> Call:
    """A call over a longer span that begins where it does, or ends there, next to eps."""
    span = _LONGER * (call.t - call.s)
    low = call.t - span
    return replace(call, s=low) if low >= call.sde.eps else replace(call, t=call.s + span)


def _counted(integrator: Integrator, call: Call) -> float:
    """How much of the drift there is in the move of x without noise: 1 if it is the drift."""
    x, reverse = call.state(), call.reverse()
    velocity = reverse.drift if integrator.claims.stochastic else reverse.flow
    wanted = (call.s - call.t) * velocity(x, call.t)
    shift = call.apply(integrator, x, Run(Silence())) - x
    return float((shift * wanted).sum() / wanted.square().sum())


def check_first_step(solver: Solver) -> Finding:
    """The first step of ``begin()`` is ``integrate()`` over the same span."""
    integrator = _integrator(solver)

    def test(call: Call) -> None:
        x = call.state()
        whole = call.apply(integrator, x)
        step = integrator.begin(call.reverse(), call.run())(x, call.t, call.s)
        gap = float((whole - step).abs().max() / whole.abs().max().clamp(min=1e-30))
        demand(gap <= 1e-10, f"they differ by {gap:.2g} of the size of the state")

    return explore(calls(integrator), test)


def check_split(solver: Solver) -> Finding:
    """Steps of one ``begin()`` over u are ``OnGrid`` over the same points, bit by bit."""
    integrator = _stepper(solver)

    def test(call: Call) -> None:
        x, points = _stepped(integrator, call), _within(call)
        by = OnGrid(integrator, At(tuple(points[1:-1])))
        demand(
            torch.equal(call.apply(by), x),
            "the same steps gave another result: begin() must keep its memory in the closure "
            "that it returns, and read nothing else that changes",
        )

    return explore(calls(integrator), test)


def check_interleaved(solver: Solver) -> Finding:
    """Two sequences of steps at the same time do not disturb each other."""
    integrator = _stepper(solver)

    def test(call: Call) -> None:
        both = (call, replace(call, seed=call.seed + 1))
        points = _within(call)
        alone = [_stepped(integrator, each) for each in both]
        states = [each.state() for each in both]
        advances = [integrator.begin(each.reverse(), each.run()) for each in both]
        for late, early in pairwise(points):
            states = [a(x, late, early) for a, x in zip(advances, states, strict=True)]
        for one, other in zip(alone, states, strict=True):
            demand(
                torch.equal(one, other),
                "steps in turn with those of another sequence gave another result: memory "
                "belongs into the closure of begin(), not onto the solver",
            )

    return explore(calls(integrator), test)


def check_directions(solver: Solver) -> Finding:
    """A flow integrator runs down and up in time, at its order, asking only in between."""
    if not isinstance(solver, FlowIntegrator):
        raise NotApplicable("it is not a FlowIntegrator")
    if any(isinstance(part, TimeGrid) for part in parts(solver)):
        raise NotApplicable("its grid runs down: check the integrator inside it")
    order = solver.claims.order
    worst = math.inf
    for direction, t, s in (("down", 1.0, 0.0), ("up", 0.0, 1.0)):
        coarse, fine = (_flow_error(solver, steps, t, s) for steps in (24, 48))
        if order is None:
            demand(fine <= 1e-2, f"{direction} in time it is off by {fine:.2g}")
        elif fine > 1e-11:
            seen = math.log2(coarse / fine)
            worst = min(worst, seen)
            demand(
                seen >= order - 0.3,
                f"{direction} in time order {seen:.2f} observed, {order:g} claimed: errors "
                f"{coarse:.2g}, {fine:.2g} at 24, 48 steps. The length of a step is s - t, "
                "which is positive upwards",
            )
    return Finding(f"order {worst:.2f} at least" if worst < math.inf else "")


def _flow_error(solver: FlowIntegrator, steps: int, t: float, s: float) -> float:
    """Root mean square, over the way, of the error on dy/du = c(u) y (1 - y)."""
    run = Call(working(solver)[0], 1.0, 0.5).run()
    points = [t + (s - t) * step / steps for step in range(steps)] + [s]
    start = torch.tensor([[0.5, 0.9], [0.2, 0.1], [0.7, 0.4]], dtype=torch.float64, device="cpu")
    y, squares = start, 0.0
    for before, after in pairwise(points):
        y = solver.flow(_between(before, after), y, before, after, run)
        grown = math.exp(_growth(t) - _growth(after))
        squares += float((y - 1.0 / (1.0 + (1.0 / start - 1.0) * grown)).square().mean())
    return math.sqrt(squares / steps)


def _between(u: float, v: float) -> Field:
    """The field, asked between u and v only, for all rows at one time or for each at its own."""

    def field(y: Tensor, time: float | Tensor) -> Tensor:
        times = torch.as_tensor(time, dtype=torch.float64, device="cpu")
        demand(
            bool(((min(u, v) <= times) & (times <= max(u, v))).all()),
            f"the field was asked for at {time!r}, on the way from {u!r} to {v!r}",
        )
        return (1.0 + torch.cos(2.0 * times)) * y * (1.0 - y)

    return field


def _growth(u: float) -> float:
    """Integral of c(u) = 1 + cos(2 u)."""
    return u + 0.5 * math.sin(2.0 * u)


def _integrator(solver: Solver) -> Integrator:
    if not isinstance(solver, Integrator):
        raise NotApplicable("it is a corrector, which takes no steps in time")
    return solver


def _stepper(solver: Solver) -> Integrator:
    integrator = _integrator(solver)
    if jumps(integrator):
        raise NotApplicable("it runs to 0 only, in one step")
    return integrator


@remembered(32)  # two checks ask for the same ones
def _stepped(integrator: Integrator, call: Call) -> Tensor:
    """Where the steps of one ``begin()`` lead, over the points within a call."""
    x, advance = call.state(), integrator.begin(call.reverse(), call.run())
    for late, early in pairwise(_within(call)):
        x = advance(x, late, early)
    return x


def _within(call: Call) -> list[float]:
    """Three times between those of a call, in unequal steps, and its ends."""
    return [call.t + (call.s - call.t) * part for part in (0.0, 0.1, 0.35, 0.6)] + [call.s]


def _allowed(call: Call, x: Tensor) -> float:
    """How far x may move: by the noise, by the drift, and by rounding."""
    reverse, instant = call.reverse(), call.t - call.s
    noise = _SIGMAS * reverse.diffusion(call.t) * math.sqrt(instant)
    drift = 4.0 * instant * float(reverse.drift(x, call.t).abs().max())
    return noise + drift + 1e-9 * float(x.abs().max())


def _finite(solver: Solver, call: Call) -> bool:
    """Whether it carries out a call, if it can be asked to; a result must be finite."""
    asked: list[float] = []
    sde = call.sde

    def steep(x: Tensor, t: Tensor) -> Tensor:
        asked.extend(t.tolist())
        return (-x / by_row(partial(_variance, sde), t, x)).to(x.dtype)

    try:
        out = call.apply(solver, _variance(sde, call.t) ** 0.5 * call.state(), score=steep)
    except SdeplugError:  # a jump that goes to 0 only, a grid that does not reach it
        if call.s == 0.0 or jumps(solver):
            return False
        raise
    except ArithmeticError as error:
        if call.s == 0.0 and 0.0 in asked:
            return False
        raise CheckFailed(f"it raised {type(error).__name__}: {error} ({call})") from error
    finite = bool(out.isfinite().all())
    if call.s == 0.0 and min(asked, default=1.0) == 0.0:
        return False
    wanted = (
        ", where sigma may be 0: take the limit of the step, or raise ArgumentError for s = 0"
        if call.s == 0.0
        else ""
    )
    demand(finite, f"the output is not finite at s = {call.s:g}{wanted} ({call})")
    return True


def _variance(sde: LinearSDE, t: float) -> float:
    return sde.at(t).sigma ** 2


CHECKS = (
    check_near_eps,
    check_short_span,
    check_first_step,
    check_split,
    check_interleaved,
    check_directions,
)
"""The checks of this module."""
