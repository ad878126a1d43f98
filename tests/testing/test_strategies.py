"""The public hypothesis strategies: what they draw is allowed, and shrinks to what is simple."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import pytest
import torch
from hypothesis import find, given, settings
from hypothesis import strategies as st

import sdeplug as sp
from sdeplug import Integrator, option
from sdeplug.errors import ArgumentError
from sdeplug.options import options_of
from sdeplug.registry import registry
from sdeplug.testing import strategies

SOLVERS = [entry.obj for entry in registry().solvers().values()]
CONFIGURED = [*SOLVERS, sp.OnGrid, sp.Corrected, sp.LogSNR, sp.Karras, sp.VPSDE, sp.VESDE]


@dataclass(frozen=True)
class Many(Integrator):
    """One option of each kind."""

    must: float = option(help="needed", gt=0.0, le=1.0)
    whole: int = option(3, help="a whole number", ge=1, le=4)
    above: int = option(7, help="a whole number", gt=2)
    maybe: float | None = option(None, help="a number", ge=-1.0)
    points: tuple[float, ...] = option((), help="numbers", ge=0.0)
    law: Callable[[float], float] = option(math.sin, help="a function")
    word: str = option("a", help="text")
    sde: sp.VPSDE = option(sp.VPSDE(), help="an SDE")

    def integrate(self, reverse, x, t, s, run):
        return x


@dataclass(frozen=True)
class NeedsFunction(Many):
    needed: Callable[[float], float] = option(math.sin, help="a function")
    text: str = option("", help="text")


@settings(max_examples=20)
@given(st.data())
@pytest.mark.parametrize("cls", CONFIGURED, ids=lambda cls: cls.__name__)
def test_solvers_builds_allowed_values_of_every_configured_class(cls, data):
    assert isinstance(data.draw(strategies.solvers(cls)), cls)


@given(strategies.solvers(Many))
def test_values_keep_to_type_and_bounds(solver):
    for each in options_of(Many):
        each.checked(getattr(solver, each.name))
    assert solver.law is math.sin


def test_an_option_may_have_a_strategy_of_its_own():
    given_ = {"must": st.just(0.125), "law": st.just(math.cos)}
    found = find(strategies.solvers(Many, given_), lambda solver: True)
    assert (found.must, found.law) == (0.125, math.cos)
    with pytest.raises(ArgumentError, match="an option of Many"):
        strategies.solvers(Many, {"mast": st.just(1.0)})


def test_a_required_option_without_a_strategy_is_asked_for():
    @dataclass(frozen=True)
    class Needy(Integrator):
        law: object = option(help="a function")

        def integrate(self, reverse, x, t, s, run):
            return x

    Needy.__annotations__["law"] = str
    with pytest.raises(ArgumentError, match="no strategy for the type"):
        strategies.solvers(Needy)


@given(strategies.sdes(), st.data())
def test_spans_lie_in_time_and_fit_every_grid(sde, data):
    t, s = data.draw(strategies.spans(sde))
    assert sde.eps <= s < t <= sde.T
    times = data.draw(strategies.grids()).times(t, s, sde)
    assert (times[0], times[-1]) == (t, s)
    assert all(late > early for late, early in pairwise(times))


@given(strategies.states())
def test_states_are_small_and_finite(x):
    assert 2 <= x.ndim <= 5
    assert 1 <= x.shape[0] <= 5
    assert x.dtype in (torch.float32, torch.float64)
    assert x.isfinite().all()


def test_they_shrink_to_what_is_simplest():
    sde = sp.VPSDE()
    assert find(strategies.spans(sde), lambda span: True) == (sde.T, sde.eps)
    assert find(strategies.shapes(), lambda shape: True) == (1, 1)
    assert find(strategies.shapes(), lambda shape: math.prod(shape[1:]) > 2) == (1, 3)
    assert find(strategies.grids(), lambda grid: True) == sp.Uniform(1)
    assert find(strategies.solvers(Many, {"must": st.just(1.0)}), lambda each: True) == Many(1.0)
    assert find(strategies.solvers(Many), lambda each: each.whole > 3).whole == 4
