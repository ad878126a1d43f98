"""A verdict on a time grid."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from sdeplug.errors import ArgumentError, PairingError
from sdeplug.grid import TimeGrid, checked_times
from sdeplug.sde import ForwardSDE
from sdeplug.testing.doors import Report
from sdeplug.testing.doors.proof import PROOF
from sdeplug.testing.doors.running import result_of
from sdeplug.testing.findings import Finding, NotApplicable, Outcome, Result, demand
from sdeplug.testing.makers import SDES

Make = Callable[[int], TimeGrid]

_STEPS = (1, 2, 3, 4, 7, 10, 50, 1000)


def check_grid(make: Make, sdes: Sequence[ForwardSDE] = ()) -> Report:
    """Whether a grid keeps its promises, on the forward SDEs of the core. ::

        print(check_grid(MyGrid))
        print(check_grid(lambda steps: MyGrid(steps, power=2.0)))

    On the whole time, down to 0 and on parts of it, its times run strictly down from end to end,
    in 1 to 1000 steps, as many as were asked for, and they are the same when asked again.  It may
    refuse an end where it has no times, with an :class:`ArgumentError` about ``s``, and an SDE of
    another kind, with a :class:`PairingError`.

    Args:
        make: the grid with a number of steps: its class, or a function.
        sdes: forward SDEs of your own, on which it has to be right too.

    Returns:
        A result for each SDE, and one for what the grid is as a value.
    """
    results = [result_of("check_value", partial(_value, make))]
    for sde in (*SDES, *sdes):
        results.append(
            result_of(f"check_times_on_{type(sde).__name__}", partial(_times, make, sde))
        )
    results.append(result_of(PROOF, partial(_proven, tuple(results[1:]))))
    return Report(getattr(make, "__name__", repr(make)), tuple(results))


def _value(make: Make) -> Finding:
    """A grid can be compared, put into a set and stored, and knows its length."""
    grid, same, other = make(3), make(3), make(4)
    demand(isinstance(grid, TimeGrid), f"{grid!r} is no TimeGrid")
    demand(grid == same and hash(grid) == hash(same), "two with the same options are not equal")
    demand(grid != other, "one with 3 steps equals one with 4")
    demand(pickle.loads(pickle.dumps(grid)) == grid, "it does not come back from pickle")
    demand(grid.length in (None, 3), f"with 3 steps its length is {grid.length}")
    return Finding("equal, hashable, stored")


def _times(make: Make, sde: ForwardSDE) -> Finding:
    """Its times on one SDE."""
    asked, refused = 0, set()
    for t, s in _spans(sde):
        for steps in _STEPS:
            try:
                _judge(make(steps), steps, (t, s), sde)
                asked += 1
            except PairingError as error:
                raise NotApplicable(str(error)) from error
            except ArgumentError as error:
                demand(error.argument == "s", f"from {t} to {s} in {steps} steps: {error}")
                refused.add((t, s))
    demand(asked > 0, f"it refuses every span, such as {next(iter(refused), ())}")
    told = f", {len(refused)} spans refused" if refused else ""
    return Finding(f"{asked} grids run strictly down{told}")


def _judge(grid: TimeGrid, steps: int, span: tuple[float, float], sde: ForwardSDE) -> None:
    times = checked_times(grid, *span, sde)
    where = f"from {span[0]} to {span[1]}"
    demand(len(times) == steps + 1, f"{where} it has {len(times) - 1} steps instead of {steps}")
    if steps < _STEPS[-1]:
        again = checked_times(grid, *span, sde)
        demand(again == times, f"{where} in {steps} steps it has other times when asked again")


def _spans(sde: ForwardSDE) -> Iterator[tuple[float, float]]:
    """The whole time, down to 0, its parts, and a short one near the data."""
    middle = sde.eps + 0.3 * (sde.T - sde.eps)
    yield from ((sde.T, sde.eps), (sde.T, 0.0), (sde.T, middle), (middle, sde.eps))
    yield sde.eps + 1e-3 * (sde.T - sde.eps), sde.eps


def _proven(results: tuple[Result, ...]) -> Finding:
    passed = sum(each.outcome is Outcome.PASSED for each in results)
    demand(passed > 0, "it serves none of the forward SDEs: give one of your own")
    return Finding(f"its times were measured on {passed} forward SDEs")
