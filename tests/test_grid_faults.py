"""The conformance test of grids finds grids that have one fault each."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

import pytest

from sdeplug.grid import (
    Beta,
    TimeGrid,
    Uniform,
)
from sdeplug.options import option
from sdeplug.testing import Verdict, check_grid


@dataclass(frozen=True)
class Faulty(TimeGrid):
    """Equal steps, unless a subclass says otherwise."""

    steps: int = option(help="number of steps", ge=1)

    def times(self, t, s, sde):
        return Uniform(self.steps).times(t, s, sde)


@dataclass(frozen=True)
class LongStep(Faulty):
    def times(self, t, s, sde):
        return [t, s]


@dataclass(frozen=True)
class ShortOfTheEnd(Faulty):
    def times(self, t, s, sde):
        return Uniform(self.steps).times(t, max(s, sde.eps), sde)


@dataclass(frozen=True)
class Standing(Faulty):
    def times(self, t, s, sde):
        inner = Uniform(self.steps).times(t, s, sde)
        return [t, *inner[1:2], *inner[1:]] if self.steps > 100 else inner


CALLS = []


@dataclass(frozen=True)
class Moody(Faulty):
    def times(self, t, s, sde):
        CALLS.append(t)
        first, *rest = Uniform(self.steps).times(t, s, sde)
        return [first, *(u + 1e-9 * len(CALLS) * (t - u) * (u - s) for u in rest)]


@dataclass(frozen=True)
class Forgetful(Faulty):
    @property
    def length(self):
        return 7


@dataclass(frozen=True, eq=False)
class Alone(Faulty):
    __eq__ = object.__eq__
    __hash__ = object.__hash__


@pytest.mark.parametrize(
    ("make", "check", "message"),
    [
        (LongStep, "check_times_on_VPSDE", "1 steps instead of 2"),
        (ShortOfTheEnd, "check_times_on_VESDE", "Its ends are"),
        (Standing, "check_times_on_EDMSDE", "use fewer steps"),
        (Moody, "check_times_on_SubVPSDE", "other times when asked again"),
        (Forgetful, "check_value", "its length is 7"),
        (Alone, "check_value", "not equal"),
        (lambda steps: Beta(max(steps, 2)), "check_times_on_VPSDE", "2 steps instead of 1"),
    ],
)
def test_a_fault_is_found(make, check, message):
    report = check_grid(make)
    assert report.verdict is Verdict.FAILED
    assert message in next(each.reason for each in report.failures if each.name == check)


def test_a_sound_grid_of_a_stranger_passes_and_comes_back_from_pickle():
    assert check_grid(Faulty).passed
    assert pickle.loads(pickle.dumps(Beta(3))) == Beta(3)
