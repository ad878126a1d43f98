"""Data as they were read: rows of numbers, and the class of each row where there is one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sdeplug.errors import ArgumentError

Array = np.ndarray[Any, np.dtype[Any]]

_FEWEST = 10  # rows that anything can be learned from
_MOST_CLASSES = 1000
_SIZES = range(4, 65)  # pixels along a side of an image that a small network is for


@dataclass(frozen=True)
class Rows:
    """Data as they were read.

    Attributes:
        x: numbers of one row each, shape ``(N, *D)``, as they are in the file: vectors ``(D,)``,
            grey images ``(H, W)``, or images ``(C, H, W)`` or ``(H, W, C)`` of 1 or 3 channels.
        labels: number of the class of each row, int64, shape ``(N,)``; None: no classes.
        classes: names of the classes.
        columns: names of the columns of a table.
        by: what holds the classes, where that was named: a column, or an array.
    """

    x: Array
    labels: Array | None = None
    classes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    by: str = ""

    def picked(self, index: Array) -> Rows:
        """Some of the rows: int64 or Boolean, as numpy takes it."""
        labels = None if self.labels is None else self.labels[index]
        return replace(self, x=self.x[index], labels=labels)


def classified(x: Array, words: Array | list[str] | None, columns: tuple[str, ...] = ()) -> Rows:
    """Rows with a class for each different word or number, in rising order.

    Raises:
        ArgumentError: unless there is one for each row, and some rows have the same.
    """
    if words is None:
        return Rows(x, columns=columns)
    given = np.asarray(words)
    if given.shape != (len(x),):
        raise ArgumentError(
            "labels", f"of shape {given.shape}", f"one for each of the {len(x)} rows",
            "Of one-hot labels take labels.argmax(1).",
        )  # fmt: skip
    names, labels = np.unique(given, return_inverse=True)
    if len(names) > min(_MOST_CLASSES, len(x) // 2):
        raise ArgumentError(
            "labels", f"{len(names)} different ones in {len(x)} rows",
            f"at most {min(_MOST_CLASSES, len(x) // 2)} classes",
            "What is different in every row is a number, and no class.",
        )  # fmt: skip
    order = _numeric_order(names)
    place = np.argsort(order)
    return Rows(x, place[labels].astype(np.int64), tuple(str(names[i]) for i in order), columns)


def _numeric_order(names: Array) -> Array:
    """The order in which people count: 2 before 10; of what is no number, that of the words."""
    try:
        return np.argsort(names.astype(np.float64), kind="stable")
    except ValueError:
        return np.arange(len(names))


def checked(rows: Rows, skip: bool) -> tuple[Rows, tuple[str, ...]]:
    """Rows that a small network can learn, and what was left out.

    Args:
        rows: as they were read.
        skip: leave out rows that are not finite, instead of refusing them.

    Raises:
        ArgumentError: for data of another rank, no numbers, too few, not finite, or images that
            are too large.
    """
    _check_shape(rows.x)
    rows, left = finite(rows, skip)
    if len(rows.x) < _FEWEST:
        raise ArgumentError("data", f"of {len(rows.x)} rows", f"at least {_FEWEST} rows")
    if float(rows.x.max()) == float(rows.x.min()):
        raise ArgumentError("data", f"{float(rows.x.max()):g} everywhere", "different numbers")
    return rows, left


def finite(rows: Rows, skip: bool) -> tuple[Rows, tuple[str, ...]]:
    """Rows of finite numbers, and what was left out.

    Args:
        rows: as they were read.
        skip: leave out rows that are not finite, instead of refusing them.

    Raises:
        ArgumentError: for data that are no numbers, or not finite.
    """
    if rows.x.dtype.kind not in "buif":
        raise ArgumentError("data", f"of type {rows.x.dtype}", "numbers")
    sound = np.asarray(np.isfinite(rows.x).all(axis=tuple(range(1, rows.x.ndim))))
    left: tuple[str, ...] = ()
    if not sound.all():
        bad = np.flatnonzero(~sound)
        if not skip:
            where = tuple(int(each[0]) for each in np.nonzero(~np.isfinite(rows.x[bad[0]])))
            inside = rows.columns[where[0]] if rows.columns else where
            raise ArgumentError(
                "data", f"with a number that is not finite in {len(bad)} of {len(rows.x)} rows",
                "finite numbers",
                f"The first is in row {bad[0]}, at {inside}. `sdeplug train --skip` leaves such "
                "rows out.",
            )  # fmt: skip
        left = (f"{len(bad)} of {len(rows.x)} rows, which are not finite, the first {bad[0]}",)
        rows = rows.picked(sound)
    return rows, left


def _check_shape(x: Array) -> None:
    shape = x.shape[1:]
    if len(shape) not in (1, 2, 3) or 0 in x.shape:
        hint = "Numbers are vectors of length 1: x[:, None]." if x.ndim == 1 else ""
        raise ArgumentError(
            "data", f"of shape {x.shape}",
            "(N, D) vectors, (N, H, W) grey images, or (N, C, H, W) or (N, H, W, C) of 1 or 3 "
            "channels", hint,
        )  # fmt: skip
    if len(shape) == 1:
        return
    if len(shape) == 3 and not {shape[0], shape[-1]} & {1, 3}:
        raise ArgumentError("data", f"of shape {x.shape}", "images of 1 or 3 channels")
    sides = shape if len(shape) == 2 else shape[1:] if shape[0] in (1, 3) else shape[:2]
    if not all(each in _SIZES for each in sides):
        raise ArgumentError(
            "data", f"images of {sides[0]}x{sides[1]} pixels",
            f"of {_SIZES[0]} to {_SIZES[-1]} pixels a side: the network is a small one",
            "Of a folder, --size 32 makes them smaller; larger networks are trained in code, "
            "with networks.ddpmpp and Trainer.",
        )  # fmt: skip
