"""What plugins there are: who owns each name, and what is left out; imports no plugin."""

from __future__ import annotations

import difflib
import importlib.metadata
import os
import platform
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sdeplug.errors import ArgumentError, PluginError, PluginWarning

Kind = Literal["solvers", "sdes", "targets", "metrics", "scores", "grids", "aliases"]
"""What a plugin can offer; ``sdeplug_`` before it is the name of the hook."""

GROUP = "sdeplug"
BUNDLED = "sdeplug"
CORE = "core"
_HOUSE = str(Path(__file__).parents[1]) + os.sep
_FEW = 10


@dataclass(frozen=True)
class Origin:
    """Where something comes from.

    Attributes:
        plugin: name of the plugin.
        distribution: what was installed; "" for a plugin registered in this process.
        version: version of the distribution; "" if it has none.
    """

    plugin: str
    distribution: str
    version: str

    @property
    def bundled(self) -> bool:
        """Whether it belongs to sdeplug itself."""
        return _normalised(self.distribution) == BUNDLED

    @property
    def provenance(self) -> str:
        """Distribution and version, for people."""
        return f"{self.distribution} {self.version}".strip() or "this process"


@dataclass(frozen=True)
class Entry(Origin):
    """Something that a plugin offers.

    Attributes:
        name: full name, ``plugin/short``.
        obj: the class of a solver or SDE, the function that builds a target.
    """

    name: str
    obj: Any = field(repr=False)

    @property
    def short(self) -> str:
        """The name without the plugin."""
        return self.name.partition("/")[2]


@dataclass(frozen=True)
class Failure(Origin):
    """A plugin, or one part of a plugin, that was left out.

    Attributes:
        cause: the exception that says why.
        kind: what could not be offered; None: anything.
        entry: name of the one entry left out; "": all of that kind.
    """

    cause: BaseException
    kind: Kind | None = None
    entry: str = ""

    @property
    def name(self) -> str:
        """``plugin`` or ``plugin/entry``."""
        return f"{self.plugin}/{self.entry}" if self.entry else self.plugin

    @property
    def reason(self) -> str:
        """Type and text of the cause, and the file and line of the plugin, on one line."""
        text = " ".join(f"{type(self.cause).__name__}: {self.cause}".split()).rstrip(".:")
        return text + _place(self.cause)

    def error(self) -> PluginError:
        """The exception for who asks for what was left out; to be raised from the cause."""
        return PluginError(
            f"{self.name!r} of {self.provenance} cannot be used: {self.reason}. {versions()}"
        )

    def warn(self) -> None:
        """Warn whoever called sdeplug."""
        warnings.warn(
            f"{self.name!r} of {self.provenance} was left out: {self.reason}. Everything else "
            f"works. SDEPLUG_BLOCK={self.plugin} leaves out all of {self.plugin!r} silently.",
            PluginWarning,
            stacklevel=_outside(),
        )

    def __str__(self) -> str:
        return f"{self.name} of {self.provenance} ({self.reason})"


@dataclass(frozen=True)
class Source(Origin):
    """A plugin that has been found, and how to import it."""

    importer: Callable[[], object] = field(repr=False)

    def fail(self, cause: BaseException, kind: Kind | None = None, entry: str = "") -> Failure:
        """A failure of this plugin."""
        return Failure(self.plugin, self.distribution, self.version, cause, kind, entry)


@dataclass(frozen=True)
class Discovery:
    """What :func:`discover` has found.

    Attributes:
        sources: plugins that can be loaded, by name.
        refused: plugins whose name cannot be given to them.
        absent: names that the environment leaves out, and by what.
    """

    sources: Mapping[str, Source]
    refused: tuple[Failure, ...]
    absent: Mapping[str, str]

    def must_allow(self, plugin: str) -> None:
        """Raise :class:`PluginError` for a name that the environment, or a clash, leaves out."""
        if plugin in self.absent:
            raise PluginError(
                f"the plugin {plugin!r} is left out by {self.absent[plugin]} in the environment. "
                "Change it there, and start again."
            )
        clashes = [each for each in self.refused if each.plugin == plugin]
        if clashes and plugin not in self.sources:
            raise clashes[0].error() from clashes[0].cause


