"""The ``list`` command: what has a name, as tables or as JSON."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import click
from rich.table import Table

from sdeplug.cli.words import KINDS
from sdeplug.cli.work.tables import failures_table, table
from sdeplug.cli.work.terminal import console
from sdeplug.errors import ArgumentError, UnknownNameError
from sdeplug.options import Option, options_of
from sdeplug.registry import (
    Alias,
    all_names,
    did_you_mean,
    names_above,
    plainly,
    registry,
    told_of,
)
from sdeplug.solvers import Claims, Corrector, FlowIntegrator
from sdeplug.values import is_one_of

_PLAIN = (bool, int, float, str, type(None))


@dataclass(frozen=True)
class Item:
    """Something that has a name.

    Attributes:
        kind: one of the kinds.
        name: full name.
        obj: the class, or the function that builds it; of a name from elsewhere, what it means.
        origin: distribution and version.
    """

    kind: str
    name: str
    obj: Any
    origin: str

    @property
    def said(self) -> str:
        """First line of its docstring, without the dot."""
        if isinstance(self.obj, Alias):
            return told_of(registry().aliases()[self.name])
        return (inspect.getdoc(self.obj) or "").partition("\n")[0].rstrip(".")

    @property
    def options(self) -> tuple[Option, ...]:
        """Its options; a name from elsewhere has none."""
        return () if isinstance(self.obj, Alias) else options_of(self.obj)

    def data(self) -> dict[str, Any]:
        """Everything, as plain data."""
        data: dict[str, Any] = {
            "kind": self.kind,
            "name": self.name,
            "what": self.said,
            "from": self.origin,
        }
        if isinstance(self.obj, Alias):
            means = {"library": self.obj.library, "means": self.obj.written}
            return {**data, **means, "same": self.obj.same}
        data["options"] = [_plain(option) for option in options_of(self.obj)]
        return {**data, **(_promises(self.obj) if self.kind == "solvers" else {})}


def run(kind: str | None, word: str | None, as_json: bool) -> None:
    """Show the list.

    Args:
        kind: one of the kinds; None: all.
        word: what names must contain; if none does, what they are called elsewhere, what is said of
            them, or what their options pick from; None: anything.
        as_json: whether a program reads it.

    Raises:
        UnknownNameError: for a kind that is none, or if nothing is left.
    """
    if kind is not None and kind not in KINDS:
        raise UnknownNameError(
            f"{kind!r} is no list. {did_you_mean(kind, KINDS)}There are: {', '.join(KINDS)}."
        )
    all_names()  # for the shell
    items = _items(KINDS if kind is None else (kind,))
    found = items if word is None else _with_word(items, word)
    if not items:
        raise UnknownNameError(f"no plugin offers {kind}: one would by the hook sdeplug_{kind}.")
    if not found:
        near = did_you_mean(word or "", [*(each.name for each in items), *KINDS])
        what = f"list {kind}" if kind else "list"
        raise UnknownNameError(
            f"no name and no description has {word!r} in it. {near}`sdeplug {what}` shows all."
        )
    if as_json:
        click.echo(json.dumps([each.data() for each in found], indent=2))
        return
    for each in dict.fromkeys(item.kind for item in found):
        console().print(_table(each, [item for item in found if item.kind == each]))
    failures = failures_table()
    if failures is not None:
        console().print(failures)


def _items(kinds: tuple[str, ...]) -> list[Item]:
    known = registry()
    listings: Mapping[str, Any] = {
        "solvers": known.solvers,
        "sdes": known.sdes,
        "targets": known.targets,
        "metrics": known.metrics,
        "scores": known.scores,
        "grids": known.grids,
        "aliases": known.aliases,
    }
    return [
        Item(kind, name, entry.obj, entry.provenance)
        for kind, listing in listings.items()
        if kind in kinds
        for name, entry in {
            **listing(),
            **{each: known.find(kind, each) for each in names_above(kind)},  # type: ignore[arg-type]
        }.items()
    ]


def _with_word(items: list[Item], word: str) -> list[Item]:
    low, elsewhere = word.lower(), _known_as(word)
    tests: tuple[Callable[[Item], bool], ...] = (
        lambda each: low in each.name.lower(),
        lambda each: (
            each.name in elsewhere or plainly(each.name.partition("/")[2]) == plainly(word)
        ),
        lambda each: low in each.said.lower(),
        lambda each: any(low in o.type_name for o in each.options if is_one_of(o.type)),
    )
    for test in tests:
        found = [each for each in items if test(each)]
        if found:
            return found
    return []


def _known_as(word: str) -> set[str]:
    """Full names of what is called so elsewhere."""
    aliases = registry().aliases().values()
    return {entry.obj.name for entry in aliases if plainly(entry.short) == plainly(word)}


def _table(kind: str, items: list[Item]) -> Table:
    if kind == "aliases":
        shown = table("Names from elsewhere", "name", "in", "here", "same", "note")
        for each in items:
            alias: Alias = each.obj
            same = "yes" if alias.same else "like it"
            short = each.name.partition("/")[2]
            shown.add_row(short, alias.library, alias.written, same, each.said)
        return shown
    if kind != "solvers":
        shown = table(kind.capitalize(), "name", "what", "options", "from")
        for each in items:
            shown.add_row(each.name, each.said, _options(each.obj), each.origin)
        return shown
    shown = table("Solvers", "name", "kind", "order", "evaluations", "options", "from")
    for each in items:
        order = cost = "?"
        if (claims := _claims(each.obj)) is not None:
            order = "-" if claims.order is None else f"{claims.order:g}"
            cost = "varies" if claims.evaluations is None else str(claims.evaluations)
        role = _promises(each.obj)["role"]
        shown.add_row(each.name, role, order, cost, _options(each.obj), each.origin)
    return shown


def _claims(cls: type) -> Claims | None:
    """Those with the default options; None where nothing is built of these alone."""
    try:
        found: Claims = cls().claims
    except (TypeError, ArgumentError):
        return None
    return found


def _promises(cls: type) -> dict[str, Any]:
    """Role, order and evaluations with the default options; None where these are not enough."""
    role = "flow integrator" if issubclass(cls, FlowIntegrator) else "integrator"
    role = "corrector" if issubclass(cls, Corrector) else role
    claims = _claims(cls) or Claims()
    return {"role": role, "order": claims.order, "evaluations": claims.evaluations}


def _options(cls: type) -> str:
    """Options and their defaults, as they are written."""
    words = [f"{o.name}={'...' if o.required else o.default}" for o in options_of(cls)]
    return ", ".join(words) or "-"


def _plain(option: Option) -> dict[str, Any]:
    data = {"name": option.name, "type": option.type_name, "help": option.help}
    if option.required:
        return data
    default = option.default
    plain = isinstance(default, _PLAIN) and default not in (math.inf, -math.inf)
    return {**data, "default": default if plain else str(default)}
