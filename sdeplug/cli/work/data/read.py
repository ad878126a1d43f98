"""Data from a path: an array, a table, or a folder of images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from sdeplug.cli.work.data.arrays import read_arrays
from sdeplug.cli.work.data.pictures import read_pictures
from sdeplug.cli.work.data.rows import Rows, checked
from sdeplug.cli.work.data.tables import read_table
from sdeplug.cli.work.data.units import Units
from sdeplug.errors import ArgumentError

_ARRAYS, _TABLES = (".npz", ".npy"), (".csv", ".tsv", ".txt")


@dataclass(frozen=True)
class Source:
    """Where data are, and how they are read.

    Attributes:
        path: a file of arrays, a table, or a folder of images.
        labels: what holds the classes: an array of the file, or a column of the table.
        size: pixels along a side of the images of a folder; None: as they are.
        skip: leave out what cannot be used.
        classes: look for classes in a file of arrays, where nobody says what holds them.
    """

    path: Path
    labels: str | None = None
    size: int | None = None
    skip: bool = False
    classes: bool = True


def read(source: Source) -> tuple[Rows, tuple[str, ...]]:
    """Data to train on, and in words what was left out of them.

    Raises:
        SdeplugError: as :func:`parsed`; for data that no training would survive.
    """
    found, left = parsed(source)
    rows, more = checked(found, source.skip)
    return rows, (*left, *more)


def parsed(source: Source) -> tuple[Rows, tuple[str, ...]]:
    """The data as they are, and in words what was left out of them.

    Raises:
        ArgumentError: for a path of no known kind, or a flag that would change nothing.
        MissingExtraError: for a folder of images without pillow.
    """
    path = source.path
    if not path.exists():
        raise ArgumentError("data", str(path), "a file or folder that is there")
    if source.size is not None and not path.is_dir():
        raise ArgumentError("size", source.size, "left out: only the images of a folder have one")
    if path.is_dir():
        if source.labels is not None:
            allowed = "left out: in a folder of images, the folders are the classes"
            raise ArgumentError("labels", source.labels, allowed)
        found, left = read_pictures(path, source.size, source.skip)
    elif path.suffix.lower() in _ARRAYS:
        found, left = read_arrays(path, source.labels, source.classes), ()
    elif path.suffix.lower() in _TABLES:
        found, left = read_table(path, source.labels), ()
    else:
        allowed = f"a folder of images, or a file that ends in {', '.join((*_ARRAYS, *_TABLES))}"
        raise ArgumentError("data", str(path), allowed)
    return replace(found, by=source.labels or ""), left


def as_trained(path: Path, units: Units, skip: bool = False) -> tuple[Rows, tuple[str, ...]]:
    """Data read as they were for the training of a network, and what was left out.

    Where the file has what held the classes, they are read as well.

    Args:
        path: as of a source.
        units: those of the data that the network was trained on.
        skip: leave out images that cannot be read.

    Raises:
        ArgumentError: as :func:`parsed`; for rows of another shape.
    """
    *_, height, width = 0, *units.inside
    square = path.is_dir() and height == width
    source = Source(path, units.by or None, width if square else None, skip)
    try:
        rows, left = parsed(source)
    except ArgumentError as error:
        if error.argument != "labels":
            raise
        rows, left = parsed(replace(source, labels=None))
    shape = rows.x.shape[1:]
    if shape != units.shape:
        hint = f"It has columns {', '.join(units.columns)}." if units.columns else ""
        allowed = f"rows of shape {units.shape}, as the model was trained on"
        raise ArgumentError("data", f"{path}, rows of shape {shape}", allowed, hint)
    return rows, left
