"""What is given to the schedulers, looked at by the name of its argument."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from numbers import Integral, Real
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from sdeplug import ArgumentError


def counted(argument: str, value: object, least: int = 1) -> int:
    """A whole number.

    Raises:
        ArgumentError: for anything else, and for one below the least.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
        raise ArgumentError(argument, value, f"a whole number, {least} at least")
    return int(value)


def real(argument: str, value: object, allowed: str = "a finite number") -> float:
    """A finite number: of Python, of numpy, or a tensor of one.

    Raises:
        ArgumentError: for anything else.
    """
    found = value.item() if isinstance(value, Tensor) and value.numel() == 1 else value
    if isinstance(found, bool) or not isinstance(found, Real) or not isfinite(found):
        raise ArgumentError(argument, value, allowed)
    return float(found)


def reals(argument: str, values: object, allowed: str = "a list of finite numbers") -> list[float]:
    """Finite numbers, one after the other.

    Raises:
        ArgumentError: for anything else.
    """
    listed: Any = values.tolist() if isinstance(values, (Tensor, np.ndarray)) else values
    if isinstance(listed, (str, Mapping)) or not isinstance(listed, Iterable):
        raise ArgumentError(argument, values, allowed)
    try:
        return [real(argument, each) for each in listed]
    except ArgumentError:
        raise ArgumentError(argument, values, allowed) from None


def switched(config: Mapping[str, Any], *names: str) -> None:
    """Options of a configuration that are True or False.

    Raises:
        ArgumentError: for one that is anything else.
    """
    for name in names:
        if not isinstance(config[name], (bool, np.bool_)):
            raise ArgumentError(name, config[name], "True or False")


def placed(device: object) -> torch.device | None:
    """A device of torch; None: torch's own choice.

    Raises:
        ArgumentError: for what names none.
    """
    try:
        return None if device is None else torch.device(device)  # type: ignore[call-overload]
    except (RuntimeError, TypeError) as error:
        raise ArgumentError("device", device, "a device of torch", "'cpu' is one.") from error


def tensor(argument: str, x: object) -> Tensor:
    """A tensor.

    Raises:
        ArgumentError: for anything else.
    """
    return x if isinstance(x, Tensor) else _refused(argument, x, "a tensor")


def state(argument: str, x: object, like: Tensor | None = None) -> Tensor:
    """A state of some rows, or what a network says of one.

    Raises:
        ArgumentError: for what is no tensor of floating-point numbers, or of another shape than
            ``like``.
    """
    fits = isinstance(x, Tensor) and x.is_floating_point() and x.ndim > 0
    if isinstance(x, Tensor) and fits and (like is None or x.shape == like.shape):
        return x
    form = "(B, *D)" if like is None else f"{tuple(like.shape)}"
    _refused(argument, x, f"a tensor of floating-point numbers, of shape {form}")


def each_row(argument: str, value: object, rows: int) -> float | Tensor:
    """One time, or a tensor of one for each row.

    Raises:
        ArgumentError: for anything else.
    """
    if isinstance(value, Tensor) and value.numel() in (1, rows):
        return value
    if isinstance(value, Real):
        return float(value)
    _refused(argument, value, f"one time, or a tensor of one for each of {rows} rows")


def _refused(argument: str, x: object, allowed: str) -> NoReturn:
    shown = f"of shape {tuple(x.shape)} and {x.dtype}" if isinstance(x, Tensor) else x
    if isinstance(x, np.ndarray):
        shown = f"an array of shape {x.shape}"
    hint = "torch.as_tensor(...) makes a tensor of an array." if isinstance(x, np.ndarray) else ""
    raise ArgumentError(argument, shown, allowed, hint)
