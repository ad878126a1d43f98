"""What a page says to install can be installed, and is enough for what the page then runs."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from sdeplug.registry import write_plugin

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SOURCES = sorted([*(ROOT / "sdeplug").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]


def packages(extras: list[str]) -> set[str]:
    """Names of what the extras bring, those that they name in turn included."""
    found = set()
    for each in extras:
        for line in EXTRAS[each]:
            name, _, rest = re.split(r"[<>=!~; ]", line)[0].partition("[")
            found |= packages(rest.rstrip("]").split(",")) if name == "sdeplug" else {name}
    return found


def asked(text: str) -> set[str]:
    """Extras of sdeplug that are named in a text."""
    groups = re.findall(r"(?:sdeplug|pip install[^`\n]*[\"' ]\.)\[([\w,-]+)\]", text)
    return {each for group in groups for each in group.split(",")}


@pytest.mark.parametrize("path", [*PAGES, *SOURCES], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_extra_that_is_named_is_there(path):
    assert asked(path.read_text(encoding="utf-8")) <= set(EXTRAS)


def test_every_extra_that_an_error_names_is_there():
    text = "".join(path.read_text(encoding="utf-8") for path in SOURCES)
    named = set(re.findall(r'MissingExtraError\([^()]*, "([\w-]*)"\)', text))
    assert {"check", "plots", "images"} <= named
    assert named - {""} <= set(EXTRAS)


def test_no_extra_drags_in_training_code():
    """k-diffusion needs numpy < 2 through dctorch: with diffusers and azula pip finds nothing."""
    assert "k-diffusion" not in packages(list(EXTRAS))


def test_the_first_page_installs_what_the_pages_run():
    text = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert {"matplotlib", "scikit-learn", "hypothesis", "pytest"} <= packages([*asked(text)])


def test_the_tests_of_a_new_plugin_have_what_they_need(tmp_path):
    project = tomllib.loads(write_plugin("mine", tmp_path)[0].read_text(encoding="utf-8"))
    test = "".join(project["project"]["optional-dependencies"]["test"])
    assert {"hypothesis", "pytest"} <= packages([*asked(test)])
