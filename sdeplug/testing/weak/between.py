"""What lies between equidistant points: polynomials of degree 5 through the six nearest."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

_NEAREST = 6


def means_between(values: Tensor, points: Tensor, places: Tensor, weights: Tensor) -> Tensor:
    """Weighted means of functions at places between the points where they are known.

    The error of the polynomials is that of the sixth power of the distance of the points over
    the width of what the functions show.

    Args:
        values: F functions at P points, float64, shape ``(P, F)``.
        points: equidistant and rising, at least six, shape ``(P,)``.
        places: where they are wanted, shape ``(N, G)``; those outside count as the nearest end.
        weights: of the places of a row, of sum 1, shape ``(G,)``.

    Returns:
        Shape ``(N, F)``.
    """
    last = len(points) - 1
    spacing = (points[-1] - points[0]) / last
    at = ((places - points[0]) / spacing).clamp(0.0, float(last))
    first = (at.floor() - (_NEAREST // 2 - 1)).clamp(0.0, float(last + 1 - _NEAREST))
    parts = _lagrange(at - first) * weights[:, None]
    indices = first.to(torch.int64)[..., None] + torch.arange(
        _NEAREST, dtype=torch.int64, device="cpu"
    )
    return embedding_bag(
        indices.flatten(1), values, per_sample_weights=parts.flatten(1), mode="sum"
    )


def _lagrange(at: Tensor) -> Tensor:
    """Weights of values at 0, 1, ..., 5 in that at a place: shape ``(..., 6)``."""
    gaps = [at - node for node in range(_NEAREST)]
    one = torch.ones_like(at)
    below, above = [one], [one]
    for node in range(_NEAREST - 1):
        below.append(below[-1] * gaps[node])
        above.append(above[-1] * gaps[-1 - node])
    products = zip(below, reversed(above), _SCALES, strict=True)
    return torch.stack([low * high * scale for low, high, scale in products], -1)


_SCALES = tuple(
    1.0 / math.prod(node - other for other in range(_NEAREST) if other != node)
    for node in range(_NEAREST)
)
