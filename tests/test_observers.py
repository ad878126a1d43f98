from __future__ import annotations

import contextlib
import math
import sys
from dataclasses import replace

import pytest
import torch
from common import GaussianScore, normal

from sdeplug import (
    Event,
    Guard,
    Leg,
    NonFiniteError,
    OnGrid,
    Pipeline,
    Progress,
    ReverseSDE,
    Run,
    SharedNoise,
    Trajectory,
    Uniform,
    solver,
)
from sdeplug.errors import ArgumentError
from sdeplug.sde import VPSDE

PIPELINE = Pipeline(
    ReverseSDE(VPSDE(), GaussianScore(VPSDE())),
    (Leg(0.1, OnGrid(solver("song/euler-maruyama"), Uniform(9))),),
)


def event(x: torch.Tensor, t: float = 0.5) -> Event:
    return Event(t, x, leg=1)


def test_a_run_reports_to_every_observer_in_order():
    seen = []
    observers = (lambda event: seen.append((1, event)), lambda event: seen.append((2, event)))
    x = normal(2, 2)
    Run(SharedNoise(0), observers, leg=3, count=lambda: 7).report(0.4, x)
    assert [(who, e.t, e.nfe, e.leg, e.x is x) for who, e in seen] == [
        (1, 0.4, 7, 3, True),
        (2, 0.4, 7, 3, True),
    ]
    Run(SharedNoise(0), observers).report(0.4, x)
    assert (seen[-1][1].nfe, seen[-1][1].leg) == (0, 0)


@pytest.mark.parametrize("every", [1, 2, 3, 20])
def test_a_trajectory_keeps_every_so_many(every):
    whole, some = Trajectory(), Trajectory(every)
    out = PIPELINE.sample((3, 2), observers=(whole, some))
    assert whole.times == pytest.approx([1.0 - 0.1 * k for k in range(10)])
    assert torch.equal(whole.states[-1], out.x)
    assert some.times == whole.times[::every]
    assert torch.equal(some.stack(), whole.stack()[::every])
    assert some.stack().shape == (len(some.times), 3, 2)


@pytest.mark.parametrize("make", [Trajectory, Guard])
@pytest.mark.parametrize("every", [0, -1, 1.5, True, "2"])
def test_every_is_a_whole_number_above_0(make, every):
    with pytest.raises(ArgumentError, match="every = "):
        make(every)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_guard_stops_at_the_first_bad_row(bad):
    guard, good = Guard(), normal(4, 2, 2)
    guard(event(good, 0.6))
    x = good.clone()
    x[2, 1, 0] = x[3, 0, 0] = bad
    with pytest.raises(NonFiniteError, match=r"row 2 .* t = 0\.5, after t = 0\.6") as caught:
        guard(event(x))
    error = caught.value
    assert (error.t, error.row, error.last_t, error.leg) == (0.5, 2, 0.6, 1)
    assert torch.equal(error.last, good)
    assert error.last.data_ptr() != good.data_ptr()


def test_a_guard_with_nothing_seen_says_so():
    with pytest.raises(NonFiniteError, match="at the start") as caught:
        Guard()(event(torch.tensor([[math.nan]])))
    assert caught.value.last is None
    assert caught.value.last_t is None


def test_a_guard_is_not_fooled_by_a_sum_that_overflows():
    Guard()(event(torch.full((4, 4), 3e38)))
    Guard()(event(torch.full((300, 4), 6e4, dtype=torch.float16)))
    with pytest.raises(NonFiniteError):
        Guard()(event(torch.tensor([[math.inf, -math.inf]])))


def test_a_guard_looks_at_every_so_many():
    guard, bad = Guard(every=3), torch.tensor([[math.nan]])
    guard(event(torch.zeros(1, 1)))
    guard(event(bad))
    guard(event(bad))
    with pytest.raises(NonFiniteError):
        guard(event(bad))
    with pytest.raises(NonFiniteError):
        Guard(every=3).check(event(bad))


