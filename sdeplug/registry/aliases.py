"""Names from elsewhere: what other libraries call the solvers and grids that are here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sdeplug.errors import ArgumentError, UnknownNameError, argument_type
from sdeplug.registry.discovery import Entry, Kind

_KINDS: tuple[Kind, ...] = ("solvers", "grids")


@dataclass(frozen=True)
class Alias:
    """What a solver or a grid is called elsewhere.

    Attributes:
        name: its full name here, ``plugin/name``.
        options: those that make it what is meant.
        same: whether the numbers are those of the library, on the same grid with the same draws;
            if not, it is the same method with other details.
        note: what is different, in a phrase.
        library: where it is called so.
        kind: "solvers" or "grids".

    Raises:
        ArgumentError: for a name that is not full, or another kind.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    same: bool = False
    note: str = ""
    library: str = ""
    kind: Kind = "solvers"

    def __post_init__(self) -> None:
        plugin, _, short = str(self.name).partition("/")
        if not plugin or not short:
            raise ArgumentError("name", self.name, "a full name, such as 'exponential/ddim'")
        if not isinstance(self.options, Mapping):
            argument_type("options", self.options, "a mapping from options to values")
        if self.kind not in _KINDS:
            raise ArgumentError("kind", self.kind, f"one of {', '.join(_KINDS)}")

    @property
    def written(self) -> str:
        """The name and the options, as they can be typed."""
        words = ",".join(
            f"{key}={','.join(map(str, value)) if isinstance(value, tuple) else value}"
            for key, value in self.options.items()
        )
        return f"{self.name}:{words}" if words else self.name

    @staticmethod
    def of(library: str, names: Mapping[str, Alias]) -> dict[str, Alias]:
        """The names of one library, for the hook ``sdeplug_aliases``."""
        return {name: replace(alias, library=library) for name, alias in names.items()}


def plainly(name: str) -> str:
    """A name without what people write differently: "DPM++ 2M" and "dpmpp_2m" are one."""
    return "".join(filter(str.isalnum, name.replace("+", "p").casefold()))


def checked_alias(argument: str, name: object) -> str:
    """A name of another library, or :class:`ArgumentError`."""
    if not isinstance(name, str) or not plainly(name) or set(name) & set("/:,="):
        raise ArgumentError(argument, name, "a name with a letter, without '/', ':', ',' and '='")
    return name


def alias_of(entries: Iterable[Entry], kind: Kind, name: str) -> Alias | None:
    """What a name from elsewhere stands for; None if nobody knows it.

    Raises:
        UnknownNameError: if plugins do not agree.
    """
    known = [entry for entry in entries if entry.obj.kind == kind]
    found = {e.obj.written: e for e in known if plainly(e.short) == plainly(name)}
    if len(found) > 1:
        told = " and ".join(f"{each!r} to {e.plugin}" for each, e in found.items())
        raise UnknownNameError(f"{name!r} means {told}: write the one that you mean.")
    alias: Alias | None = next((entry.obj for entry in found.values()), None)
    return alias
