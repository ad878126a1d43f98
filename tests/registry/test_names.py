"""The registry: names that are not there, building by name, and what is not imported."""

from __future__ import annotations

import re
import subprocess
import sys
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st
from registry.sites import HEAD, fresh

from sdeplug import Integrator, hookimpl
from sdeplug.errors import ArgumentError, PluginError, PluginWarning, UnknownNameError
from sdeplug.registry import Registry, building, catalogue, sde, solver, target
from sdeplug.sde import NAMED_SDES, VPSDE
from sdeplug.targets import Target


@pytest.mark.parametrize("name", ["song/langevni", "langevni", "sogn/langevin", "ode/langevin"])
def test_a_typo_lists_near_names_and_says_where_all_are(name):
    with pytest.raises(UnknownNameError, match=r"Did you mean .*'song/langevin'") as error:
        fresh().find("solvers", name)
    assert "`sdeplug list solvers` shows all" in str(error.value)
    assert len(str(error.value)) < 200
    assert "pip install" not in str(error.value)


def test_the_name_of_a_plugin_alone_lists_what_it_offers(site):
    site.install("abc")
    with pytest.raises(UnknownNameError, match="Did you mean 'abc/mine'"):
        fresh().find("solvers", "abc")


def test_an_ambiguous_short_name_lists_the_full_ones(site):
    site.install("abc")
    site.install("xyz")
    registry = fresh()
    with pytest.raises(UnknownNameError, match="'abc/mine', 'xyz/mine'"):
        registry.find("solvers", "mine")
    assert registry.find("solvers", "xyz/mine").plugin == "xyz"


def test_a_bare_checkout_says_that_nothing_is_installed():
    registry = Registry((), {})
    for name in ("song/langevin", "langevin"):
        with pytest.raises(UnknownNameError, match=r"not installed.*pip install -e \."):
            registry.find("solvers", name)
    assert registry.find("sdes", "vp").obj is VPSDE


@given(st.text(max_size=20) | st.from_regex("[a-z-]{0,5}/?[a-z-]{0,9}", fullmatch=True))
def test_any_text_is_a_name_or_a_clear_error(name):
    registry = Registry((), {})
    if name.removeprefix("core/") in NAMED_SDES:
        assert name in ((entry := registry.find("sdes", name)).name, entry.short)
    else:
        with pytest.raises(UnknownNameError, match=re.escape(repr(name))):
            registry.find("sdes", name)


def test_a_name_is_a_str():
    with pytest.raises(ArgumentError, match="not ABCMeta"):
        fresh().find("solvers", Integrator)


# Building by name


@pytest.fixture
def installed(site, monkeypatch):
    site.install("abc")
    registry = fresh()
    monkeypatch.setattr(building, "registry", lambda: registry)
    return registry


def test_a_solver_is_built_with_its_options(installed):
    assert solver("abc/mine", size=2.0).size == 2.0
    assert sde("vp", beta_max=10.0) == VPSDE(beta_max=10.0)


def test_a_wrong_option_names_the_allowed_ones(installed):
    with pytest.raises(ArgumentError, match=r"abc/mine.*'sise'.*size \(float\).*mean 'size'"):
        solver("mine", sise=2.0)
    with pytest.raises(ArgumentError, match=r"size = '2': must be of type float"):
        solver("mine", size="2")


def test_a_target_is_a_target(site, installed):
    assert isinstance(target("eight-gaussians"), Target)
    module = types.SimpleNamespace(sdeplug_targets=hookimpl(lambda: {"odd": lambda: 3}))
    installed.register(module, "odd")
    with pytest.raises(PluginError, match="built 3: must be a Target"):
        target("odd/odd")


def test_a_warning_points_at_the_users_call(site, installed):
    site.install("bad", "import not_there_at_all")
    with pytest.warns(PluginWarning) as record:
        solver("mine")
    assert record[0].filename == __file__


# Plugins of this process


def module_with(cls: type | None) -> types.SimpleNamespace:
    return types.SimpleNamespace(sdeplug_solvers=hookimpl(lambda: {"mine": cls}))


def test_a_notebook_can_register_and_register_again(site):
    site.install("abc")
    registry = fresh()
    cls = registry.find("solvers", "abc/mine").obj
    registry.register(module_with(cls), "note")
    assert registry.find("solvers", "note/mine").distribution == ""
    newer = type("Newer", (cls,), {})
    registry.register(module_with(newer), "note")
    assert registry.find("solvers", "note/mine").obj is newer
    assert registry.name_of(newer) == "note/mine"


def test_registering_is_strict(site):
    site.install("abc")
    registry = fresh(SDEPLUG_BLOCK="blocked")
    with pytest.raises(PluginError, match=r"this process.*not NoneType"):
        registry.register(module_with(None), "note")
    assert "note" not in registry.plugins()
    for name in ("song", "core", "abc"):
        with pytest.raises(PluginError, match="belongs to"):
            registry.register(module_with(None), name)
    with pytest.raises(PluginError, match="SDEPLUG_BLOCK"):
        registry.register(module_with(None), "blocked")
    with pytest.raises(ArgumentError, match="lower-case"):
        registry.register(module_with(None), "Note")
    assert registry.failures == ()


# Laziness


def test_a_full_name_imports_its_own_plugin_only(site):
    wanted, other = site.install("abc"), site.install("xyz")
    registry = fresh()
    registry.plugins()
    assert wanted not in sys.modules
    registry.find("solvers", "abc/mine")
    assert wanted in sys.modules
    assert other not in sys.modules
    registry.find("solvers", "langevin")
    assert other in sys.modules


def test_a_hook_may_ask_for_names(site, monkeypatch):
    code = HEAD + (
        "import sys\n@hookimpl\ndef sdeplug_solvers():\n"
        "    others = sys.modules['sdeplug.registry'].registry().solvers()\n"
        "    return {'mine': Mine} if 'song/langevin' in others else {}\n"
    )
    site.install("abc", code)
    registry = fresh()
    monkeypatch.setattr(catalogue, "registry", lambda: registry)
    assert "abc/mine" in registry.solvers()


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_importing_loads_no_plugin_and_listing_no_heavy_package():
    code = """
import sys
from sdeplug.registry import Registry
assert not [name for name in sys.modules if name.startswith("sdeplug_")]
registry = Registry()
assert registry.solvers() and registry.sdes() and registry.targets()
assert registry.failures == (), registry.failures
heavy = {"scipy", "torchsde", "torchdiffeq", "sklearn", "matplotlib", "diffusers"}
print(sorted(heavy & set(sys.modules)))
"""
    assert run_python(code) == "[]\n"


def test_a_plugin_offers_methods_for_scores():
    class Guided:
        def __init__(self, score, measurement):
            self.score = score

    known = Registry(())
    plugin = types.SimpleNamespace(sdeplug_scores=hookimpl(lambda: {"guided": Guided}))
    known.register(plugin, "mine")
    assert known.scores()["mine/guided"].obj is Guided
    assert known.find("scores", "guided").name == "mine/guided"
    wrong = types.SimpleNamespace(sdeplug_scores=hookimpl(lambda: {"guided": 3}))
    with pytest.raises(PluginError, match="a class or a function that builds a score"):
        known.register(wrong, "wrong")
