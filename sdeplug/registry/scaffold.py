"""Write a new plugin: a whole distribution of four small files, ready to install and test."""

from __future__ import annotations

import os
import re
from importlib.resources import files
from pathlib import Path
from string import Template

from sdeplug.errors import ArgumentError
from sdeplug.registry.catalogue import registry
from sdeplug.registry.hookspecs import HOOKSPEC_VERSION

_FILES = {
    "pyproject.toml": "pyproject.toml.txt",
    "$package.py": "module.py.txt",
    "test_$package.py": "test_module.py.txt",
    "README.md": "README.md.txt",
}


def write_plugin(name: str, folder: str | os.PathLike[str]) -> list[Path]:
    """Write the distribution ``sdeplug-NAME`` with a plugin that works, to be changed.

    Args:
        name: name of the plugin: lower-case letters and digits, single hyphens between.
        folder: where to write; made if it is not there.

    Returns:
        The files, in the order in which to read them.

    Raises:
        ArgumentError: if the name is not a name or is taken by a bundled plugin, if the folder
            is none, or if one of the files is there already; nothing is written then.
    """
    words = _words(name)
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ArgumentError("folder", str(folder), "a folder, or a path where one can be made")
    templates = files("sdeplug.registry") / "templates"
    texts = {
        folder / Template(file).substitute(words): Template(
            (templates / template).read_text(encoding="utf-8")
        ).substitute(words)
        for file, template in _FILES.items()
    }
    there = [path.name for path in texts if path.exists()]
    if there:
        raise ArgumentError(
            "folder",
            str(folder),
            f"without {' and '.join(there)}",
            "Nothing is overwritten: choose another folder, or move the files away.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8", newline="\n")
    return list(texts)


def _words(name: str) -> dict[str, str]:
    if not isinstance(name, str) or not re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", name):
        raise ArgumentError(
            "name", name, "lower-case letters and digits, single hyphens between",
            "For example 'my-sampler'.",
        )  # fmt: skip
    if name.startswith("sdeplug-"):
        short = name.removeprefix("sdeplug-")
        raise ArgumentError(
            "name", name, "without 'sdeplug-'", f"{short!r} makes 'sdeplug-{short}'."
        )
    owner = registry().plugins().get(name)
    if owner is not None and owner.bundled:
        raise ArgumentError("name", name, f"other than that of a plugin of {owner.provenance}")
    package = f"sdeplug_{name.replace('-', '_')}"
    return {
        "plugin": name,
        "distribution": f"sdeplug-{name}",
        "package": package,
        "hooks": str(HOOKSPEC_VERSION),
    }
