"""The registry against foreign distributions made on the fly, sound ones and broken ones."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdeplug import HOOKSPEC_VERSION, Integrator, LinearSDE, hookimpl
from sdeplug.errors import ArgumentError, PluginError, PluginWarning, UnknownNameError
from sdeplug.registry import Registry, building, catalogue, sde, solver, target
from sdeplug.sde import NAMED_SDES, VPSDE
from sdeplug.targets import Target

BUNDLED = {  # the plugins of pyproject.toml, and the core
    "core", "adaptive", "exponential", "foreign", "ode", "song", "torchdiffeq", "torchsde"
}  # fmt: skip

HEAD = """
from abc import ABC
from dataclasses import dataclass
from sdeplug import Corrector, ForwardSDE, Integrator, hookimpl

@dataclass(frozen=True)
class Mine(Integrator):
    size: float = 1.0
    def integrate(self, reverse, x, t, s, run):
        return x
"""
SOUND = """
@hookimpl
def sdeplug_solvers():
    return {"mine": Mine}
"""


class Site:
    """A folder on sys.path into which distributions are put, as an installer would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(
        self,
        plugin: str,
        code: str = HEAD + SOUND,
        *,
        distribution: str | None = None,
        version: str = "1.0",
    ) -> str:
        """Returns the name of the module."""
        distribution = distribution or f"dist-{plugin}"
        module = f"foreign_{distribution}_{plugin}_{version}".translate(str.maketrans("-.", "__"))
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        self.folder.joinpath(f"{module}.py").write_text(code)
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        info.joinpath("METADATA").write_text(metadata)
        info.joinpath("entry_points.txt").write_text(f"[sdeplug]\n{plugin} = {module}\n")
        info.joinpath("RECORD").write_text("")
        info.joinpath("INSTALLER").write_text("test\n")
        return module


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    yield Site(folder)
    for name in [each for each in sys.modules if each.startswith("foreign_")]:
        del sys.modules[name]


def fresh(**environment: str) -> Registry:
    return Registry(environment=environment)


# Sound plugins


def test_a_foreign_plugin_is_found_with_its_provenance(site):
    site.install("abc", version="2.5")
    entry = fresh().find("solvers", "abc/mine")
    assert (entry.name, entry.plugin, entry.distribution, entry.version) == (
        "abc/mine",
        "abc",
        "dist-abc",
        "2.5",
    )
    assert entry.obj.__name__ == "Mine"
    assert fresh().find("solvers", "mine").name == "abc/mine"


def test_sdes_and_targets_have_names_too(site):
    code = """
from sdeplug import VPSDE, hookimpl, targets
@hookimpl
def sdeplug_sdes():
    return {"slow": VPSDE}
@hookimpl
def sdeplug_targets():
    return {"pair": lambda: "no target"}
"""
    site.install("abc", code)
    registry = fresh()
    assert registry.find("sdes", "slow").obj is VPSDE
    assert set(registry.sdes()) == {f"core/{name}" for name in NAMED_SDES} | {"abc/slow"}
    assert "abc/pair" in registry.targets()
    assert any(name.startswith("core/") for name in registry.targets())
    assert "abc/slow" not in registry.solvers()


def test_the_listing_is_sorted_and_cannot_be_changed(site):
    site.install("abc")
    listing = fresh().solvers()
    assert list(listing) == sorted(listing)
    with pytest.raises(TypeError):
        listing["x/y"] = None


def test_a_class_knows_its_name(site):
    site.install("abc")
    registry = fresh()
    assert registry.name_of(registry.find("solvers", "abc/mine").obj) == "abc/mine"
    assert registry.name_of(VPSDE) == "core/vp"
    with pytest.raises(PluginError, match=r"register\(module"):
        registry.name_of(LinearSDE)


# Plugins that do not work at all

