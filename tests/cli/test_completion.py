"""What needs no torch does not wait for it: help, versions, and the shell's TAB."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sdeplug.cli import words
from sdeplug.cli.words import begin
from sdeplug.registry import all_names, recall, registry, remember, remembered

HEAVY = "torch", "numpy", "scipy", "rich", "matplotlib", "jinja2"
PROGRAM = f"""
import sys
from sdeplug.cli.main import main
try:
    main()
finally:
    print("imported", *(each for each in {HEAVY} if each in sys.modules), file=sys.stderr)
"""


def called(*words: str, **environment: str) -> tuple[str, str]:
    """Standard output of a command, and the heavy packages that it imported."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        env={**os.environ, **environment}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout, done.stderr.strip()


def completed(*typed: str) -> tuple[list[str], str]:
    """What the shell offers for the last word, and the heavy packages."""
    line, place = " ".join(["sdeplug", *typed]), str(len(typed))
    asked = {"_SDEPLUG_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": place}
    out, imported = called(**asked)
    return [each.partition(",")[2] for each in out.splitlines()], imported


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty folder for what is remembered."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("word", ["--version", "--help"])
def test_versions_and_help_import_nothing_heavy(word):
    out, imported = called(word)
    assert out
    assert imported == "imported"


@pytest.mark.parametrize(
    "name",
    "list solvers train sample diagnose tune calibrate check compare new doctor demo".split(),
)
def test_the_help_of_a_command_imports_nothing_heavy(name):
    out, imported = called(name, "--help")
    assert f"sdeplug {name}" in out
    assert imported == "imported"


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["sam"], "sample"),
        (["sample", "--sol"], "--solver"),
        (["sample", "--solver", "ode/he"], "ode/heun"),
        (["sample", "--solver", "euler-m"], "euler-maruyama"),
        (["sample", "--solver", "calib"], "calibrated"),
        (["sample", "--solver", "dpmpp_2m_s"], "dpmpp_2m_sde"),
        (["sample", "--grid", "use_kar"], "use_karras_sigmas"),
        (["list", "solvers", "UniPCM"], "UniPCMultistepScheduler"),
        (["sample", "--corrector", "song/lan"], "song/langevin"),
        (["sample", "--sde", "core/v"], "core/vp"),
        (["sample", "--target", "core/eig"], "core/eight-gaussians"),
        (["sample", "--grid", "log"], "log-snr"),
        (["compare", "ode/heun", "--metric", "core/sl"], "core/sliced-w2"),
        (["compare", "ode/heun", "ode/rk"], "ode/rk4"),
        (["check", "ode/he"], "ode/heun"),
        (["list", "gr"], "grids"),
        (["list", "solvers", "ode/he"], "ode/heun"),
        (["solvers", "ode/he"], "ode/heun"),
    ],
)
def test_the_shell_completes_names_without_torch(typed, offered, cache):
    all_names()
    found, imported = completed(*typed)
    assert offered in found
    assert imported == "imported"


def test_the_first_tab_asks_the_plugins_and_remembers(cache):
    found, imported = completed("sample", "--sde", "core/")
    assert "core/vp" in found
    assert "torch" in imported
    assert completed("sample", "--sde", "core/") == (found, "imported")


def test_what_is_remembered_is_what_is_there(cache):
    assert recall() is None
    names = all_names()
    assert recall() == {kind: list(each) for kind, each in names.items()}
    assert names["solvers"] == (*registry().solvers(), "core/calibrated")
    assert names["grids"] == tuple(registry().grids())
    apart = (*names["aliases of solvers"], *names["aliases of grids"])
    assert sorted(apart) == sorted(names["aliases"])


def test_names_are_forgotten_when_something_else_is_installed(cache, monkeypatch):
    remember({"solvers": ["a/b"]})
    assert recall() == {"solvers": ["a/b"]}
    monkeypatch.setenv("SDEPLUG_BLOCK", "song")
    assert recall() is None
    monkeypatch.delenv("SDEPLUG_BLOCK")
    monkeypatch.setattr(remembered, "_installed", lambda: ["another version"])
    assert recall() is None


def test_a_plugin_that_is_being_written_is_asked_again(cache, tmp_path, monkeypatch):
    from importlib.metadata import EntryPoint

    file = tmp_path / "my_plugin_of_names.py"
    file.write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    point = EntryPoint("mine", "my_plugin_of_names", "sdeplug")
    before = remembered._described(point)
    os.utime(file, (0, 0))
    assert remembered._described(point) != before


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"installed": 1, "names": 3}', "\0"])
def test_a_file_that_is_not_ours_is_no_memory(cache, text, monkeypatch):
    remember({"solvers": ["a/b"]})
    next(cache.rglob("*.json")).write_text(text)
    monkeypatch.setattr(remembered, "_installed", lambda: 1)
    assert recall() is None


def test_where_nothing_can_be_written_nothing_is_said(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    remember({"solvers": ["a/b"]})
    assert recall() is None


def test_a_plugin_that_talks_or_fails_does_not_disturb_the_shell(cache, monkeypatch, capsys):
    def loud():
        print("hello")
        raise OSError("broken")

    monkeypatch.setattr("sdeplug.registry.all_names", loud)
    assert words.known_names("solvers") == ()
    assert capsys.readouterr() == ("", "")


def test_full_names_come_before_short_ones():
    names = ["core/vp", "core/ve", "mine/vp"]
    assert begin(names, "core/v") == ["core/vp", "core/ve"]
    assert begin(names, "mi") == ["mine/vp"]
    assert begin(names, "ve") == ["ve"]
    assert begin(names, "x") == []
