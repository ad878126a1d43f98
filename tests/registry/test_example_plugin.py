"""The plugin that ``sdeplug new`` writes: the one in the documentation, installed and tested."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sdeplug.errors import ArgumentError
from sdeplug.registry import write_plugin

EXAMPLE = Path(__file__).parents[2] / "docs" / "example-plugin"


def test_the_example_in_the_documentation_is_what_is_written(tmp_path):
    written = write_plugin("example", tmp_path / "new")
    assert {path.name: path.read_bytes() for path in written} == {
        path.name: path.read_bytes() for path in EXAMPLE.iterdir() if path.is_file()
    }


def test_the_names_follow_from_the_name(tmp_path):
    project, module, test, readme = write_plugin("my-sampler", tmp_path)
    assert module.name == "sdeplug_my_sampler.py"
    assert test.name == "test_sdeplug_my_sampler.py"
    assert 'name = "sdeplug-my-sampler"' in project.read_text()
    assert 'my-sampler = "sdeplug_my_sampler"' in project.read_text()
    assert not any("$" in path.read_text() for path in (project, module, test, readme))
    assert 'solver="my-sampler/exponential-midpoint"' in readme.read_text()


@pytest.mark.parametrize("name", ["", "My", "a_b", "-a", "a-", "a--b", "a b", "../a", "a\n", None])
def test_a_bad_name_is_refused(tmp_path, name):
    with pytest.raises(ArgumentError, match="single hyphens between"):
        write_plugin(name, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["song", "core", "sdeplug-mine"])
def test_a_name_that_would_clash_is_refused(tmp_path, name):
    with pytest.raises(ArgumentError, match=name):
        write_plugin(name, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_nothing_is_overwritten(tmp_path):
    there = tmp_path / "test_sdeplug_mine.py"
    there.write_text("precious")
    with pytest.raises(ArgumentError, match=r"without test_sdeplug_mine\.py"):
        write_plugin("mine", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [there.name]
    assert there.read_text() == "precious"
    with pytest.raises(ArgumentError, match="a folder"):
        write_plugin("mine", there)


def run_python(*arguments: str, folder: Path, path: Path) -> str:
    """Run Python in a folder, with what is installed in ``path`` and no warning let through."""
    own = {"PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    environment = {**os.environ, **own}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """(name, folder of the sources, folder where they were installed)"""
    pytest.importorskip("hatchling")
    name = "my-sampler"
    folder = tmp_path_factory.mktemp(name)
    source, target = folder / "source", folder / "site"
    write_plugin(name, source)
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    run_python(
        *["-m", "pip", "install", *offline, "--target", str(target), str(source)],
        folder=folder,
        path=folder,
    )
    return name, source, target


@pytest.mark.slow
def test_an_installed_plugin_is_found(installed):
    name, _, target = installed
    code = (
        "from sdeplug.registry import registry, solver\n"
        f"entry = registry().find('solvers', '{name}/exponential-midpoint')\n"
        f"print(entry.provenance, solver('{name}/exponential-midpoint', fraction=0.7))"
    )
    output = run_python("-W", "error", "-c", code, folder=target.parent, path=target)
    assert output == f"sdeplug-{name} 0.1.0 ExponentialMidpoint(fraction=0.7)\n"


@pytest.mark.thorough
@pytest.mark.slow
def test_the_tests_of_an_installed_plugin_pass(installed):
    name, source, target = installed
    options = ["-q", "-W", "error", "-p", "no:cacheprovider", "-o", "addopts="]
    if name != "example":  # the same solver: once by the checks that take seconds is enough
        options += ["-k", "not sampling and not marginals and not proof"]
    output = run_python("-m", "pytest", *options, folder=source, path=target)
    assert " passed" in output
    assert "failed" not in output
