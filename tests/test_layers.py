"""The storeys of the house: a module imports only from storeys below its own."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "sdeplug"
STOREYS = [
    each.split()
    for each in """
    errors philox derivative
    options brownian
    walk
    noise
    sde
    schedules score run grid distances
    reverse targets
    solver metric
    compose observers hookspecs metrics
    discovery course
    loading
    registry
    scaffold spec
    pipeline terminal pictures
    testing
    __init__
    tables
    compare
    sampling demo checking comparing
    cli
    __main__
""".strip().splitlines()
]  # bottom to top; a package is one module
STOREY = {module: number for number, modules in enumerate(STOREYS) for module in modules}
MAY_IMPORT_PLUGGY = {"hookspecs", "discovery", "loading", "registry"}
MAY_TAKE_KEYWORDS = {("registry", name) for name in ("solver", "sde", "metric")}
MORE_DOORS = {"sdeplug_pytest": {"testing"}}  # a plugin of pytest, not of sdeplug
MAY_IMPORT_THE_FRONT_DOOR = {"__main__", "cli", "demo"}

FILES = sorted(CORE.rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))


def module_of(file: Path) -> str:
    """Storey name of a file of the core: its module, or the package that it is part of."""
    return file.relative_to(CORE).with_suffix("").parts[0]


def imports(file: Path) -> set[str]:
    """Everything that a file imports, wherever in it, as full dotted names."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import"
            found |= {f"{node.module}.{each.name}" for each in node.names}
    return found


def storeys_used(file: Path) -> set[str]:
    """Modules of the core that a file imports; ``from sdeplug import name`` is the front door."""
    names = [name.split(".") for name in imports(file) if name.split(".")[0] == "sdeplug"]
    return {each[1] if len(each) > 1 and exists(each[1]) else "__init__" for each in names}


def exists(module: str) -> bool:
    return (CORE / f"{module}.py").exists() or (CORE / module / "__init__.py").exists()


def below_the_front_door(file: Path) -> bool:
    return STOREY.get(module_of(file), 0) <= STOREY["__init__"]


def label(file: Path) -> str:
    return str(file.relative_to(ROOT))


def test_every_module_has_a_storey_and_every_storey_its_modules():
    assert {module_of(file) for file in FILES} == set(STOREY)


@pytest.mark.parametrize("file", FILES, ids=label)
def test_a_module_imports_only_from_storeys_below(file):
    here = module_of(file)
    used = storeys_used(file) - ({here} if file.parent != CORE else set())
    assert "__init__" not in used or here in MAY_IMPORT_THE_FRONT_DOOR
    wrong = {each for each in used if STOREY[each] >= STOREY[here]}
    assert not wrong, f"{here} imports {wrong}"


@pytest.mark.parametrize("file", FILES, ids=label)
def test_the_core_imports_no_plugin(file):
    assert not {name for name in imports(file) if name.startswith("sdeplug_")}


@pytest.mark.parametrize("file", FILES, ids=label)
def test_only_the_registry_knows_of_distributions(file):
    names = {name for name in imports(file) if name.startswith(("importlib.metadata", "pluggy"))}
    assert not names or module_of(file) in MAY_IMPORT_PLUGGY


@pytest.mark.parametrize("file", PLUGINS, ids=label)
def test_a_plugin_imports_only_the_front_door_and_itself(file):
    own = file.relative_to(ROOT / "plugins").with_suffix("").parts[0]
    names = {name for name in imports(file) if name.split(".")[0].startswith("sdeplug")}
    inside = {name for name in names if name.split(".")[0] == own}
    assert storeys_used(file) <= {"__init__", "targets", *MORE_DOORS.get(own, ())}
    assert {name.split(".")[0] for name in names - inside} <= {"sdeplug"}


@pytest.mark.parametrize("file", [each for each in FILES if below_the_front_door(each)], ids=label)
def test_the_core_takes_no_loose_keywords(file):
    functions = [
        node
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
    ]
    loose = {(module_of(file), getattr(f, "name", "")) for f in functions if f.args.kwarg}
    assert loose <= MAY_TAKE_KEYWORDS


@pytest.mark.parametrize("file", [*FILES, *PLUGINS], ids=label)
def test_a_file_fits_in_the_head(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 300
