"""The registry: single entries that do not work, and who owns a name."""

from __future__ import annotations

import importlib.metadata
import re
import sys

import pytest
from registry.sites import HEAD, Site, fresh

from sdeplug.errors import ArgumentError, PluginError, PluginWarning, UnknownNameError
from sdeplug.registry import Registry

BUNDLED = {  # the plugins of pyproject.toml, and the core
    "core", "adaptive", "exponential", "foreign", "ode", "song", "torchdiffeq", "torchsde"
}  # fmt: skip
BAD_ENTRIES = {
    "abstract": ("Bad", "@dataclass(frozen=True)\nclass Bad(Integrator): pass", "Define integrate"),
    "not a dataclass": (
        "Bad",
        "class Bad(Corrector):\n    def correct(self, *a): pass",
        "frozen dataclass",
    ),
    "not frozen": (
        "Bad",
        "@dataclass\nclass Bad(Corrector):\n    def correct(self, *a): pass",
        "frozen dataclass",
    ),
    "an instance": ("Mine()", "", "class that derives from Integrator or Corrector"),
    "another class": ("dict", "", "class that derives from Integrator or Corrector"),
    "nothing": ("None", "", "class that derives from Integrator or Corrector"),
}


@pytest.mark.parametrize("case", BAD_ENTRIES)
def test_a_bad_entry_is_left_out_and_its_neighbours_work(site, case):
    value, code, reason = BAD_ENTRIES[case]
    hook = f"@hookimpl\ndef sdeplug_solvers():\n    return {{'bad': {value}, 'mine': Mine}}\n"
    site.install("abc", f"{HEAD}\n{code}\n{hook}")
    registry = fresh()
    with pytest.warns(PluginWarning, match=f"'abc/bad' of dist-abc 1.0.*{reason}"):
        assert registry.find("solvers", "abc/mine")
    assert "abc/bad" not in registry.solvers()
    assert [failure.name for failure in registry.failures] == ["abc/bad"]
    for name in ("abc/bad", "bad"):
        with pytest.raises(PluginError, match=reason):
            registry.find("solvers", name)


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("import nowhere_to_be_found\n", 1),
        ("import math\n\nwidth = 1 / 0\n", 3),
        ("def broken(:\n", 1),
        (
            "from sdeplug import hookimpl\n\n@hookimpl\ndef sdeplug_solvers():\n    return {}[0]\n",
            5,
        ),
        ("import math\nimport sdeplug\nsdeplug.VPSDE(beta_max=-1.0)\n", None),
    ],
)
def test_a_plugin_that_fails_shows_file_and_line(site, code, line):
    site.install("abc", code)
    with pytest.warns(PluginWarning, match="'abc'.* was left out: .*Error") as caught:
        assert "ode/heun" in fresh().solvers()
    text = str(caught[0].message)
    if line is None:  # what sdeplug refuses names the argument
        assert "beta_max = -1.0" in text
    else:
        assert re.search(rf"\(.*abc.*\.py, line {line}\)", text), text


@pytest.mark.parametrize("name", ["Bad", "a_b", "-a", "", "a/b", "ä", "a b", "a\n", 3, None])
def test_a_bad_name_is_left_out_and_its_neighbours_work(site, name):
    hook = f"@hookimpl\ndef sdeplug_solvers():\n    return {{{name!r}: Mine, 'mine': Mine}}\n"
    site.install("abc", HEAD + hook)
    with pytest.warns(PluginWarning, match="lower-case letters"):
        names = [each for each in fresh().solvers() if each.startswith("abc/")]
    assert names == ["abc/mine"]


def test_a_bad_name_of_a_plugin_is_left_out(site):
    site.install("Abc_d")
    with pytest.warns(PluginWarning, match="lower-case letters"):
        assert not any("mine" in name for name in fresh().solvers())


def test_sdes_and_targets_are_checked_too(site):
    code = """
from sdeplug import LinearSDE, hookimpl
@hookimpl
def sdeplug_sdes():
    return {"bad": LinearSDE}
@hookimpl
def sdeplug_targets():
    return {"bad": "a string"}
"""
    site.install("abc", code)
    registry = fresh()
    assert {failure.kind for failure in registry.failures} == {"sdes", "targets"}
    with pytest.raises(PluginError, match="abstract"):
        registry.find("sdes", "abc/bad")
    with pytest.raises(PluginError, match="not str"):
        registry.find("targets", "abc/bad")


