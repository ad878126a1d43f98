"""A training on disk: one file, which is whole whenever a process is killed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sdeplug.errors import RESUMED, ArgumentError, whole

VERSION = 2
NAME = "training.pt"


def write(folder: Path, state: dict[str, Any]) -> None:
    """Write a training in the place of the one that is there.

    It is written beside it, and put in its place when all of it has reached the disk.
    """
    with whole("journal", folder / NAME, RESUMED) as beside, beside.open("wb") as file:
        torch.save({"version": VERSION, **state}, file)
        file.flush()
        os.fsync(file.fileno())


def read(folder: Path) -> dict[str, Any] | None:
    """The training in a folder, on the CPU; None if there is none.

    Tensors and plain values alone are read: nothing in the file is executed.

    Raises:
        ArgumentError: if the file is damaged, of another version, or no training.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged file makes torch raise
        raise ArgumentError(
            "folder", str(folder), f"one whose {NAME} can be read",
            f"It is damaged ({type(error).__name__}): remove it to begin anew.",
        ) from error  # fmt: skip
    if not isinstance(state, dict) or state.get("version") != VERSION:
        found = state.get("version") if isinstance(state, dict) else None
        raise ArgumentError(
            "folder", str(folder), f"one whose {NAME} is a training of version {VERSION}",
            f"It is of version {found}: give another folder.",
        )  # fmt: skip
    return state


def difference(mine: dict[str, Tensor], its: dict[str, Tensor]) -> str:
    """How the tensors of another network differ from those of this one; "" if they do not."""
    for name in sorted({*mine, *its}):
        shapes = [tuple(each[name].shape) if name in each else None for each in (mine, its)]
        if shapes[0] != shapes[1]:
            return f"{name} has shape {shapes[1]} and not {shapes[0]}"
    return ""
