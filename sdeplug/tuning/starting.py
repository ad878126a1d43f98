"""Where runs on a network start from, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError
from sdeplug.noise import SharedNoise, checked_seed
from sdeplug.pipeline import checked_shape, checked_start
from sdeplug.reverse import ReverseSDE, checked_reverse
from sdeplug.sde import in_float32
from sdeplug.values import number

C = TypeVar("C")


def checked_linear(reverse: object) -> ReverseSDE:
    """A reverse SDE whose forward SDE is linear.

    Raises:
        PairingError: for anything else.
    """
    found = checked_reverse(reverse)
    found.linear  # noqa: B018  raises for one that is not
    return found


def checked_count(name: str, value: object, least: int = 1) -> int:
    """A whole number.

    Raises:
        ArgumentError: for anything else, or a smaller one than ``least``.
    """
    found = number(value)
    if found is None or not float(found).is_integer() or found < least:
        raise ArgumentError(name, value, f"a whole number of at least {least}")
    return int(found)


def checked_as(kind: type[C], name: str, value: object) -> C:
    """Options of a kind.

    Raises:
        ArgumentError: for anything else.
    """
    if not isinstance(value, kind):
        raise ArgumentError(name, value, f"a {kind.__name__}, such as {kind.__name__}()")
    return value


def started(
    reverse: ReverseSDE, shape: Sequence[int] | None, x: Tensor | None, seed: int, to: float
) -> tuple[Tensor, float]:
    """States to start from and their time: T, or the horizon of the SDE if that comes first.

    Args:
        reverse: the reverse SDE; its forward SDE is linear.
        shape: shape ``(B, *D)`` of a draw from the prior, in float32 on the CPU.
        x: states at T, instead of a draw.
        seed: of the draw.
        to: the time that the run goes to.

    Raises:
        ArgumentError: for what is no shape, state or seed, for fewer than two noises, or a time
            that no run goes to.
    """
    sde = reverse.linear
    size = checked_shape(shape, x)
    if to != 0.0 and not sde.eps <= to < sde.T:
        raise ArgumentError("to", to, f"0, or in [eps, T) = [{sde.eps}, {sde.T})")
    if size[0] < 2:
        raise ArgumentError(
            "shape", size, "of at least 2 noises", "They are held against each other."
        )
    if x is None:
        x = sde.prior(size, SharedNoise(checked_seed("seed", seed)), torch.float32, "cpu")
    return sde.from_horizon(in_float32(checked_start(x, size)), sde.T, to)
