"""Everything that has a name: solvers, forward SDEs, targets, metrics, scores and grids.

A full name is ``plugin/name``; the name alone works while only one plugin offers it, and a
name of the core always means that of the core, so that no plugin changes what is meant by it.
Importing this module loads no plugin, a full name loads its own, and a listing loads them all.
A plugin that does not work is left out with a warning; asking for it raises its real cause.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cache, cached_property
from importlib.metadata import EntryPoint
from threading import RLock
from types import MappingProxyType
from typing import Any, NoReturn

from sdeplug.errors import PluginError, UnknownNameError, argument_type
from sdeplug.registry.above import above, name_above, names_above
from sdeplug.registry.aliases import Alias, alias_of, plainly
from sdeplug.registry.discovery import (
    CORE,
    Discovery,
    Entry,
    Failure,
    Kind,
    Origin,
    Source,
    discover,
    near_names,
)
from sdeplug.registry.loading import KINDS, Loaded, checked_name, core, load


class Registry:
    """Names and what they stand for.

    Args:
        entry_points: where to look for plugins; None: what is installed.
        environment: where ``SDEPLUG_BLOCK`` (names of plugins to leave out, with commas)
            and ``SDEPLUG_AUTOLOAD`` (0: only bundled plugins) are read from; None: os.environ.
    """

    def __init__(
        self,
        entry_points: Iterable[EntryPoint] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._points = None if entry_points is None else tuple(entry_points)
        self._environment = os.environ if environment is None else environment
        self._registered: dict[str, Source] = {}
        self._loaded: dict[str, Loaded] = {}
        self._untold: list[Failure] = []
        self._lock = RLock()

    def solvers(self) -> Mapping[str, Entry]:
        """All solvers by full name; loads every plugin."""
        return self._listing("solvers")

    def sdes(self) -> Mapping[str, Entry]:
        """All forward SDEs by full name; loads every plugin."""
        return self._listing("sdes")

    def targets(self) -> Mapping[str, Entry]:
        """All targets by full name; loads every plugin."""
        return self._listing("targets")

    def metrics(self) -> Mapping[str, Entry]:
        """All metrics by full name; loads every plugin."""
        return self._listing("metrics")

    def scores(self) -> Mapping[str, Entry]:
        """All score models made of score models, by full name; loads every plugin."""
        return self._listing("scores")

    def grids(self) -> Mapping[str, Entry]:
        """All time grids by full name; loads every plugin."""
        return self._listing("grids")

    def aliases(self) -> Mapping[str, Entry]:
        """All names from elsewhere by plugin and name; loads every plugin."""
        return self._listing("aliases")

    def plugins(self) -> Mapping[str, Origin]:
        """The plugins that were found, by name; loads none."""
        return MappingProxyType(dict(self._sources))

    @property
    def failures(self) -> tuple[Failure, ...]:
        """All that was left out; loads every plugin.  Who reads it gets no warning more."""
        with self._lock:
            self._load_all()
            self._untold.clear()
            loaded = (failure for each in self._loaded.values() for failure in each.failures)
            return (*self._discovery.refused, *loaded)

    def find(self, kind: Kind, name: str) -> Entry:
        """Look a name up.

        Args:
            kind: "solvers", "sdes", "targets", "metrics", "scores" or "grids".
            name: full name, or short name if only one plugin offers it.

        Raises:
            ArgumentError: if the name is not a str.
            UnknownNameError: if no plugin offers the name, or more than one does.
            PluginError: if the plugin that should offer it does not work or was left out.
        """
        if not isinstance(name, str):
            argument_type("name", name, "a str, such as 'song/langevin'")
        with self._lock:
            look = self._full if "/" in name else self._short
            entry = above(kind, name) or look(kind, name)
        self._tell()
        return entry

    def meant(self, kind: Kind, name: str) -> tuple[Entry, Mapping[str, Any]]:
        """What a name that may come from elsewhere means, and its options; raises as ``find``."""
        alias = self._alias(kind, name) if isinstance(name, str) and "/" not in name else None
        if alias is None:
            return self.find(kind, name), {}
        try:
            return self.find(kind, alias.name), alias.options
        except UnknownNameError as error:
            raise UnknownNameError(
                f"{name!r} means {alias.name!r}: install what offers it. {error}"
            ) from error

    def name_of(self, cls: type) -> str:
        """The full name of a class; :class:`PluginError` if no plugin offers it."""
        with self._lock:
            name = self._known_as(cls)
            if name is None:
                self._load_all()
                name = self._known_as(cls)
        if name is None:
            raise PluginError(
                f"{cls.__module__}.{cls.__qualname__} has no name, since no plugin offers it. "
                "Return it from a hook, and let an entry point name the module, or call "
                f"registry().register(module, 'my-plugin'). {self._advice()}".rstrip()
            )
        self._tell()
        return name

    def register(self, module: object, name: str) -> None:
        """Add a plugin in this process, without an entry point: in a notebook, or in a test.

        Args:
            module: module, or any other object, with hook implementations.
            name: name of the plugin; a name that was registered here before is replaced.

        Raises:
            ArgumentError: if the name is not a name.
            PluginError: if the name is taken, or the plugin does not work.
        """
        checked_name("name", name)
        with self._lock:
            taken = self._discovery.sources.get(name)
            if taken is not None:
                raise PluginError(f"the plugin name {name!r} belongs to {taken.provenance}.")
            self._discovery.must_allow(name)
            source = Source(name, "", "", lambda: module)
            loaded = load(source)
            if loaded.failures:
                self._raise(loaded.failures[0])
            self._registered[name], self._loaded[name] = source, loaded

    @cached_property
    def _discovery(self) -> Discovery:
        found = discover(self._points, core(), self._environment)
        self._untold.extend(found.refused)
        return found

    @property
    def _sources(self) -> dict[str, Source]:
        return {**self._discovery.sources, **self._registered}

    def _load(self, source: Source) -> Loaded:
        loaded = self._loaded.get(source.plugin)
        if loaded is None:
            # A hook may ask for names in turn: it then sees its own plugin as empty.
            self._loaded[source.plugin] = Loaded.empty()
            try:
                loaded = self._loaded[source.plugin] = load(source)
            except BaseException:
                del self._loaded[source.plugin]
                raise
            self._untold.extend(loaded.failures)
        return loaded

    def _load_all(self) -> None:
        for source in self._sources.values():
            self._load(source)

    def _entries(self, kind: Kind) -> dict[str, Entry]:
        self._load_all()
        entries = (each.entries[kind] for each in list(self._loaded.values()))
        return dict(sorted(item for each in entries for item in each.items()))

    def _listing(self, kind: Kind) -> Mapping[str, Entry]:
        with self._lock:
            entries = self._entries(kind)
        self._tell()
        return MappingProxyType(entries)

    def _full(self, kind: Kind, name: str) -> Entry:
        plugin, _, short = name.partition("/")
        self._discovery.must_allow(plugin)
        source = self._sources.get(plugin)
        if source is None:
            self._unknown(kind, name)
        loaded = self._load(source)
        if name in loaded.entries[kind]:
            return loaded.entries[kind][name]
        for failure in loaded.failures:
            # Where a plugin offers other things of the kind, a name that it lacks is a typo.
            wanted = failure.entry == short or not (failure.entry or loaded.entries[kind])
            if wanted and failure.kind in (None, kind):
                self._raise(failure)
        self._unknown(kind, name)

    def _short(self, kind: Kind, name: str) -> Entry:
        own = self._of_core(kind, name)
        if own is not None:
            return own
        entries = self._entries(kind).values()
        found = [entry for entry in entries if entry.short == name]
        found = found or [entry for entry in entries if plainly(entry.short) == plainly(name)]
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(repr(entry.name) for entry in found)
            raise UnknownNameError(f"{name!r} is offered by more than one plugin: write {names}.")
        for loaded in self._loaded.values():
            for failure in loaded.failures:
                if failure.kind in (None, kind) and name in (failure.entry, failure.plugin):
                    self._raise(failure)
        self._discovery.must_allow(name)
        self._unknown(kind, name)

    def _of_core(self, kind: Kind, name: str) -> Entry | None:
        """What the core calls so, without a look at the plugins."""
        core = self._sources.get(CORE)
        return None if core is None else self._load(core).entries[kind].get(f"{CORE}/{name}")

    def _alias(self, kind: Kind, name: str) -> Alias | None:
        """What a name from elsewhere stands for; None if it is one of ours, or unknown."""
        with self._lock:
            if self._of_core(kind, name) is not None:
                return None
            ours = {plainly(entry.short) for entry in self._entries(kind).values()}
            aliases = self._entries("aliases").values()
        return None if plainly(name) in ours else alias_of(aliases, kind, name)

    def _unknown(self, kind: Kind, name: str) -> NoReturn:
        entries, aliases = self._entries(kind), self._entries("aliases").values()
        also = [*(each.short for each in aliases if each.obj.kind == kind), *names_above(kind)]
        raise UnknownNameError(
            f"no {kind[:-1]} is called {name!r}. {near_names(name, entries, kind, also)} "
            f"{self._advice()}".rstrip()
        )

    def _advice(self) -> str:
        """What else a person should know who did not find a name."""
        left_out = [str(failure) for each in self._loaded.values() for failure in each.failures]
        left_out += map(str, self._discovery.refused)
        left_out += [f"{name} (by {by})" for name, by in self._discovery.absent.items()]
        text = f"Left out: {'; '.join(left_out)}. " if left_out else ""
        if any(each.bundled for each in self._sources.values() if each.plugin != CORE):
            return text
        return (
            f"{text}No bundled plugin is there, so sdeplug itself is not installed: run "
            "'pip install -e .' in its checkout."
        )

    def _known_as(self, cls: type) -> str | None:
        kinds = [each.entries[kind] for each in self._loaded.values() for kind in KINDS]
        found = next((e.name for each in kinds for e in each.values() if e.obj is cls), None)
        return found or name_above(cls)

    def _raise(self, failure: Failure) -> NoReturn:
        if failure in self._untold:
            self._untold.remove(failure)
        raise failure.error() from failure.cause

    def _tell(self) -> None:
        # Only after a look-up that raised nothing: a warning must not hide an error.
        with self._lock:
            while self._untold:
                self._untold.pop(0).warn()


@cache
def registry() -> Registry:
    """The registry of this process: what is installed, and the environment as it is."""
    return Registry()


registry()  # made now, since two threads that both asked first would get two
