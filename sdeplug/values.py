"""Values as people have them, numbers of numpy and of torch among them, as Python's own."""

from __future__ import annotations

import numpy as np
from torch import Tensor


def plain(value: object) -> object:
    """A number of numpy, or a 0-d array or tensor, as a Python number; others as they are."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (np.ndarray, Tensor)) and value.ndim == 0:
        return value.item()
    return value


def listed(value: object) -> object:
    """An array or tensor as a list, or one number, of Python's numbers; others as they are."""
    if isinstance(value, (np.generic, np.ndarray, Tensor)):
        return value.tolist()
    return value


def number(value: object) -> float | None:
    """The value as a Python number, or None if it is none; a Boolean is none."""
    found = plain(value)
    return None if isinstance(found, bool) or not isinstance(found, (int, float)) else found
