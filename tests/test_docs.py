"""The documentation: its code runs and prints what it says; its tables are the registry's."""

from __future__ import annotations

import pkgutil
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

import sdeplug
import sdeplug.compare
from sdeplug import FlowIntegrator, solver
from sdeplug.registry import registry

matplotlib = pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")  # the digits are in it

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS))

import blocks  # noqa: E402
import encoding_table  # noqa: E402
import error_table  # noqa: E402
import pictures  # noqa: E402
import posteriors  # noqa: E402
import solver_table  # noqa: E402

PAGES = {page.relative_to(ROOT).as_posix(): page for page in blocks.pages()}
RUN = ("```python", f"```{blocks.SHELL}")
WITH_CODE = [name for name, page in PAGES.items() if any(each in page.read_text() for each in RUN)]
COMMANDS = {
    " ".join(each): (page, each) for page in PAGES.values() for each in blocks.commands(page)
}
LONG = tuple(  # those that take more than a second
    f"docs/{name}.md"
    for name in (
        *("guides/compare", "guides/write-a-solver", "guides/own-data", "guides/condition"),
        *("guides/purify", "guides/likelihood", "guides/train", "guides/unusual", "guides/latent"),
        *("guides/compose", "solvers/torchdiffeq", "solvers/torchsde", "solvers/reversible"),
        *("explanation/marginal-consistency", "explanation/mutants", "guides/from-diffusers"),
    )
)
SLOW_WORDS = ("check ", "sample --pipeline")
PARTS = sorted(solver_table.parts())


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """An empty folder to work in, no window, and a registry that nobody has added to."""
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    registry.cache_clear()
    yield
    registry.cache_clear()
    pictures.plt.close("all")


@pytest.mark.filterwarnings("ignore:Maximum number of epochs:UserWarning")  # of sbi
@pytest.mark.parametrize(
    "name",
    [pytest.param(each, marks=pytest.mark.thorough if each in LONG else ()) for each in WITH_CODE],
)
def test_the_code_of_a_page_runs_and_prints_what_the_page_says(name):
    for block, printed in blocks.runs(PAGES[name]):
        assert block.code == printed, f"{name}:{block.line} shows another output"
    assert all(Path(picture).stat().st_size > 5_000 for picture in saved_by(PAGES[name]))


def test_what_is_left_out_needs_what_has_no_extra():
    """Only sbi, which none of our extras brings: its code runs where it is installed."""
    found = {
        blocks.needed(block) for page in PAGES.values() for block in blocks.blocks(page.read_text())
    }
    assert found == {None, "sbi"}


def saved_by(page: Path) -> list[str]:
    """The pictures that the code of a page saves."""
    return re.findall(r'savefig\("([\w-]+\.png)"', page.read_text(encoding="utf-8"))


def test_every_output_belongs_to_a_block():
    for name, page in PAGES.items():
        shown = [each for each in blocks.blocks(page.read_text()) if each.info == blocks.OUTPUT]
        if name not in WITH_CODE:
            assert not shown


@pytest.mark.parametrize("name", [each for each in PARTS if "errors" not in each])
def test_the_tables_are_those_of_the_registry(name):
    assert shown_parts()[name] == solver_table.parts()[name]().strip("\n") + "\n"


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("name", [each for each in PARTS if "errors" in each])
def test_the_measured_errors_are_what_is_measured(name, monkeypatch):
    """Those of up to 32 steps: the longer grids take twenty times as long, by the same code."""
    monkeypatch.setattr(error_table, "STEPS", (16, 32))
    assert shown_parts()[name].startswith(solver_table.parts()[name]().strip("\n") + "\n")


def shown_parts() -> dict[str, str]:
    pages = sorted(solver_table.FOLDER.glob("*.md"))
    return {name: text for page in pages for name, text in solver_table.shown(page).items()}


def test_every_bundled_solver_has_a_page_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for entry in solver_table.bundled().values():
        page = DOCS / "solvers" / f"{entry.short}.md"
        assert f": solvers/{entry.short}.md" in navigation
        text = page.read_text(encoding="utf-8")
        for heading in ("## Promises and options", "## When to use it", "## References"):
            assert heading in text, f"{page.name} lacks {heading!r}"
        assert "$$" in text, f"{page.name} has no equation"


