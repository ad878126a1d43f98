"""The registry against foreign distributions made on the fly, sound ones and broken ones."""

from __future__ import annotations

import sys

import pytest
from registry.sites import HEAD, SOUND, fresh

from sdeplug import HOOKSPEC_VERSION, LinearSDE
from sdeplug.errors import ArgumentError, PluginError, PluginWarning, UnknownNameError
from sdeplug.sde import NAMED_SDES, VPSDE

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
