"""Values written as ``NAME[:OPTION=VALUE,...]``."""

from __future__ import annotations

from typing import Any

from sdeplug.errors import ArgumentError
from sdeplug.grid import GRIDS, TimeGrid
from sdeplug.options import build, parse_options
from sdeplug.registry.catalogue import registry
from sdeplug.registry.discovery import Kind


def named(kind: Kind, text: str) -> Any:
    """Build a solver or SDE from text.

    Args:
        kind: ``"solvers"`` or ``"sdes"``.
        text: ``NAME[:OPTION=VALUE,...]``.

    Raises:
        UnknownNameError: for a name that no plugin offers.
        ArgumentError: for an option that is not allowed.
    """
    name, texts = split(text)
    cls = registry().find(kind, name).obj
    return build(cls, parse_options(cls, texts), name)


def named_grid(text: str, steps: int) -> TimeGrid:
    """Build a grid of ``steps`` steps from text; raises as :func:`named`."""
    name, texts = split(text)
    if name not in GRIDS:
        raise ArgumentError("--grid", name, f"one of {', '.join(GRIDS)}")
    cls = GRIDS[name]
    return build(cls, {"steps": steps, **parse_options(cls, texts)}, name)


def split(text: str) -> tuple[str, dict[str, str]]:
    """Split ``NAME[:OPTION=VALUE,...]`` into the name and the texts of the options.

    Raises:
        ArgumentError: if an option has no value.
    """
    name, _, rest = text.partition(":")
    texts: dict[str, str] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise ArgumentError(f"options of {name}", part, "of the form OPTION=VALUE")
        texts[key.strip()] = value.strip()
    return name, texts
