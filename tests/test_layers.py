"""The storeys of the house: a file imports only files below its own, and rooms follow rooms."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "sdeplug"
FLOORS = [
    each.split()
    for each in """
    errors values sheet
    kinds
    options noise
    sde
    score grid run
    reverse targets
    solvers pictures metrics
    compose observers
    registry
    pipeline training networks
    likelihood conditioning
    testing
    compare
    tuning
    cli
    __main__
""".strip().splitlines()
]  # bottom to top; a folder is one room
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
TIERS = "choices makers strategies findings memory claimed drawn bench".split()
TIERS += "contract exact weak strong law doors mutants posterior grids".split()
MAY_IMPORT_PLUGGY = {"registry"}
MAY_TAKE_KEYWORDS = {("registry", name) for name in ("solver", "sde", "metric", "grid")}
MAY_TAKE_KEYWORDS |= {  # they are the network's: Bound, and what passes them on
    ("score", "__init__"), ("score", "forward"), ("networks", "forward"),
}  # fmt: skip
MORE_DOORS = {  # a plugin of pytest, not of sdeplug; and a bridge to networks of diffusers
    "sdeplug_pytest": {"testing"}, "sdeplug_diffusers": {"networks", "solvers"},
}  # fmt: skip
MAY_IMPORT_THE_FRONT_DOOR = {"cli"}

FILES = sorted(CORE.rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
MODULES = {
    ".".join(file.relative_to(base).with_suffix("").parts).removesuffix(".__init__"): file
    for base, files in ((ROOT, FILES), (ROOT / "plugins", PLUGINS))
    for file in files
}


NAMES = {file: name for name, file in MODULES.items()}


def name_of(file: Path) -> str:
    return NAMES[file]


@cache
def nodes(file: Path) -> tuple[ast.AST, ...]:
    """Everything that is written in a file, parsed once for all tests."""
    return tuple(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))


def room_of(file: Path) -> str:
    """Name of the room that a file of the core is in: a folder, or the file itself."""
    return file.relative_to(CORE).with_suffix("").parts[0]


@cache
def imports(file: Path) -> set[str]:
    """Everything that a file imports, wherever in it and for whatever, as full dotted names."""
    found = set()
    for node in nodes(file):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import"
            found |= {f"{node.module}.{each.name}" for each in node.names}
    return found


@cache
def modules_used(file: Path) -> set[str]:
    """The files of this repository that a file imports, by their dotted names."""
    used = set()
    for name in imports(file):
        while name and name not in MODULES:
            name = name.rpartition(".")[0]
        used |= {name} if name else set()
    return used - {name_of(file)}


def rooms_used(file: Path) -> set[str]:
    """Rooms of the core that a file imports; ``__init__`` is the front door."""
    names = [name.split(".") for name in modules_used(file) if name.split(".")[0] == "sdeplug"]
    return {each[1] if len(each) > 1 else "__init__" for each in names}


def label(file: Path) -> str:
    return str(file.relative_to(ROOT))


def of_each(files: Iterable[Path]) -> Callable[[Callable[[Path], None]], Callable[[], None]]:
    """One test of all files, which tells of each that fails: as many tests would be dear."""
    files = tuple(files)

    def decorate(test: Callable[[Path], None]) -> Callable[[], None]:
        def of_all() -> None:
            wrong = []
            for file in files:
                try:
                    test(file)
                except AssertionError as error:
                    wrong.append(f"{label(file)}: {error}")
            assert files
            assert not wrong, "\n".join(wrong)

        of_all.__doc__ = test.__doc__
        return of_all

    return decorate


def heights(modules: dict[str, set[str]]) -> dict[str, int]:
    """How far above the ground each module stands: 0 imports none of the others.

    Raises:
        AssertionError: if modules import each other, however long the circle is.
    """
    height: dict[str, int] = {}
    while len(height) < len(modules):
        free = [m for m, used in modules.items() if m not in height and used <= set(height)]
        circle = sorted(set(modules) - set(height))
        assert free, f"modules that import each other are among {circle}"
        height |= {m: 1 + max((height[u] for u in modules[m]), default=-1) for m in free}
    return height


def test_every_room_has_a_floor_and_every_floor_its_rooms():
    assert {room_of(file) for file in FILES} - {"__init__"} == set(FLOOR)


def test_the_house_has_about_twenty_rooms():
    assert len(FLOOR) <= 28


@of_each(FILES)
def test_a_file_imports_only_from_floors_below(file):
    here = room_of(file)
    used = rooms_used(file) - ({here} if file.parent != CORE else set())
    assert "__init__" not in used or here in MAY_IMPORT_THE_FRONT_DOOR
    wrong = {each for each in used - {"__init__"} if FLOOR[each] >= FLOOR[here]}
    assert not wrong, f"{here} imports {wrong}"


@pytest.mark.parametrize("top", sorted({name.split(".")[0] for name in MODULES}))
def test_no_files_import_each_other(top):
    """In the core and in every plugin, the maps of the rooms included."""
    inside = {
        name: {used for used in modules_used(file) if used.split(".")[0] == top}
        for name, file in MODULES.items()
        if name.split(".")[0] == top and name != "sdeplug"
    }
    assert heights({name: used - {"sdeplug"} for name, used in inside.items()})


@of_each(FILES)
def test_a_file_imports_its_own_room_by_file_and_others_by_their_map(file):
    """A map that were imported by its own files would be one file with them."""
    own = name_of(file).rpartition(".")[0]
    if file.name != "__init__.py" and own != "sdeplug":
        assert own not in modules_used(file)


@of_each(f for f in FILES if room_of(f) == "testing")
def test_the_tiers_of_the_harness_have_an_order(file):
    here = name_of(file).split(".")
    if len(here) < 3:
        return
    used = [name.split(".") for name in modules_used(file) if name.startswith("sdeplug.testing.")]
    tiers = {each[2] for each in used} - {here[2]}
    assert {TIERS.index(each) for each in tiers} <= set(range(TIERS.index(here[2])))


@of_each(FILES)
def test_the_core_imports_no_plugin(file):
    assert not {name for name in imports(file) if name.startswith("sdeplug_")}


@of_each(FILES)
def test_only_the_registry_knows_of_distributions(file):
    names = {name for name in imports(file) if name.startswith(("importlib.metadata", "pluggy"))}
    assert not names or room_of(file) in MAY_IMPORT_PLUGGY


@of_each(PLUGINS)
def test_a_plugin_imports_only_the_front_door_and_itself(file):
    own = file.relative_to(ROOT / "plugins").with_suffix("").parts[0]
    names = {name for name in imports(file) if name.split(".")[0].startswith("sdeplug")}
    inside = {name for name in names if name.split(".")[0] == own}
    assert rooms_used(file) <= {"__init__", "targets", *MORE_DOORS.get(own, ())}
    assert {name.split(".")[0] for name in names - inside} <= {"sdeplug"}


@of_each(FILES)
def test_the_core_takes_no_loose_keywords(file):
    functions = [
        node
        for node in nodes(file)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
    ]
    loose = {(room_of(file), getattr(f, "name", "")) for f in functions if f.args.kwarg}
    if room_of(file) not in ("testing", "compare", "cli"):
        assert loose <= MAY_TAKE_KEYWORDS


@of_each((*FILES, *PLUGINS, *TESTS))
def test_a_file_fits_in_the_head(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 300


FACTORIES = set(
    "tensor as_tensor zeros ones empty full eye arange linspace logspace rand randn randint".split()
)
MAY_ASK_FOR_THE_DEFAULT = {"run"}  # Run.home


@of_each((*FILES, *PLUGINS))
def test_a_new_tensor_says_of_which_dtype_it_is_and_where(file):
    """Or it would depend on torch.set_default_dtype and torch.set_default_device."""
    made = [
        node
        for node in nodes(file)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "torch"
        and node.func.attr in FACTORIES
    ]
    loose = [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in made
        if not {"dtype", "device"} <= {each.arg for each in node.keywords}
    ]
    assert not loose or file.stem in MAY_ASK_FOR_THE_DEFAULT, loose
