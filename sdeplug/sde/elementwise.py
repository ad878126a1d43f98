"""Functions of time as people call and write them: with numbers where a tensor is meant."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError, argument_type

Schedule = Callable[[Any, Tensor], Tensor]
"""A method of an SDE: from times of any shape to values of that shape."""


def elementwise(function: Schedule) -> Schedule:
    """A method of an SDE that takes a number as a time, and may return one for all times.

    Args:
        function: the method as it was written.

    Returns:
        The same; a number becomes a float64 tensor of shape ``()``, and what it returns gets the
        shape and dtype of the times.

    Raises:
        ArgumentError: when called, for a time that is no number and no tensor, and for a value
            that does not have the shape of the times.
    """
    if hasattr(function, "__wrapped__"):
        return function

    @wraps(function)
    def schedule(self: Any, t: Tensor) -> Tensor:
        if not isinstance(t, Tensor) or not t.is_floating_point():
            t = _times(t)
        value = function(self, t)
        if isinstance(value, Tensor) and value.shape == t.shape and value.dtype == t.dtype:
            return value
        return _like(value, t, f"{type(self).__name__}.{function.__name__}(t)")

    return schedule


def _times(t: object) -> Tensor:
    if isinstance(t, Tensor):
        return t.to(torch.float64)
    if isinstance(t, bool) or not isinstance(t, Real):
        argument_type("t", t, "a time or a tensor of times", "torch.as_tensor(t) makes a tensor.")
    return torch.tensor(float(t), dtype=torch.float64, device="cpu")


def _like(value: object, t: Tensor, name: str) -> Tensor:
    if isinstance(value, Real):
        return torch.full_like(t, float(value))
    shape = tuple(t.shape)
    allowed = f"of the shape of t, {shape}: one value for each time"
    if not isinstance(value, Tensor):
        argument_type(name, value, f"a number, or a tensor {allowed}")
    try:
        return value.to(t).expand(shape)
    except RuntimeError:
        raise ArgumentError(name, f"of shape {tuple(value.shape)}", allowed) from None