def test_a_guard_that_waits_says_the_same():
    guard, good = Guard(together=4), torch.zeros(3, 1)
    bad = torch.tensor([[0.0], [math.nan], [0.0]])
    for t, x in ((0.9, good), (0.8, good), (0.7, bad)):
        guard(event(x, t))
    with pytest.raises(NonFiniteError, match=r"row 1 .* t = 0\.7, after t = 0\.8") as caught:
        guard(event(bad, 0.6))
    assert caught.value.last_t == 0.8
    guard(event(good, 0.5))
    guard(event(bad, 0.4))
    with pytest.raises(NonFiniteError, match=r"t = 0\.4, after t = 0\.5"):
        guard.check(event(bad, 0.3))
    with pytest.raises(ArgumentError, match="together = 0"):
        Guard(together=0)


def test_a_guard_hears_late_of_what_is_still_on_its_way(monkeypatch):
    """As on an accelerator, where nobody waits for an answer."""
    slow = [True]
    monkeypatch.setattr("sdeplug.observers._Arriving.here", property(lambda _: not slow[0]))
    guard, good, bad = Guard(), torch.zeros(3, 1), torch.tensor([[0.0], [math.nan], [0.0]])
    for t, x in ((0.9, good), (0.8, good), (0.7, bad), (0.6, bad)):
        guard(event(x, t))
    slow[0] = False
    with pytest.raises(NonFiniteError, match=r"row 1 .* t = 0\.7, after t = 0\.8"):
        guard(event(bad, 0.5))
    slow[0], guard = True, Guard()
    for t, x in ((0.9, good), (0.8, bad)):
        guard(event(x, t))
    with pytest.raises(NonFiniteError, match=r"t = 0\.8, after t = 0\.9"):
        guard.check(event(bad, 0.7))  # at the end it waits


def test_a_progress_bar_runs_to_the_end(capsys):
    with Progress(to=0.1, title="busy") as bar:
        PIPELINE.sample((3, 2), observers=(bar,))
        assert bar._bar is None  # it has closed itself at the end of time
        PIPELINE.sample((3, 2), observers=(bar,))
    error = capsys.readouterr().err
    assert "busy" in error
    assert "9 evaluations" in error
    assert "t = 0.1000" in error


def test_a_progress_bar_is_closed_when_the_run_fails(capsys):
    def fail(event):
        assert bar._bar is not None
        raise ZeroDivisionError

    bar = Progress()
    with pytest.raises(ZeroDivisionError), bar:
        PIPELINE.sample((3, 2), observers=(bar, fail))
    assert bar._bar is None
    assert "t = 1.0000" in capsys.readouterr().err


def broken(x, t):
    if float(t[0]) < 0.5:
        raise ZeroDivisionError
    return -x


@pytest.mark.parametrize(
    ("end", "score"),
    [(0.1, None), (0.0, None), (0.0, broken), (0.0, lambda x, t: x / 0.0)],
    ids=["at the end", "before it", "an error in the score", "a state that is not finite"],
)
def test_a_progress_bar_closes_on_every_way_out_without_a_with(end, score, capsys):
    before = sys.stdout, sys.stderr
    bar = Progress(to=end)
    pipeline = PIPELINE
    if score is not None:
        pipeline = replace(PIPELINE, reverse=replace(PIPELINE.reverse, score_model=score))
    with contextlib.suppress(ArithmeticError):
        pipeline.sample((3, 2), observers=(bar,))
    assert bar._bar is None
    assert (sys.stdout, sys.stderr) == before


def test_an_observer_that_stops_the_run_closes_the_bar_of_another(capsys):
    def interrupt(event):
        raise KeyboardInterrupt

    bar, before = Progress(), sys.stdout
    with pytest.raises(KeyboardInterrupt):
        PIPELINE.sample((3, 2), observers=(bar, interrupt))
    assert bar._bar is None
    assert sys.stdout is before


def test_no_state_is_printed_with_an_event_or_a_trajectory():
    trajectory, said = Trajectory(), []
    PIPELINE.sample((300, 2), observers=(trajectory, lambda event: said.append(repr(event))))
    assert "tensor" not in "".join((repr(trajectory), *said))
    assert said[1].startswith("Event(t=0.9, nfe=1")
