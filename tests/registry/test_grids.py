"""Grids have names like everything else, whoever offers them."""

from __future__ import annotations

import types
from dataclasses import dataclass

import pytest

from sdeplug.errors import ArgumentError, PluginError, UnknownNameError
from sdeplug.grid import GRIDS, TimeGrid, Uniform
from sdeplug.options import option
from sdeplug.registry import (
    Registry,
    catalogue,
    from_spec,
    hookimpl,
    named_grid,
    to_spec,
    words,
)
from sdeplug.registry.building import grid


@dataclass(frozen=True)
class Halving(TimeGrid):
    """Each step covers half of what is left."""

    steps: int = option(help="number of steps", ge=1)

    def times(self, t, s, sde):
        return (*(s + (t - s) * 0.5**k for k in range(self.steps)), s)


def offering(**grids: object) -> types.SimpleNamespace:
    return types.SimpleNamespace(sdeplug_grids=hookimpl(lambda: grids))


@pytest.fixture
def mine(monkeypatch):
    """A registry with a plugin of grids, in the place of the one of the process."""
    known = Registry(())
    known.register(offering(halving=Halving, uniform=Halving), "mine")
    for module in (catalogue, words):
        monkeypatch.setattr(module, "registry", lambda: known)
    monkeypatch.setattr("sdeplug.registry.spec.registry", lambda: known)
    monkeypatch.setattr("sdeplug.registry.building.registry", lambda: known)
    return known


def test_the_grids_of_a_plugin_are_listed_beside_those_of_the_core(mine):
    core = {f"core/{name}" for name in GRIDS}
    assert set(mine.grids()) == core | {"mine/halving", "mine/uniform"}


def test_a_grid_of_a_plugin_is_accepted_wherever_a_grid_is_named(mine):
    wanted = Halving(steps=3)
    assert grid("halving", steps=3) == grid("mine/halving", steps=3) == wanted
    assert named_grid("halving", 3) == named_grid("mine/halving:steps=3", None) == wanted
    spec = to_spec(wanted)
    assert spec == {"name": "mine/halving", "steps": 3}
    assert from_spec(spec, TimeGrid) == wanted


def test_a_plugin_does_not_change_what_a_name_of_the_core_means(mine):
    assert grid("uniform", steps=3) == Uniform(3)
    assert grid("mine/uniform", steps=3) == Halving(3)
    assert from_spec({"name": "uniform", "steps": 3}, TimeGrid) == Uniform(3)
    assert to_spec(Uniform(3)) == {"name": "uniform", "steps": 3}


def test_a_grid_that_is_none_is_left_out_and_the_others_are_there():
    known = Registry(())
    with pytest.raises(PluginError, match="a class that derives from TimeGrid"):
        known.register(offering(wrong=Halving(3)), "wrong")
    with pytest.raises(PluginError, match="a class without abstract methods"):
        known.register(offering(wrong=TimeGrid), "wrong")
    assert known.find("grids", "karras").obj is GRIDS["karras"]


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("karas", {}, UnknownNameError, "Did you mean 'core/karras'"),
        (3, {}, ArgumentError, "name = 3"),
        ("karras", {}, ArgumentError, "steps"),
        ("karras", {"stesp": 3}, ArgumentError, "Did you mean 'steps'"),
    ],
)
def test_what_is_no_grid_is_refused(name, options, error, message):
    with pytest.raises(error, match=message):
        grid(name, **options)
