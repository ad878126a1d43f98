"""Names remembered in a small file, for who cannot wait for the plugins: the shell.

The file belongs to the Python environment, and counts only while the same plugins are installed
in the same versions.  It can be removed at any time; where it cannot be written, nothing is lost.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from sdeplug.registry.discovery import GROUP

Names = Mapping[str, Sequence[str]]
"""Full names by kind: "solvers", "sdes", "targets", "metrics", "scores", "grids", "aliases"."""


def recall() -> Names | None:
    """What was remembered last; None if that is nothing, or something else is installed now."""
    try:
        kept = json.loads(_file().read_text(encoding="utf-8"))
        if kept["installed"] != _installed():
            return None
        return {kind: [str(name) for name in names] for kind, names in kept["names"].items()}
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, AttributeError):
        return None


def remember(names: Names) -> None:
    """Keep names for :func:`recall`; the file is there whole, or as it was before."""
    with suppress(OSError, RuntimeError):  # RuntimeError: a user without a home
        path = _file()
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}")
        kept = {"installed": _installed(), "names": {kind: [*each] for kind, each in names.items()}}
        try:
            part.write_text(json.dumps(kept), encoding="utf-8")
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def _file() -> Path:
    """One file for each environment, in the folder for what can be made again."""
    environment = hashlib.sha256(f"{sys.prefix} {sys.version}".encode()).hexdigest()[:16]
    return _folder() / "sdeplug" / f"names-{environment}.json"


def _folder() -> Path:
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"])
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")


def _installed() -> list[list[str]]:
    """Everything that decides which names there are, as far as can be seen without importing."""
    variables = [os.environ.get(each, "") for each in ("SDEPLUG_BLOCK", "SDEPLUG_AUTOLOAD")]
    points = importlib.metadata.entry_points(group=GROUP)
    return [variables, *sorted(map(_described, points))]


def _described(point: importlib.metadata.EntryPoint) -> list[str]:
    """A plugin with its version, and the time of its file: one at work on it sees new names."""
    distribution, changed = getattr(point, "dist", None), ""
    with suppress(ImportError, ValueError, OSError):
        spec = find_spec(point.value.partition(":")[0].partition(".")[0])
        if spec is not None and spec.origin is not None:
            changed = str(os.stat(spec.origin).st_mtime_ns)
    name = "" if distribution is None else f"{distribution.name} {distribution.version}"
    return [point.name, point.value, name, changed]
