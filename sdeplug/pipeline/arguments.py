"""What the caller of ``sample`` has given, checked, and as a run needs it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from sdeplug.errors import ArgumentError, PairingError
from sdeplug.noise import NoiseSource, PerSampleNoise, SharedNoise, checked_seed
from sdeplug.run import Observer
from sdeplug.values import listed, number

Seed = int | Sequence[int] | ArrayLike
"""One whole number, or one for each sample."""


def checked_shape(shape: object, x: object) -> tuple[int, ...]:
    """The shape ``(B, *D)`` of the samples; that of x, when it is not given.

    Raises:
        ArgumentError: unless it is one, or if neither is given.
    """
    if shape is None and isinstance(x, Tensor):
        shape = x.shape
    given = listed(shape)
    size = tuple(map(listed, given)) if isinstance(given, Sequence) else ()
    if len(size) < 2 or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in size):
        raise ArgumentError(
            "shape", shape, "(B, *D): the number of samples, then the shape of one", "All above 0."
        )
    return tuple(n for n in size if isinstance(n, int))


def checked_start(x: object, size: tuple[int, ...]) -> Tensor:
    """The state to start from.

    Raises:
        ArgumentError: unless it is a floating-point tensor of the shape.
    """
    allowed = f"a floating-point tensor of shape {size}"
    if not isinstance(x, Tensor):
        hint = "torch.as_tensor(x) makes one of an array."
        raise ArgumentError("x", type(x).__name__, allowed, hint)
    if tuple(x.shape) != size or not x.is_floating_point():
        raise ArgumentError("x", f"{tuple(x.shape)} {x.dtype}", allowed)
    return x


def checked_time(t: object, first: float, end: float) -> float:
    """The time to start from; T, when it is not given.

    Args:
        t: what was given.
        first: the time that the first leg runs to.
        end: T.

    Raises:
        ArgumentError: unless it is a number in (first, T].
    """
    start = end if t is None else number(t)
    if start is None or not first < start <= end:
        raise ArgumentError("t", t, f"a time with {first} (first leg) < t <= T = {end}")
    return float(start)


def checked_dtype(dtype: object) -> torch.dtype:
    """A floating-point dtype of torch, given as one, by its name, or as one of numpy.

    Raises:
        ArgumentError: if it is none.
    """
    found = dtype
    if not isinstance(dtype, (torch.dtype, str)):
        try:
            found = np.dtype(dtype).name  # type: ignore[call-overload]
        except TypeError:
            found = ""
    if isinstance(found, str):
        found = getattr(torch, found.removeprefix("torch."), None)
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise ArgumentError("dtype", dtype, "a floating-point dtype", "torch.float32 is one.")
    return found


def checked_device(device: object) -> torch.device:
    """A device that numbers can be on here.

    Raises:
        ArgumentError: if it is none.
    """
    try:
        found: torch.device = torch.device(device)  # type: ignore[call-overload]
        torch.zeros(1, dtype=torch.float32, device=found).cpu()
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as cause:
        why = str(cause).strip().partition("\n")[0].partition(". ")[0].rstrip(".!")
        raise ArgumentError("device", device, "a device that torch has here", f"{why}.") from None
    return found


def checked_observers(observers: object) -> tuple[Observer, ...]:
    """The observers: one, or several.

    Raises:
        ArgumentError: if one is no function of an event.
    """
    if callable(observers):
        return (observers,)
    found = tuple(observers) if isinstance(observers, Iterable) else (observers,)
    for each in found:
        if not callable(each):
            raise ArgumentError("observers", each, "a function of an Event, or several of them")
    return found


def checked_source(seed: object, noise: object, rows: int) -> NoiseSource:
    """The source of noise that a seed, or one for each of so many rows, or ``noise`` stands for.

    Raises:
        ArgumentError: for both, or for what is not a seed.
        PairingError: if ``noise`` is no source.
    """
    given = listed(seed)
    if noise is not None:
        if given != 0:
            raise ArgumentError("seed", seed, "left out when noise is given")
        if not isinstance(noise, NoiseSource):
            raise PairingError(f"noise = {noise!r}: must be a NoiseSource, as SharedNoise(seed).")
        return noise
    if isinstance(given, str) or not isinstance(given, Sequence):
        return SharedNoise(checked_seed("seed", given))
    if len(given) != rows:
        raise ArgumentError(
            "seed", f"{len(given)} numbers", f"one number, or {rows}: one for each sample"
        )
    return PerSampleNoise(0, [checked_seed(f"seed[{i}]", each) for i, each in enumerate(given)])
