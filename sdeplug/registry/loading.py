"""Load one plugin: import it, call its hooks, check what they return.

No plugin can raise here: what goes wrong becomes a :class:`Failure`, and the rest goes on.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pluggy

from sdeplug.errors import ArgumentError, argument_type
from sdeplug.grid import GRIDS, TimeGrid
from sdeplug.metrics import Metric
from sdeplug.registry import hookspecs
from sdeplug.registry.aliases import Alias, checked_alias
from sdeplug.registry.discovery import (
    BUNDLED,
    CORE,
    Entry,
    Failure,
    Kind,
    Source,
    did_you_mean,
    installed_version,
)
from sdeplug.registry.grid_aliases import GRID_ALIASES
from sdeplug.sde import NAMED_SDES, ForwardSDE
from sdeplug.solvers import Corrector, Integrator
from sdeplug.targets import Target

KINDS: tuple[Kind, ...] = ("solvers", "sdes", "targets", "metrics", "scores", "grids", "aliases")
NAME = "lower-case letters, digits and hyphens, not a hyphen first"

_BASES: dict[Kind, tuple[type, ...]] = {
    "solvers": (Integrator, Corrector),
    "sdes": (ForwardSDE,),
    "metrics": (Metric,),
    "grids": (TimeGrid,),
}
# A plugin that calls sys.exit() must not end its host; an interrupt is the user's own.
_CAUGHT = (Exception, SystemExit)


class _Core:
    @hookspecs.hookimpl
    def sdeplug_sdes(self) -> Mapping[str, type[ForwardSDE]]:
        return NAMED_SDES

    @hookspecs.hookimpl
    def sdeplug_targets(self) -> Mapping[str, Callable[[], Target]]:
        from sdeplug.targets import BUILTIN

        return BUILTIN

    @hookspecs.hookimpl
    def sdeplug_metrics(self) -> Mapping[str, type[Metric]]:
        from sdeplug.metrics import BUILTIN

        return BUILTIN

    @hookspecs.hookimpl
    def sdeplug_grids(self) -> Mapping[str, type[TimeGrid]]:
        return GRIDS

    @hookspecs.hookimpl
    def sdeplug_aliases(self) -> Mapping[str, Alias]:
        return GRID_ALIASES


def core() -> Source:
    """What the core itself offers, as a plugin like any other, but without an entry point."""
    return Source(CORE, BUNDLED, installed_version(BUNDLED), _Core)


@dataclass(frozen=True)
class Loaded:
    """What one plugin offers, by kind and full name, and what of it was left out."""

    entries: Mapping[Kind, dict[str, Entry]]
    failures: list[Failure]

    @classmethod
    def empty(cls) -> Loaded:
        """Nothing yet."""
        return cls({kind: {} for kind in KINDS}, [])


def load(source: Source) -> Loaded:
    """Import a plugin, call its hooks and check what they return."""
    loaded = Loaded.empty()
    try:
        checked_name("plugin", source.plugin)
        # One manager for each plugin: whatever one of them does, the others do not see it.
        manager = pluggy.PluginManager(hookspecs.PROJECT)
        manager.add_hookspecs(hookspecs)
        module = source.importer()
        _checked_version(module)
        manager.register(module, name=source.plugin)
        loaded.failures.extend(source.fail(cause) for cause in _unknown_hooks(manager, module))
    except _CAUGHT as cause:
        loaded.failures.append(source.fail(cause))
        return loaded
    for kind in KINDS:
        _collect(source, kind, manager, loaded)
    return loaded


def _collect(source: Source, kind: Kind, manager: pluggy.PluginManager, loaded: Loaded) -> None:
    hook = f"sdeplug_{kind}"
    caller = getattr(manager.hook, hook)
    if not caller.get_hookimpls():
        return
    try:
        offered = _mapping(hook, caller())
    except _CAUGHT as cause:
        loaded.failures.append(source.fail(cause, kind))
        return
    for short, obj in offered.items():
        try:
            (checked_alias if kind == "aliases" else checked_name)(f"name in {hook}()", short)
            _check(f"{hook}()[{short!r}]", kind, obj)
        except _CAUGHT as cause:
            loaded.failures.append(source.fail(cause, kind, str(short)))
        else:
            name = f"{source.plugin}/{short}"
            loaded.entries[kind][name] = Entry(
                source.plugin, source.distribution, source.version, name, obj
            )


def _mapping(hook: str, results: list[object]) -> dict[Any, Any]:
    # pluggy drops a None, which is what a function without return gives.
    result = results[0] if results else None
    if not isinstance(result, Mapping):
        argument_type(f"{hook}()", result, "a mapping from names to objects")
    return dict(result)


def _checked_version(module: object) -> None:
    """Refuse a plugin that is written for later hooks than these."""
    newest = hookspecs.HOOKSPEC_VERSION
    version = getattr(module, "HOOKSPEC_VERSION", newest)
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        argument_type("HOOKSPEC_VERSION", version, f"a whole number from 1 to {newest}")
    if version > newest:
        hint = f"It is written for later hooks than sdeplug {installed_version(BUNDLED)} has."
        raise ArgumentError(
            "HOOKSPEC_VERSION", version, f"at most {newest}", f"{hint} Upgrade sdeplug."
        )


def _unknown_hooks(manager: pluggy.PluginManager, module: object) -> list[ArgumentError]:
    hooks = [f"sdeplug_{kind}" for kind in KINDS]
    callers = manager.get_hookcallers(module) or []
    if not callers:
        hint = "Put @sdeplug.hookimpl above the functions of the plugin."
        return [ArgumentError("hooks", [], f"at least one of {', '.join(hooks)}", hint)]
    try:
        manager.check_pending()
    except pluggy.PluginValidationError:
        unknown = [caller.name for caller in callers if not caller.has_spec()]
        return [
            ArgumentError("hook", name, f"one of {', '.join(hooks)}", did_you_mean(name, hooks))
            for name in unknown
        ]
    return []


def checked_name(argument: str, name: object) -> str:
    """A name of a plugin or of one of its entries, or :class:`ArgumentError`."""
    if not isinstance(name, str) or not re.fullmatch("[a-z0-9][a-z0-9-]*", name):
        raise ArgumentError(argument, name, NAME)
    return name


def _check(argument: str, kind: Kind, obj: Any) -> None:
    if kind == "aliases":
        if not isinstance(obj, Alias):
            argument_type(argument, obj, "an Alias")
        return
    if kind not in _BASES:
        if not callable(obj):
            argument_type(argument, obj, f"a class or a function that builds a {kind[:-1]}")
        return
    bases = _BASES[kind]
    names = " or ".join(base.__name__ for base in bases)
    if not inspect.isclass(obj):
        argument_type(argument, obj, f"a class that derives from {names}", "Leave out the ().")
    if not issubclass(obj, bases):
        raise ArgumentError(argument, obj, f"a class that derives from {names}")
    if inspect.isabstract(obj):
        missing = ", ".join(sorted(vars(obj)["__abstractmethods__"]))
        raise ArgumentError(argument, obj, "a class without abstract methods", f"Define {missing}.")
    if not (dataclasses.is_dataclass(obj) and obj.__dataclass_params__.frozen):  # type: ignore[attr-defined]
        hint = "Write @dataclass(frozen=True) above the class."
        raise ArgumentError(argument, obj, "a frozen dataclass", hint)