# Who owns a name


@pytest.mark.parametrize("name", ["song", "core"])
def test_a_bundled_plugin_cannot_be_shadowed(site, name):
    module = site.install(name, distribution="shady", version="6.6.6")
    registry = fresh()
    with pytest.warns(PluginWarning, match=f"'{name}' of shady 6.6.6.*sdeplug "):
        assert registry.find("solvers", "song/langevin").bundled
    assert registry.find("sdes", "core/vp").bundled
    assert module not in sys.modules
    assert f"{name}/mine" not in registry.solvers()
    with pytest.raises(UnknownNameError, match=r"shady 6\.6\.6"):
        registry.find("solvers", f"{name}/mine")


def test_two_foreign_claims_are_both_refused(site):
    modules = [
        site.install("abc", distribution="one", version="1.1"),
        site.install("abc", distribution="two", version="2.2"),
    ]
    registry = fresh()
    with pytest.warns(PluginWarning) as record:
        assert "abc/mine" not in registry.solvers()
    assert len(record) == 2
    assert all("one 1.1" in str(each.message) for each in record)
    assert all("two 2.2" in str(each.message) for each in record)
    assert {failure.distribution for failure in registry.failures} == {"one", "two"}
    for name in ("abc/mine", "abc"):
        with pytest.raises(PluginError, match=r"one 1\.1.*two 2\.2"):
            registry.find("solvers", name)
    assert not any(module in sys.modules for module in modules)


def test_one_distribution_on_the_path_twice_is_no_clash(site, tmp_path):
    again = Site(tmp_path / "again")
    site.install("abc", distribution="The.Dist", version="1.0")
    again.install("abc", distribution="the-dist", version="2.0")
    points = [
        point
        for folder in (site.folder, again.folder)
        for each in importlib.metadata.distributions(path=[str(folder)])
        for point in each.entry_points
    ]
    assert len(points) == 2
    registry = Registry(points, {})
    assert registry.find("solvers", "abc/mine").version == "1.0"
    assert registry.failures == ()


def test_entry_points_without_a_distribution_are_told_apart(site):
    modules = [site.install("abc", distribution=name) for name in ("one", "two")]
    points = [importlib.metadata.EntryPoint("abc", module, "sdeplug") for module in modules]
    assert Registry(points[:1], {}).find("solvers", "abc/mine")
    assert len(Registry(points, {}).failures) == 2


# The environment


def test_a_blocked_plugin_is_left_out_in_silence(site):
    module = site.install("abc")
    site.install("xyz")
    registry = fresh(SDEPLUG_BLOCK="song, abc")
    assert set(registry.plugins()) == BUNDLED - {"song"} | {"xyz"}
    assert not any(name.startswith(("abc/", "song/")) for name in registry.solvers())
    assert module not in sys.modules
    for name in ("abc/mine", "song/langevin", "abc", "song"):
        with pytest.raises(PluginError, match="SDEPLUG_BLOCK=song, abc"):
            registry.find("solvers", name)
    with pytest.raises(UnknownNameError, match=r"Left out: .*song \(by SDEPLUG_BLOCK"):
        registry.find("solvers", "langevin")


def test_autoload_off_leaves_the_bundled_plugins(site):
    module = site.install("abc")
    site.install("song", distribution="shady")
    registry = fresh(SDEPLUG_AUTOLOAD="0")
    assert set(registry.plugins()) == BUNDLED
    assert registry.find("solvers", "langevin").bundled
    assert module not in sys.modules
    with pytest.raises(PluginError, match="SDEPLUG_AUTOLOAD=0"):
        registry.find("solvers", "abc/mine")


def test_autoload_is_zero_or_one(site):
    site.install("abc")
    for text in ("1", ""):
        assert fresh(SDEPLUG_AUTOLOAD=text).find("solvers", "abc/mine")
    with pytest.raises(ArgumentError, match="must be 0 or 1"):
        fresh(SDEPLUG_AUTOLOAD="false").solvers()
