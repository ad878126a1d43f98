"""Counter-based normal numbers: a pure function of (key, row, draw), on any device.

Philox-4x32-10 of Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3"
(SC 2011), followed by the Box-Muller transform.  There is no state, so that a number does not
depend on which other numbers are asked for, in what order, or on which machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_MASK = 0xFFFFFFFF
_MULTIPLIERS = np.array((0xD2511F53, 0xCD9E8D57), dtype=np.uint64)[:, None]
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_WORD, _LOW = np.uint64(32), np.uint64(_MASK)


def philox(counter: Tensor, key: int) -> Tensor:
    """Philox-4x32-10.

    Args:
        counter: 32-bit words held in int64, shape ``(4, ...)``.
        key: 64-bit key.

    Returns:
        Four 32-bit random words for each counter, int64, shape ``(4, ...)``.
    """
    # On the few words of a small batch numpy takes a fifth of torch's time; bits are bits.
    words, device = counter.reshape(2, 2, -1), counter.device
    if device.type == "cpu":
        return _by_numpy(words, _keys(key)).reshape(counter.shape)
    return _by_torch(words, *_constants(key, device)).reshape(counter.shape)


def _by_numpy(counter: Tensor, keys: NDArray[np.uint64]) -> Tensor:
    words = counter.numpy().astype(np.uint64)
    mixed = _mixed(words[:, 0], words[:, 1], _MULTIPLIERS, keys, _np_halves, _np_swapped)
    return torch.from_numpy(np.stack(mixed, axis=1).astype(np.int64))


def _by_torch(counter: Tensor, multipliers: Tensor, keys: Tensor) -> Tensor:
    swapped = partial(torch.flip, dims=(0,))
    mixed = _mixed(counter[:, 0], counter[:, 1], multipliers, keys, _halves, swapped)
    return torch.stack(mixed, dim=1)


def _mixed(
    even: Any, odd: Any, multipliers: Any, keys: Any,
    halves: Callable[[Any], tuple[Any, Any]], swapped: Callable[[Any], Any],
) -> tuple[Any, Any]:  # fmt: skip
    """The ten rounds on words of shape ``(2, N)``, which numpy and torch write in the same way."""
    for key in keys:
        high, low = halves(even * multipliers)
        even, odd = swapped(high) ^ odd ^ key, swapped(low)
    return even, odd


def _halves(product: Tensor) -> tuple[Tensor, Tensor]:
    """High and low words of numbers that wrap modulo 2^64: torch has them with a sign."""
    return (product >> 32) & _MASK, product & _MASK


def _np_halves(product: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    high = product >> _WORD
    product &= _LOW
    return high, product


def _np_swapped(pair: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return pair[::-1]


@lru_cache(maxsize=256)  # a source has one key for all of its draws
def _keys(key: int) -> NDArray[np.uint64]:
    """Two words for each round, shape ``(10, 2, 1)``."""
    pairs = [
        [(word + i * weyl) & _MASK for word, weyl in zip((key, key >> 32), _WEYL, strict=True)]
        for i in range(_ROUNDS)
    ]
    return np.array(pairs, dtype=np.uint64)[..., None]


@lru_cache(maxsize=256)
def _constants(key: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Multipliers and keys on an accelerator, copied once: each copy waits for it."""
    multipliers, keys = (
        torch.from_numpy(each.astype(np.int64)).to(device) for each in (_MULTIPLIERS, _keys(key))
    )
    return multipliers, keys


def normals(key: int, rows: Tensor, draws: Tensor, count: int) -> Tensor:
    """Standard normal numbers, each a function of (key, row, draw, position) alone.

    A uniform number has 32 random bits, so that values reach 6.7 standard deviations.

    Args:
        key: 64-bit key.
        rows: 64-bit row numbers, int64, broadcastable against ``draws``.
        draws: 32-bit draw numbers, int64.
        count: how many numbers for each (row, draw).

    Returns:
        float64, shape ``(*broadcast(rows, draws), count)``.
    """
    rows, draws = torch.broadcast_tensors(rows.unsqueeze(-1), draws.unsqueeze(-1))
    blocks = torch.arange((count + 3) // 4, dtype=torch.int64, device=rows.device)
    low, high = rows & _MASK, (rows >> 32) & _MASK
    counter = torch.stack(torch.broadcast_tensors(blocks, draws, low, high))
    uniform = philox(counter, key).to(torch.float64).add_(0.5).mul_(2.0**-32)
    radius = uniform[0::2].log_().mul_(-2.0).sqrt_()
    angle = uniform[1::2].mul_(2.0 * math.pi)
    values = torch.stack((radius * angle.cos(), radius * angle.sin()), dim=-1)
    return values.movedim(0, -2).flatten(-3)[..., :count]