BROKEN = {
    "import": ("import not_there_at_all", ModuleNotFoundError),
    "exit at import": ("import sys; sys.exit(3)", SystemExit),
    "syntax": ("def (", SyntaxError),
    "hook raises": (
        HEAD + "@hookimpl\ndef sdeplug_solvers():\n    raise OSError('disk')",
        OSError,
    ),
    "hook exits": (
        HEAD + "@hookimpl\ndef sdeplug_solvers():\n    raise SystemExit",
        SystemExit,
    ),
    "a list": (HEAD + "@hookimpl\ndef sdeplug_solvers():\n    return [Mine]", ArgumentError),
    "no return": (HEAD + "@hookimpl\ndef sdeplug_solvers():\n    {'mine': Mine}", ArgumentError),
    "no mark": (HEAD + "def sdeplug_solvers():\n    return {'mine': Mine}", ArgumentError),
    "arguments": (HEAD + "@hookimpl\ndef sdeplug_solvers(more):\n    return {}", Exception),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_left_out_and_the_rest_works(site, case):
    code, cause = BROKEN[case]
    site.install("bad", code, version="0.7")
    site.install("good")
    registry = fresh()
    with pytest.warns(PluginWarning, match=r"'bad' of dist-bad 0\.7 was left out") as record:
        listing = registry.solvers()
    assert len(record) == 1
    assert record[0].filename == __file__
    assert {"good/mine", "song/langevin"} <= set(listing)
    assert not any(name.startswith("bad/") for name in listing)
    assert registry.solvers() == listing  # an error if it warned again

    (failure,) = registry.failures
    assert (failure.plugin, failure.distribution, failure.version) == ("bad", "dist-bad", "0.7")
    assert isinstance(failure.cause, cause)


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("name", ["bad/mine", "bad"])
def test_asking_for_a_broken_plugin_raises_its_cause(site, case, name):
    code, cause = BROKEN[case]
    site.install("bad", code, version="0.7")
    with pytest.raises(PluginError, match=r"dist-bad 0\.7.*sdeplug .*Python 3.*torch ") as error:
        fresh().find("solvers", name)
    assert not isinstance(error.value, UnknownNameError)
    assert isinstance(error.value.__cause__, cause)


def test_who_was_told_by_an_error_gets_no_warning(site):
    site.install("bad", "import not_there_at_all")
    registry = fresh()
    with pytest.raises(PluginError):
        registry.find("solvers", "bad/mine")
    assert registry.solvers()


def test_a_warning_does_not_hide_the_error_that_was_asked_for(site):
    site.install("bad", "import not_there_at_all")
    with pytest.raises(UnknownNameError, match=r"Left out: bad of dist-bad 1\.0"):
        fresh().find("solvers", "langevni")


def test_reading_the_failures_counts_as_being_told(site):
    site.install("bad", "import not_there_at_all")
    registry = fresh()
    assert [failure.name for failure in registry.failures] == ["bad"]
    assert registry.solvers()


def test_a_warning_made_an_error_leaves_the_registry_whole(site):
    site.install("bad", "import not_there_at_all")
    site.install("good")
    registry = fresh()
    with pytest.raises(PluginWarning):
        registry.solvers()
    assert "good/mine" in registry.solvers()


def test_an_interrupt_passes_and_the_plugin_can_be_asked_again(site):
    code = """
import sys
if not getattr(sys, "_interrupted_once", False):
    sys._interrupted_once = True
    raise KeyboardInterrupt
"""
    site.install("abc", code + HEAD + SOUND)
    registry = fresh()
    try:
        with pytest.raises(KeyboardInterrupt):
            registry.find("solvers", "abc/mine")
        assert registry.find("solvers", "abc/mine").short == "mine"
    finally:
        del sys._interrupted_once


def test_one_failing_hook_leaves_the_others_of_its_plugin(site):
    code = HEAD + SOUND + "@hookimpl\ndef sdeplug_sdes():\n    raise OSError('disk')\n"
    site.install("abc", code)
    registry = fresh()
    with pytest.warns(PluginWarning, match="disk"):
        assert registry.find("solvers", "abc/mine")
    with pytest.raises(PluginError, match="disk"):
        registry.find("sdes", "abc/any")
    with pytest.raises(UnknownNameError, match="abc/mine"):
        registry.find("solvers", "abc/mien")


def test_an_unknown_hook_is_reported_and_the_known_ones_work(site):
    code = HEAD + SOUND + "@hookimpl\ndef sdeplug_target():\n    return {}\n"
    site.install("abc", code)
    registry = fresh()
    with pytest.warns(PluginWarning, match="Did you mean 'sdeplug_targets'"):
        assert registry.find("solvers", "abc/mine")
    with pytest.raises(UnknownNameError, match="Did you mean 'abc/mine'"):
        registry.find("solvers", "abc/mien")
    assert [failure.name for failure in registry.failures] == ["abc"]


def test_a_misspelt_only_hook_is_the_cause_that_is_raised(site):
    site.install("abc", HEAD + "@hookimpl\ndef sdeplug_solver():\n    return {'mine': Mine}\n")
    with pytest.raises(PluginError, match="Did you mean 'sdeplug_solvers'"):
        fresh().find("solvers", "abc/mine")


# Single entries that do not work


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f"HOOKSPEC_VERSION = {HOOKSPEC_VERSION + 1}",
         f"HOOKSPEC_VERSION = {HOOKSPEC_VERSION + 1}: must be at most {HOOKSPEC_VERSION}. "
         "It is written for later hooks than sdeplug .* has. Upgrade sdeplug"),
        ("HOOKSPEC_VERSION = 0", "HOOKSPEC_VERSION = 0: must be a whole number from 1"),
        ("HOOKSPEC_VERSION = '2'", "HOOKSPEC_VERSION = '2': must be a whole number from 1"),
        ("HOOKSPEC_VERSION = True", "HOOKSPEC_VERSION = True: must be a whole number from 1"),
    ],
)  # fmt: skip
def test_a_plugin_for_other_hooks_is_left_out_with_a_word_and_others_work(site, line, reason):
    site.install("abc", f"{HEAD}{SOUND}\n{line}\n")
    site.install("sound")
    registry = fresh()
    with pytest.warns(PluginWarning, match=f"'abc' of dist-abc 1.0 was left out: .*{reason}"):
        names = [name for name in registry.solvers() if name.startswith(("abc/", "sound/"))]
    assert names == ["sound/mine"]
    with pytest.raises(PluginError, match=reason):
        registry.find("solvers", "abc/mine")


@pytest.mark.parametrize("version", range(1, HOOKSPEC_VERSION + 1))
def test_a_plugin_for_hooks_of_now_or_before_is_as_good_as_one_that_says_nothing(site, version):
    site.install("abc", f"{HEAD}{SOUND}\nHOOKSPEC_VERSION = {version}\n")
    assert fresh().find("solvers", "abc/mine")


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


# Names that are not there


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
