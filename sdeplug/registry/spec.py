"""Values as plain data and back: JSON and TOML without a second description of anything.

A solver, grid or SDE becomes a mapping of its name and those options that differ from their
defaults; options that are solvers or grids nest ::

    {"name": "on-grid",
     "integrator": {"name": "song/euler-maruyama"},
     "grid": {"name": "uniform", "steps": 100}}
"""

from __future__ import annotations

import json
import sys
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import tomli_w

from sdeplug.compose import COMBINATORS
from sdeplug.errors import ArgumentError, PairingError, write_text
from sdeplug.grid import GRIDS, TimeGrid
from sdeplug.kinds import members
from sdeplug.metrics import Metric
from sdeplug.options import Configured, build, options_of
from sdeplug.registry.catalogue import registry
from sdeplug.registry.discovery import Kind
from sdeplug.sde import ForwardSDE
from sdeplug.solvers import Corrector, Integrator
from sdeplug.values import OneOf

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Spec = dict[str, Any]
C = TypeVar("C", bound=Configured)

_FAMILIES: Mapping[type[Configured], Kind] = {
    Integrator: "solvers",
    Corrector: "solvers",
    ForwardSDE: "sdes",
    Metric: "metrics",
    TimeGrid: "grids",
}
_CORE: Mapping[str, type[Configured]] = {**GRIDS, **COMBINATORS}


def to_spec(value: object) -> Any:
    """Turn a solver, grid or SDE into plain data.

    Args:
        value: a configured value, or a plain one.

    Returns:
        Mappings, lists, strings and numbers only.

    Raises:
        ArgumentError: for a value that has no plain form, such as a function.
        PluginError: for a class that no plugin offers by name.
    """
    if isinstance(value, Configured):
        changed = {
            each.name: to_spec(getattr(value, each.name))
            for each in options_of(type(value))
            if getattr(value, each.name) != each.default
        }
        return {"name": _name_of(type(value)), **changed}
    if isinstance(value, tuple):
        return [to_spec(each) for each in value]
    if isinstance(value, OneOf):
        return str(value)
    if isinstance(value, (bool, int, float, str)):
        return value
    raise ArgumentError(
        "spec", value, "a solver, grid, SDE, number or text",
        "A function has no plain form: give it in code.",
    )  # fmt: skip


def from_spec(spec: Mapping[str, Any], family: type[C]) -> C:
    """Build a solver, grid or SDE from plain data.

    Args:
        spec: what :func:`to_spec` gives.
        family: what is wanted: ``Integrator``, ``Corrector``, ``TimeGrid`` or ``ForwardSDE``, or
            a kind of one of them, such as ``FlowIntegrator`` or ``LinearSDE``.

    Raises:
        ArgumentError: for a spec that is malformed, or an option that is not allowed.
        UnknownNameError: for a name that nothing has.
        PairingError: for a name of another family.
    """
    if not isinstance(spec, Mapping) or not isinstance(spec.get("name"), str):
        raise ArgumentError(
            "spec", spec, f"a table with the name of the {family.__name__}",
            'For example {"name": "song/euler-maruyama"}.',
        )  # fmt: skip
    name = spec["name"]
    cls, meant = _meant(name, family)
    if not issubclass(cls, family):
        hint = (
            "Corrected(integrator, corrector) is an Integrator."
            if issubclass(cls, Corrector)
            else ""
        )
        raise PairingError(
            f"{name!r} is {cls.__name__}: must be of type {family.__name__}. {hint}".rstrip()
        )
    types = {each.name: each.type for each in options_of(cls)}
    options = {
        key: _from_plain(value, types.get(key, Any)) for key, value in spec.items() if key != "name"
    }
    return build(cls, {**meant, **options}, name)


def read_spec(path: Path | str) -> Spec:
    """Read plain data from a ``.json`` or ``.toml`` file.

    Raises:
        ArgumentError: for another ending, a file that is not there, or one that does not parse.
    """
    path = Path(path)
    parse = {".json": json.loads, ".toml": tomllib.loads}.get(path.suffix)
    if parse is None:
        raise ArgumentError("path", str(path), "a file that ends in .json or .toml")
    try:
        spec = parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArgumentError("path", str(path), "a readable file", str(error)) from error
    if not isinstance(spec, dict):
        raise ArgumentError("path", str(path), "a file with a table at its top")
    return spec


def write_spec(spec: Mapping[str, Any], path: Path | str) -> None:
    """Write plain data to a ``.json`` or ``.toml`` file, in a folder that is made where it is not.

    Raises:
        ArgumentError: for another ending.
        UnwrittenError: if it cannot be written.
    """
    path = Path(path)
    if path.suffix == ".json":
        text = json.dumps(spec, indent=2) + "\n"
    elif path.suffix == ".toml":
        text = tomli_w.dumps(spec)
    else:
        raise ArgumentError("path", str(path), "a file that ends in .json or .toml")
    write_text("path", path, text)


def _name_of(cls: type[Configured]) -> str:
    for name, known in _CORE.items():
        if known is cls:
            return name
    return registry().name_of(cls)


def _meant(name: str, family: type[Configured]) -> tuple[type[Configured], Mapping[str, Any]]:
    """The class that has a name, and the options that the name says already."""
    if name in _CORE:
        return _CORE[name], {}
    kind = next((kind for base, kind in _FAMILIES.items() if issubclass(family, base)), None)
    if kind is None:
        known = ", ".join(key for key, cls in _CORE.items() if issubclass(cls, family))
        raise ArgumentError("name", name, f"one of {known}")
    entry, meant = registry().meant(kind, name)
    return entry.obj, meant


def _from_plain(value: object, annotation: Any) -> object:
    """Build nested values where the annotation of the option asks for them."""
    for member in members(annotation):
        if isinstance(member, type) and issubclass(member, Configured):
            return from_spec(typing.cast("Mapping[str, Any]", value), member)
        if typing.get_origin(member) is tuple and isinstance(value, list):
            item = typing.get_args(member)[0]
            return tuple(_from_plain(each, item) for each in value)
    return value
