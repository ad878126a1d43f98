"""Folders where long work is kept, so that it goes on there: what lies in them, and for what."""

from __future__ import annotations

import hashlib

from torch import Tensor


def digest(*parts: str | Tensor) -> str:
    """The name of what all of these decide."""
    found = hashlib.sha256()
    for each in parts:
        found.update(each.encode() if isinstance(each, str) else _bytes(each))
        found.update(b"\n")
    return found.hexdigest()[:32]


def _bytes(x: Tensor) -> bytes:
    return x.detach().cpu().contiguous().numpy().tobytes()
