"""What is said of samples and measurements whose shape does not fit."""

from __future__ import annotations

from typing import NoReturn

from torch import Tensor

from sdeplug.errors import ArgumentError


def check_sample(x: Tensor, size: tuple[int, ...]) -> None:
    """Refuse samples that are not of shape ``(B, *size)``.

    Raises:
        ArgumentError: for them.
    """
    if tuple(x.shape[1:]) != size:
        refuse("x", x, f"(B, {', '.join(map(str, size))}), samples that this operator measures")


def check_measured(y: Tensor, count: int) -> None:
    """Refuse measurements that are not of shape ``(B, count)``.

    Raises:
        ArgumentError: for them.
    """
    if tuple(y.shape[1:]) != (count,):
        refuse("y", y, f"(B, {count}), as operator.forward(x) gives it")


def refuse(argument: str, value: Tensor, allowed: str) -> NoReturn:
    """Raise the error of a tensor of another shape than what is allowed."""
    raise ArgumentError(argument, f"shape {tuple(value.shape)}", f"of shape {allowed}")
