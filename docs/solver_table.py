"""What the registry and the harness say about the bundled solvers, as Markdown.

The parts between ``<!-- generated: NAME -->`` and ``<!-- end -->`` in the pages about solvers
come from here.  ``python docs/solver_table.py`` writes them; a test compares them.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import error_table
import tableau_table

import sdeplug as sp
from sdeplug.options import Option, options_of
from sdeplug.registry import Entry, registry

FOLDER = Path(__file__).resolve().parent / "solvers"
FAMILIES = ("torchdiffeq", "torchsde")  # plugins whose solvers share a page of that name

_PART = re.compile(
    r"(?P<head><!-- generated: (?P<name>[\w-]+) -->\n).*?(?P<tail><!-- end -->)", re.DOTALL
)


def bundled() -> dict[str, Entry]:
    """The solvers that come with sdeplug, by full name: those of Song et al. first.

    Without the adapters of other libraries and the families, which have one page for all.
    """
    entries = {
        name: each
        for name, each in registry().solvers().items()
        if each.bundled and each.plugin not in ("foreign", *FAMILIES)
    }
    return dict(sorted(entries.items(), key=lambda item: (item[1].plugin != "song",)))


def table() -> str:
    """All solvers in one table."""
    head = "| solver | what it is | order | evaluations | noise | forward SDE |"
    rows = [head, "| --- | --- | --- | --- | --- | --- |"]
    others = {name: each for plugin in FAMILIES for name, each in family(plugin).items()}
    for name, entry in (bundled() | others).items():
        claims = entry.obj().claims
        page = entry.plugin if name in others else entry.short
        cells = (
            f"[`{name}`]({page}.md)",
            kind(entry),
            _order(claims),
            _evaluations(claims),
            "yes" if claims.stochastic else "no",
            _needs(claims),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def family(plugin: str) -> dict[str, Entry]:
    """The solvers of one bundled plugin, by full name."""
    entries = registry().solvers().items()
    return {name: each for name, each in entries if each.bundled and each.plugin == plugin}


def relatives(plugin: str) -> str:
    """The solvers of a family, what they promise, and their options."""
    lines = [
        "| solver | class | weak order | strong order | evaluations | options |",
        "| --- " * 6 + "|",
    ]
    for entry in family(plugin).values():
        claims = entry.obj().claims
        options = (
            f"`{each.name} = {each.default!r}`" if not each.required else f"`{each.name}`"
            for each in options_of(entry.obj)
        )
        cells = (
            f"`{entry.name}`",
            f"`{entry.obj.__name__}`",
            _order(claims),
            f"{claims.strong_order or 'none'}",
            _evaluations(claims),
            ", ".join(options),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def facts(entry: Entry) -> str:
    """What one solver is and promises, and its options."""
    claims = entry.obj().claims
    lines = [
        "| | |",
        "| --- | --- |",
        f"| name | `{entry.name}` |",
        f"| class | `{entry.obj.__module__.partition('.')[0]}.{entry.obj.__name__}` |",
        f"| kind | {kind(entry)} |",
        f"| weak order | {_order(claims)} |",
        f"| strong order | {claims.strong_order or 'none'} |",
        f"| evaluations of the score | {_evaluations(claims)} |",
        f"| draws noise | {'yes' if claims.stochastic else 'no'} |",
        f"| affine for a Gaussian | {'yes' if claims.affine else 'no'} |",
        f"| bias that stays | {_floor(claims)} |",
        f"| forward SDE | {_needs(claims)} |",
        "",
    ]
    options = options_of(entry.obj)
    if options:
        lines += ["| option | allowed | default | what it does |", "| --- | --- | --- | --- |"]
        lines += [_row(each) for each in options] + [""]
    else:
        lines += ["It has no options.", ""]
    return "\n".join(lines)


def kind(entry: Entry) -> str:
    """Integrator, flow integrator or corrector."""
    if issubclass(entry.obj, sp.Corrector):
        return "corrector"
    return "flow integrator" if issubclass(entry.obj, sp.FlowIntegrator) else "integrator"


def parts() -> Mapping[str, Callable[[], str]]:
    """Every generated part by name; the slow ones have ``errors`` in their name."""
    made: dict[str, Callable[[], str]] = {"table": table}
    for plugin in FAMILIES:
        made[f"family-{plugin}"] = partial(relatives, plugin)
    made["tableaux"] = tableau_table.tableaux
    made["errors-tableaux"] = tableau_table.errors
    for short in ("srk", "sde-heun"):
        made[f"errors-{short}"] = partial(
            error_table.errors, sp.solver(f"torchsde/{short}"), (1.0, 0.0)
        )
    for entry in bundled().values():
        made[entry.short] = partial(facts, entry)
        # What brings its own grid is not measured by the steps of another.
        claims = entry.obj().claims
        gridded = kind(entry) != "corrector" and claims.order is not None and claims.steps is None
        if gridded and entry.short not in ("adams-bashforth", "exp-rk"):  # by order, by tableau
            levels = (1.0, 0.0) if entry.obj().claims.stochastic else (1.0,)
            made[f"errors-{entry.short}"] = partial(error_table.errors, entry.obj(), levels)
    for order in (2, 3, 4):
        by = sp.solver("ode/adams-bashforth", order=order)
        made[f"errors-adams-bashforth-{order}"] = partial(error_table.errors, by, (1.0,))
    made["errors-hold"] = partial(error_table.annealed, sp.solver("song/annealed-langevin"))
    made["errors-annealed-langevin"] = partial(
        error_table.drift, sp.solver("song/annealed-langevin")
    )
    made["errors-langevin"] = partial(error_table.sampled_drift, sp.solver("song/langevin"))
    return made


def shown(page: Path) -> dict[str, str]:
    """The generated parts of a page as they are there."""
    text = page.read_text(encoding="utf-8")
    return {
        found["name"]: found[0][len(found["head"]) : -len(found["tail"])].strip("\n") + "\n"
        for found in _PART.finditer(text)
    }


def write() -> None:
    """Write the generated parts into the pages."""
    made = parts()

    def fill(found: re.Match[str]) -> str:
        return f"{found['head']}\n{made[found['name']]().rstrip()}\n\n{found['tail']}"

    for page in sorted(FOLDER.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        page.write_text(_PART.sub(fill, text), encoding="utf-8")


def _row(option: Option) -> str:
    bounds = option.allowed.removeprefix("of type ")
    default = "required" if option.required else f"`{option.default!r}`"
    return f"| `{option.name}` | {bounds} | {default} | {option.help} |"


def _order(claims: sp.Claims) -> str:
    return "none" if claims.order is None else f"{claims.order:g}"


def _evaluations(claims: sp.Claims) -> str:
    return "varies" if claims.evaluations is None else f"{claims.evaluations}"


def _floor(claims: sp.Claims) -> str:
    if claims.floor is None:
        return "none"
    if claims.floor == math.inf:
        return "unbounded: it does not move"
    return f"below {100.0 * claims.floor:.2g} %"


def _needs(claims: Any) -> str:
    return "linear" if issubclass(claims.needs, sp.LinearSDE) else "any"


if __name__ == "__main__":
    sys.exit(write())
