"""What leaves the house belongs to the caller, and who looks does not change what is seen."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from common import GaussianScore

from sdeplug import (
    VPSDE,
    Integrator,
    Leg,
    NonFiniteError,
    OnGrid,
    Pipeline,
    ReverseSDE,
    Trajectory,
    Uniform,
    solver,
)
from sdeplug.errors import ArgumentError

SDE = VPSDE()
REVERSE = ReverseSDE(SDE, GaussianScore(SDE))
EM = OnGrid(solver("song/euler-maruyama"), Uniform(4))
HOLD = Pipeline(REVERSE, Leg(0.1, solver("song/hold")))


@dataclass(frozen=True)
class View(Integrator):
    """Returns a view of what it is given."""

    def integrate(self, reverse, x, t, s, run):
        return x.view_as(x)


def shared(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


@pytest.mark.parametrize("by", [solver("song/hold"), View(), EM])
def test_samples_share_no_memory_with_the_state_that_they_start_from(by):
    x = torch.ones(3, 2)
    out = Pipeline(REVERSE, (Leg(0.4, by), Leg(0.1, by))).sample(x=x)
    assert not shared(out.x, x)
    out.x.zero_()
    assert torch.equal(x, torch.ones(3, 2))


def test_a_trajectory_shares_no_memory_with_input_and_result():
    x, kept = torch.ones(3, 2), Trajectory()
    out = Pipeline(REVERSE, Leg(0.1, EM)).sample(x=x, observers=kept)
    first, last = kept.states[0].clone(), kept.states[-1].clone()
    assert torch.equal(last, out.x)
    x.zero_()
    out.x.zero_()
    assert torch.equal(kept.states[0], first)
    assert torch.equal(kept.states[-1], last)


def test_the_last_finite_state_of_an_error_is_the_callers():
    x = torch.ones(3, 2)
    broken = Pipeline(ReverseSDE(SDE, lambda x, t: x * torch.nan), Leg(0.1, EM))
    with pytest.raises(NonFiniteError) as caught:
        broken.sample(x=x)
    assert torch.equal(caught.value.last, x)
    assert not shared(caught.value.last, x)


@pytest.mark.parametrize(
    "write",
    [
        lambda x: x.zero_(),
        lambda x: x.add_(1.0),
        lambda x: x[0].mul_(2.0),
        lambda x: x.detach().clamp_(0.0, 1.0),
        lambda x: x.view(-1).__setitem__(0, 5.0),
    ],
)
def test_an_observer_that_writes_to_the_state_is_told_so(write):
    def meddle(event):
        if event.t < 0.9:
            write(event.x)

    seen = []
    with pytest.raises(
        ArgumentError, match=r"observers = .*meddle.*written to event\.x at t = 0\.7"
    ):
        Pipeline(REVERSE, Leg(0.1, EM)).sample((3, 2), observers=(meddle, seen.append))
    assert [event.t for event in seen] == [1.0]


def test_observers_that_look_are_left_alone_in_inference_mode_too():
    watch = Trajectory()
    with torch.inference_mode():
        Pipeline(REVERSE, Leg(0.1, EM)).sample((3, 2), observers=watch)
    assert len(watch.times) == 5


@pytest.mark.parametrize("shape", [(3, 2), (3, 6000)])
def test_the_guard_finds_the_first_state_that_is_not_finite(shape):
    """Of a small state, to the step; of a large one, within four."""

    def score(x, t):
        return torch.where(t[:, None] < 0.505, torch.nan, -x)

    by = OnGrid(solver("song/euler-maruyama"), Uniform(100))
    calls = []
    reverse = ReverseSDE(SDE, lambda x, t: calls.append(t) or score(x, t))
    with pytest.raises(NonFiniteError) as caught:
        Pipeline(reverse, Leg(SDE.eps, by)).sample(shape)
    error = caught.value
    first = next(t for t in by.grid.times(1.0, SDE.eps, SDE) if t < 0.4999)
    if shape == (3, 2):
        assert error.t == pytest.approx(first, abs=0.011)
        assert error.last_t - error.t == pytest.approx(0.00999)
    assert first - 0.05 < error.t <= first + 0.011 < error.last_t + 0.022
    assert bool(error.last.isfinite().all())
    assert len(calls) < 80


def test_what_fails_because_of_a_state_that_is_not_finite_is_blamed_on_it():
    def score(x, t):
        if not bool(x.isfinite().all()):
            raise ValueError("my network wants numbers")
        return torch.where(t[:, None] < 0.5, torch.nan, -x)

    by = OnGrid(solver("song/euler-maruyama"), Uniform(10))
    with pytest.raises(NonFiniteError, match=r"not finite at t = 0\.3") as caught:
        Pipeline(ReverseSDE(SDE, score), Leg(SDE.eps, by)).sample((3, 2))
    assert isinstance(caught.value.__cause__, ValueError)

    def fails(x, t):
        raise ValueError("something else")

    with pytest.raises(ValueError, match="something else"):
        Pipeline(ReverseSDE(SDE, fails), Leg(SDE.eps, by)).sample((3, 2))
