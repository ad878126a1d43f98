"""Along the probability flow, down or up in time, with any flow integrator."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor

from sdeplug.compose import OnGrid, stepped
from sdeplug.errors import ArgumentError, PairingError, brief
from sdeplug.grid import Focus, LogSNR, checked_times
from sdeplug.registry import solver
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import ForwardSDE, LinearSDE
from sdeplug.solvers import Advance, FlowIntegrator, Integrator

_FLOWS = "solver('adaptive/row-tsit5') is one, and OnGrid(solver('ode/rk4'), LogSNR(25)) another"


DEFAULT = "adaptive/row-tsit5"
"""Name of the solver that follows the flow when nobody names one."""

TOLERANCE = 1e-6
"""Its tolerance."""

THRIFTY = "ode/adams-moulton"
"""Name of the solver that follows it in a number of evaluations."""

_EVENTFUL = (0.03, 1.2)  # sigma / alpha between which data of standard deviation 1 are decided


def flow_solver(by: Integrator | None, forward: ForwardSDE, t: float) -> Integrator:
    """The solver as it runs between t and T: one of single steps gets a grid.

    Args:
        by: a flow integrator, or one on a grid; None: the one that is named above.
        forward: the forward SDE.
        t: the time next to the data.

    Raises:
        PairingError: for a solver that follows no flow, or needs another kind of forward SDE.
    """
    if by is None:
        by = solver(DEFAULT, rtol=TOLERANCE, atol=TOLERANCE)
    inner = by
    while isinstance(inner, OnGrid):
        inner = inner.integrator
    if not isinstance(inner, FlowIntegrator):
        raise PairingError(
            f"by = {brief(by, 300)}: must be a flow integrator, which runs up in time and carries "
            f"a longer state{_why_not(inner)}. {_FLOWS}."
        )
    needs = by.claims.needs
    if not isinstance(forward, needs):
        raise PairingError(f"by = {by!r} needs a {needs.__name__}, not {forward!r}.")
    return stepped(by, forward, t)


def spending(nfe: object, reverse: ReverseSDE) -> Integrator:
    """The solver that follows the flow in so many evaluations.

    With an exact score nothing happens while noise hides the data, nor where it is far below their
    details: few steps are spent there.  What a network says there is to be followed as it is.

    Raises:
        ArgumentError: for no number of evaluations.
        PairingError: unless the forward SDE is linear.
    """
    if isinstance(nfe, bool) or not isinstance(nfe, int) or nfe < 1:
        raise ArgumentError("nfe", nfe, "a whole number of evaluations, at least 1")
    if not isinstance(reverse.forward, LinearSDE):
        raise PairingError(
            f"nfe = {nfe} needs a LinearSDE, not {reverse.forward!r}. "
            "by = OnGrid(solver('ode/rk4'), Uniform(25)) takes 100 evaluations."
        )
    if reverse.error == 0.0:
        low, high = _EVENTFUL
        return OnGrid(solver(THRIFTY, low=low, high=high), Focus(nfe, low, high))
    return OnGrid(solver(THRIFTY), LogSNR(nfe))


def carried(by: Integrator, reverse: ReverseSDE, y: Tensor, t: float, s: float, run: Run) -> Tensor:
    """Carry y along ``reverse.flow``, from t down or up to s.

    Args:
        by: what :func:`flow_solver` gave.
        reverse: the reverse SDE; no more than its flow is asked for.
        y: value at t, shape ``(B, *D)``.
        t: time to start from.
        s: time to reach.
        run: observers of this call.

    Returns:
        Value at s: shape, dtype and device of y.
    """
    if isinstance(by, FlowIntegrator):
        return by.flow(reverse.flow, y, t, s, run)
    assert isinstance(by, OnGrid)
    times = checked_times(by.grid, max(t, s), min(t, s), reverse.forward)
    reverse.forward.prepare(times)
    advance = _begun(by.integrator, reverse, run)
    for start, end in pairwise(times if t > s else times[::-1]):
        y = advance(y, start, end)
        if end != s:
            run.report(end, y)
    return y


def last_seen(forward: ForwardSDE) -> float:
    """The time up to which the flow is followed: T, or where no data can be seen any more."""
    return min(forward.horizon, forward.T) if isinstance(forward, LinearSDE) else forward.T


def stretch(forward: ForwardSDE) -> float:
    """What the flow multiplies a state with between :func:`last_seen` and T."""
    if not isinstance(forward, LinearSDE):
        return 1.0
    return forward.at(forward.T).sigma / forward.at(last_seen(forward)).sigma


def _begun(by: Integrator, reverse: ReverseSDE, run: Run) -> Advance:
    if isinstance(by, FlowIntegrator):
        return by.begin(reverse, run)

    def advance(y: Tensor, t: float, s: float) -> Tensor:
        return carried(by, reverse, y, t, s, run)

    return advance


def _why_not(by: object) -> str:
    if not isinstance(by, Integrator):
        return ""
    draws = by.claims.stochastic
    return "; it draws noise" if draws else "; it asks for the score, and for no velocity"
