"""Rows to learn from and rows that are held out, in an order that a seed decides."""

from __future__ import annotations

import zlib

import numpy as np
import torch

from sdeplug.cli.work.data.rows import Array, Rows
from sdeplug.cli.work.data.units import Units
from sdeplug.noise import SharedNoise


def shuffled(rows: Rows, seed: int) -> Rows:
    """The rows in the order of a seed."""
    generator = torch.Generator("cpu").manual_seed(SharedNoise(seed).stream("parts").seed)
    order = torch.randperm(len(rows.x), generator=generator, dtype=torch.int64, device="cpu")
    return rows.picked(order.numpy())


def mark(rows: Rows) -> str:
    """What tells data in an order from other data."""
    return f"{zlib.crc32(rows.x.tobytes()):08x}"


def parted(rows: Rows, out: int) -> tuple[Rows, Rows]:
    """Those to learn from, and as many of the last as are held out."""
    learned, held = np.split(np.arange(len(rows.x)), [len(rows.x) - out])
    return rows.picked(learned), rows.picked(held)


def held_out(rows: Rows, units: Units) -> Rows | None:
    """Of the data that a network was trained on, the rows that it has not seen.

    Returns:
        None for other data.
    """
    order = shuffled(rows, units.seed)
    return parted(order, units.held_out)[1] if mark(order) == units.mark else None


def of_class(rows: Rows, number: int, units: Units) -> Rows:
    """Rows of one class; all of them where no classes are known."""
    if rows.labels is None or rows.classes != units.classes:
        return rows
    chosen: Array = np.flatnonzero(rows.labels == number)
    return rows.picked(chosen)
