"""Counter-based normal numbers: a pure function of (key, row, draw), on any device.

Philox-4x32-10 of Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3"
(SC 2011), followed by the Box-Muller transform.  There is no state, so that a number does not
depend on which other numbers are asked for, in what order, or on which machine.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10


def philox(counter: Tensor, key: int) -> Tensor:
    """Philox-4x32-10.

    Args:
        counter: 32-bit words held in int64, shape ``(4, ...)``.
        key: 64-bit key.

    Returns:
        Four 32-bit random words for each counter, int64, shape ``(4, ...)``.
    """
    ones = (1,) * (counter.ndim - 1)
    device = counter.device
    multipliers = torch.tensor(_MULTIPLIERS, dtype=torch.int64, device=device).reshape(2, *ones)
    keys = torch.tensor(
        [
            [(word + i * weyl) & _MASK for word, weyl in zip((key, key >> 32), _WEYL, strict=True)]
            for i in range(_ROUNDS)
        ],
        dtype=torch.int64,
        device=device,
    ).reshape(_ROUNDS, 2, *ones)
    even, odd = counter[0::2], counter[1::2]
    for i in range(_ROUNDS):
        product = even * multipliers  # wraps modulo 2^64: all 64 bits are kept
        high = (product >> 32).bitwise_and_(_MASK)
        low = product.bitwise_and_(_MASK)
        even, odd = high.flip(0).bitwise_xor_(odd).bitwise_xor_(keys[i]), low.flip(0)
    return torch.stack((even[0], odd[0], even[1], odd[1]))


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
