"""Data from files of numpy: ``.npy`` and ``.npz``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sdeplug.cli.work.data.rows import Array, Rows, classified
from sdeplug.errors import ArgumentError

_DATA = ("x", "data", "images", "x_train", "train_images")
_LABELS = ("y", "labels", "label", "y_train", "train_labels")


def read_arrays(path: Path, labels: str | None, classes: bool = True) -> Rows:
    """The data in a file of numpy; nothing in it is executed.

    Args:
        path: ``.npy`` with one array, or ``.npz`` with one, or one of a name that people give.
        labels: name of the array of the labels; None: one of a name that people give, if any.
        classes: whether labels are looked for where none are named.

    Raises:
        ArgumentError: for a file that cannot be read, or whose arrays are not known by name.
    """
    found = _arrays(path)
    name = _only(found, path)
    looked_for = classes or labels is not None
    words = _labels(found, labels, name, path) if looked_for else None
    x = found[name]
    return classified(x, None if words is None else _flat(words, len(x)))


def _arrays(path: Path) -> Mapping[str, Array]:
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return {"x": found}
        with found as file:
            return {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, KeyError) as error:
        raise _unreadable(path, error) from error
    except Exception as error:  # zipfile, zlib and struct have errors of their own
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ArgumentError:
    reason = " ".join(str(error).split()).split(". ")[0].rstrip(".")  # not how to run its code
    return ArgumentError(
        "data", str(path), "a whole file of numbers, as numpy.savez writes it", f"{reason}."
    )


def _only(found: Mapping[str, Array], path: Path) -> str:
    """The name of the data."""
    known = [name for name in _DATA if name in found]
    if known or len(found) == 1:
        return known[0] if known else next(iter(found))
    shown = ", ".join(f"{name} {each.shape}" for name, each in found.items()) or "no array"
    raise ArgumentError(
        "data", str(path), f"a file of one array, or with one called {' or '.join(_DATA)}",
        f"It has {shown}: numpy.savez(file, x=images, y=labels) names them.",
    )  # fmt: skip


def _labels(found: Mapping[str, Array], asked: str | None, data: str, path: Path) -> Array | None:
    if asked is None:
        return next((found[name] for name in _LABELS if name in found and name != data), None)
    if asked not in found:
        raise ArgumentError("labels", asked, f"an array of {path}: {', '.join(found)}")
    return found[asked]


def _flat(words: Array, rows: int) -> Array:
    """Labels of shape (N, 1), as some files have them, as (N,)."""
    return words[:, 0] if words.shape == (rows, 1) else words
