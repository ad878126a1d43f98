"""Values as people have them, numbers of numpy and of torch among them, as Python's own."""

from __future__ import annotations

import math
from enum import Enum

import numpy as np
import torch
from torch import Tensor


class OneOf(Enum):
    """One of a few things that have names: the type of an option that picks one.

    It is written as its name in lower case, with hyphens: on a command line, in plain data, and in
    code, where that text stands for it.
    """

    def __str__(self) -> str:
        return self.name.lower().replace("_", "-")

    def __repr__(self) -> str:
        return repr(str(self))

    def __reduce_ex__(self, protocol: object) -> tuple[object, ...]:
        # By name, where Python 3.10 would look for an equal value among copies.
        return getattr, (type(self), self.name)

    @classmethod
    def named(cls, text: str) -> OneOf | None:
        """The one of a name, with hyphens or underscores; None where there is none."""
        return cls.__members__.get(text.upper().replace("-", "_"))


def is_one_of(annotation: object) -> bool:
    """Whether a type is a kind of :class:`OneOf`."""
    return isinstance(annotation, type) and issubclass(annotation, OneOf)


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


def as_tensor(value: object) -> object:
    """An array of numbers as a tensor, however it lies in memory; others as they are."""
    if not isinstance(value, np.ndarray):
        return value
    try:
        return torch.from_numpy(np.ascontiguousarray(value, value.dtype.newbyteorder("=")))
    except TypeError:
        return value


def jsonable(value: object) -> object:
    """Plain data whose numbers JSON can hold: None for those that are not finite."""
    if isinstance(value, dict):
        return {key: jsonable(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def number(value: object) -> float | None:
    """The value as a Python number, or None if it is none; a Boolean is none."""
    found = plain(value)
    return None if isinstance(found, bool) or not isinstance(found, (int, float)) else found
