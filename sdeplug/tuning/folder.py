"""Folders where long work is kept, so that it goes on there: what lies in them, and for what."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from torch import Tensor

from sdeplug.errors import ArgumentError, argument_type


def checked_folder(resume: object) -> Path | None:
    """The folder of ``resume``, made where it is not there; None where none is given.

    Raises:
        ArgumentError: for what is no path of a folder.
    """
    if resume is None:
        return None
    if not isinstance(resume, (str, os.PathLike)):
        argument_type("resume", resume, "the path of a folder")
    folder = Path(resume)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArgumentError("resume", str(resume), "a folder", f"{error}.") from error
    return folder


def digest(*parts: str | Tensor) -> str:
    """The name of what all of these decide."""
    found = hashlib.sha256()
    for each in parts:
        found.update(each.encode() if isinstance(each, str) else _bytes(each))
        found.update(b"\n")
    return found.hexdigest()[:32]


def _bytes(x: Tensor) -> bytes:
    return x.detach().cpu().contiguous().numpy().tobytes()
