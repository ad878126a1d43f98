"""Values written as ``NAME[:OPTION=VALUE,...]``, and the names that can be written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from sdeplug.errors import ArgumentError, SdeplugError
from sdeplug.grid import TimeGrid
from sdeplug.options import build, options_of, parse_options
from sdeplug.registry.above import names_above
from sdeplug.registry.aliases import Alias
from sdeplug.registry.catalogue import registry
from sdeplug.registry.discovery import Entry, Kind
from sdeplug.registry.remembered import Names, remember

C = TypeVar("C")


def all_names() -> Names:
    """Full names by kind, those that need options too; loads every plugin, and is remembered.

    Besides the names from elsewhere together, ``"aliases of solvers"`` and ``"aliases of grids"``.
    """
    known = registry()
    listings = {
        "solvers": known.solvers(),
        "sdes": known.sdes(),
        "targets": known.targets(),
        "metrics": known.metrics(),
        "scores": known.scores(),
        "grids": known.grids(),
        "aliases": known.aliases(),
    }
    names = {kind: (*listing, *names_above(kind)) for kind, listing in listings.items()}
    for name, entry in listings["aliases"].items():
        names.setdefault(f"aliases of {entry.obj.kind}", ())
        names[f"aliases of {entry.obj.kind}"] += (name,)
    remember(names)
    return names


def named(kind: Kind, text: str) -> Any:
    """Build a solver, SDE or metric from text.

    Args:
        kind: ``"solvers"``, ``"sdes"`` or ``"metrics"``.
        text: ``NAME[:OPTION=VALUE,...]``.

    Raises:
        UnknownNameError: for a name that no plugin offers.
        ArgumentError: for an option that is not allowed; it names the option as it was written.
    """
    name, texts = split(text)
    entry, meant = registry().meant(kind, name)
    return _built(entry.obj, texts, meant, name)


def named_grid(text: str, steps: int | None) -> TimeGrid:
    """Build a grid from text.

    Args:
        text: ``NAME[:OPTION=VALUE,...]``.
        steps: its number of steps; None: as the text says, or 100.

    Raises:
        UnknownNameError: for a name that no plugin offers.
        ArgumentError: for an option that is not allowed, or steps that are given twice or to a
            grid that has points of its own.
    """
    name, texts = split(text)
    entry, meant = registry().meant("grids", name)
    cls: type[TimeGrid] = entry.obj
    given = dict(meant)
    if all(each.name != "steps" for each in options_of(cls)):
        if steps is not None:
            raise ArgumentError("steps", steps, f"left out: {name} has points of its own")
    elif "steps" not in texts:
        given["steps"] = 100 if steps is None else steps
    elif steps is not None:
        raise ArgumentError("steps", steps, f"given once: {text!r} has them already")
    return _built(cls, texts, given, name)


def told_of(entry: Entry) -> str:
    """What is to be said of a name from elsewhere: its note, and what is in its way.

    Args:
        entry: one of ``registry().aliases()``.
    """
    alias: Alias = entry.obj
    try:
        given = registry().meant(alias.kind, entry.short)[0].name
    except SdeplugError as error:
        return f"{alias.note} ({error})".strip()
    own = f"{entry.short} itself is {given}" if given != alias.name else ""
    return "; ".join(filter(None, (alias.note, own)))


def split(text: str) -> tuple[str, dict[str, str]]:
    """Split ``NAME[:OPTION=VALUE,...]`` into the name and the texts of the options.

    A value may be a list: what has no "=" belongs to the option before it.

    Raises:
        ArgumentError: if an option has no value, or is there twice.
    """
    name, _, rest = text.partition(":")
    texts: dict[str, str] = {}
    key = ""
    for part in filter(None, rest.split(",")):
        before, equals, value = part.partition("=")
        if equals:
            key = before.strip()
            if key in texts:
                raise ArgumentError(f"options of {name}", rest, f"given once: {key!r} is twice")
            texts[key] = value.strip()
        elif key:
            texts[key] += f",{part.strip()}"
        else:
            raise ArgumentError(f"options of {name}", part, "of the form OPTION=VALUE")
    return name, texts


def _built(cls: type[C], texts: Mapping[str, str], given: Mapping[str, Any], name: str) -> C:
    try:
        return build(cls, {**given, **parse_options(cls, texts)}, name)
    except ArgumentError as error:
        if error.argument not in texts:
            raise
        raise ArgumentError(
            f"{error.argument} of {name}", error.value, error.allowed, error.hint
        ) from error