def test_the_reference_has_every_name_of_the_front_door_once():
    text = "".join(page.read_text() for page in (DOCS / "reference").glob("*.md"))
    shown = Counter(re.findall(r"^::: ([\w.]+)$", text, re.MULTILINE))
    assert [name for name, count in shown.items() if count > 1] == []
    wanted = {f"sdeplug.{name}" for name in sdeplug.__all__}
    wanted -= {"sdeplug.targets", "sdeplug.networks", "sdeplug.conditioning", "sdeplug.likelihood"}
    wanted |= {f"sdeplug.testing.{name}" for name in sdeplug.testing.__all__}
    wanted |= {f"sdeplug.compare.{name}" for name in sdeplug.compare.__all__}
    rooms = (sdeplug.training, sdeplug.networks, sdeplug.conditioning, sdeplug.likelihood)
    wanted |= {
        f"{room.__name__}.{name}" for room in rooms for name in vars(room) if _public(room, name)
    }
    assert wanted - set(shown) == set()


def _public(room, name: str) -> bool:
    """Whether a name of a room is neither its own nor one of its files."""
    return not name.startswith("_") and not isinstance(getattr(room, name), type(room))


@pytest.mark.parametrize("page", sorted((DOCS / "reference").glob("*.md")), ids=lambda p: p.stem)
def test_what_the_reference_names_is_there(page):
    """As mkdocstrings would find out, at the end of a build."""
    for name in re.findall(r"^::: ([\w.]+)$", page.read_text(), re.MULTILINE):
        assert pkgutil.resolve_name(name) is not None


def test_the_side_bar_groups_the_solvers():
    """Not one list of thirty: no level of the navigation has more than a dozen entries."""
    lines = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("  - Solvers:\n")[2]
    groups = re.findall(r"^ {6}- ([^:\n]+):\n((?: {10}- .*\n)+)", lines, re.MULTILINE)
    assert sum(inside.count("\n") for _, inside in groups) > 30
    assert 5 <= len(groups) <= 12
    assert all(inside.count("\n") <= 6 for _, inside in groups)


def test_a_picture_stands_above_the_first_words():
    first = (DOCS / "index.md").read_text(encoding="utf-8").split("\n\n")[1]
    assert first.startswith("![")


def test_the_site_loads_nothing_from_a_network():
    """Search from file:// rests on a script of its own, in the place of one from elsewhere."""
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert "- offline" in settings
    assert "- assets/iframe-worker.js" in settings
    assert (DOCS / "assets" / "iframe-worker.js").is_file()


def test_every_picture_is_shown_and_every_function_of_them_makes_one():
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES.values())
    saved = {name for page in PAGES.values() for name in saved_by(page)}
    shown = set(re.findall(r"images/([\w-]+\.png)", text))
    there = {path.name for path in (DOCS / "images").glob("*.png")}
    assert set(pictures.FIGURES) | saved <= shown
    assert shown <= there


@pytest.mark.thorough
@pytest.mark.slow
def test_the_pictures_can_be_drawn(tmp_path):
    """Those that belong to no page: those of a page are made where its code is run."""
    made = list(pictures.drawn(tmp_path))
    assert {path.name for path in made} == {*pictures.FIGURES, "ring.png"}
    assert all(path.stat().st_size > 5_000 for path in made)


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        pytest.param(each, marks=pytest.mark.thorough if each.startswith(SLOW_WORDS) else ())
        for each in COMMANDS
        if not each.startswith("demo")
    ],
)
def test_the_commands_run(line, sdeplug):
    page, arguments = COMMANDS[line]
    if "--pipeline" in arguments:  # the page writes or shows the file
        blocks.write_files(page)
        list(blocks.runs(page))
    status, out, err = sdeplug(*arguments)
    assert status == 0, out + err


def test_every_flow_integrator_has_a_line_in_the_tables_of_encodings():
    """Of the families of other libraries one stands for all."""
    flows = {name for name, entry in solver_table.bundled().items()
             if isinstance(solver(name), FlowIntegrator)}  # fmt: skip
    for part in ("round-trip", "latent"):
        assert set(encoding_table.shown(part)) == {
            *flows,
            "torchdiffeq/dopri5",
            encoding_table.BY_BUDGET,
        }


def test_a_round_trip_is_measured_as_the_page_says():
    """The cheapest cell: Heun in 25 evaluations."""
    found = encoding_table.on_grid(solver("ode/heun"), 25)
    assert found.nfe == 24
    assert encoding_table.told(found.error) == encoding_table.shown()["ode/heun"][0]


def test_every_method_has_a_line_in_every_table_of_posteriors():
    shown = posteriors.shown()
    assert set(shown) == set(posteriors.problems())
    assert all(list(lines) == list(posteriors.METHODS) for lines in shown.values())