def discover(
    points: Iterable[importlib.metadata.EntryPoint] | None,
    core: Source,
    environment: Mapping[str, str],
) -> Discovery:
    """Find the plugins and decide who owns each name; imports none of them.

    Args:
        points: entry points; None: those of the group ``sdeplug`` that are installed.
        core: the plugin that has no entry point, since it is the core itself.
        environment: ``SDEPLUG_BLOCK`` and ``SDEPLUG_AUTOLOAD`` are read from it.

    Raises:
        ArgumentError: if ``SDEPLUG_AUTOLOAD`` is neither 0 nor 1.
    """
    block = environment.get("SDEPLUG_BLOCK", "")
    absent = {n.strip(): f"SDEPLUG_BLOCK={block}" for n in block.split(",") if n.strip()}
    autoload = environment.get("SDEPLUG_AUTOLOAD", "") or "1"
    if autoload not in ("0", "1"):
        raise ArgumentError("SDEPLUG_AUTOLOAD", autoload, "0 or 1")

    # Of a distribution that is on the path twice, Python imports the first: so do we.
    claims: dict[str, dict[str, Source]] = {core.plugin: {BUNDLED: core}}
    for point in importlib.metadata.entry_points(group=GROUP) if points is None else points:
        source = _source(point)
        claims.setdefault(source.plugin, {}).setdefault(_normalised(source.distribution), source)

    sources: dict[str, Source] = {}
    refused: list[Failure] = []
    for plugin, owners in sorted(claims.items()):
        foreign = [source for source in owners.values() if not source.bundled]
        if plugin in absent:
            continue
        if foreign and autoload == "0":
            foreign = []
            if BUNDLED not in owners:
                absent[plugin] = "SDEPLUG_AUTOLOAD=0"
        if BUNDLED in owners:
            sources[plugin] = owners[BUNDLED]
            refused += [_refusal(source, [owners[BUNDLED]]) for source in foreign]
        elif len(foreign) == 1:
            sources[plugin] = foreign[0]
        else:
            refused += [_refusal(each, [s for s in foreign if s is not each]) for each in foreign]
    return Discovery(sources, tuple(refused), absent)


def _source(point: importlib.metadata.EntryPoint) -> Source:
    try:
        name, version = point.dist.name, point.dist.version  # type: ignore[union-attr]
    except Exception:
        # Metadata may be broken where the plugin is sound.
        name, version = "", ""
    distribution = name or f"the distribution of {point.value}"
    return Source(point.name, distribution, version or "", point.load)


def _normalised(distribution: str) -> str:
    return re.sub("[-_.]+", "-", distribution).lower()


def _refusal(source: Source, others: list[Source]) -> Failure:
    owners = " and ".join(other.provenance for other in others)
    hint = "Uninstall one of them, or ask its author to rename the plugin."
    taken = f"a name other than that of {owners}"
    return source.fail(ArgumentError(f"plugin of {source.provenance}", source.plugin, taken, hint))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question that names what was perhaps meant, and a space; "" if nothing is near.

    Args:
        name: what was asked for: a name, ``plugin/name``, or a plugin.
        known: what there is; of ``plugin/name``, either part may be near.
    """
    known = list(known)
    short = name.rpartition("/")[2]
    shorts = _near(short, [each.rpartition("/")[2] for each in known], 2)
    near = _near(name, known, 3)
    near += [each for each in known if each.rpartition("/")[2] in shorts]
    near += [each for each in known if each.startswith(f"{name}/")]
    return f"Did you mean {' or '.join(map(repr, dict.fromkeys(near)))}? " if near else ""


def _near(name: str, known: Iterable[str], most: int) -> list[str]:
    """The names that are nearest, whatever their case."""
    plain = {each.lower(): each for each in known}
    return [plain[each] for each in difflib.get_close_matches(name.lower(), plain, n=most)]


def near_names(name: str, known: Iterable[str], kind: str, also: Iterable[str] = ()) -> str:
    """What to say of a name that is not there: near ones, or all if they are few; where all are.

    Args:
        name: what was asked for.
        known: what there is.
        kind: what ``sdeplug list`` calls it.
        also: names from elsewhere, for which nothing else may be near.
    """
    known = list(known)
    few = f"There are {', '.join(known)}. " if 0 < len(known) <= _FEW else ""
    near = did_you_mean(name, known) or did_you_mean(name, also) or few
    return f"{near}`sdeplug list {kind}` shows all {len(known)}."


def installed_version(distribution: str) -> str:
    """Version of an installed distribution, or ""."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def versions() -> str:
    """The versions that a report of a failure should carry."""
    sdeplug, torch = (installed_version(name) or "(not installed)" for name in (BUNDLED, "torch"))
    return f"[sdeplug {sdeplug}, Python {platform.python_version()}, torch {torch}]"


def _place(cause: BaseException) -> str:
    """Where the code of others has failed, in brackets; "" if it is sdeplug that refuses."""
    if isinstance(cause, SyntaxError) and cause.filename:
        file, line = cause.filename, cause.lineno
        return f" ({file}, line {line})"
    frames = [(each.filename, each.lineno) for each in traceback.extract_tb(cause.__traceback__)]
    others = [each for each in frames if not each[0].startswith((_HOUSE, "<frozen"))]
    if not others or (frames and frames[-1][0].startswith(_HOUSE)):
        return ""
    file, line = others[-1]
    return f" ({file}, line {line})"


def _outside() -> int:
    """The stack level, counted from the caller, of who called sdeplug."""
    level, frame = 1, sys._getframe(1)
    while frame.f_code.co_filename.startswith(_HOUSE) and frame.f_back is not None:
        level, frame = level + 1, frame.f_back
    return level
