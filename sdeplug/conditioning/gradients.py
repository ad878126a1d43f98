"""Conjugate gradients for a batch: each row is a linear system of its own."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sdeplug.sde import expand


def conjugate_gradients(
    apply: Callable[[Tensor], Tensor], b: Tensor, iterations: int, tolerance: float
) -> Tensor:
    """u with apply(u) = b, row by row; Hestenes & Stiefel, 1952.

    It starts at 0, so that a singular system whose right-hand side it can reach gets the shortest
    of its solutions.  A row ends at its tolerance, and where the map is not positive along a
    direction, as the derivative of a network may be: there it keeps what it has.

    Args:
        apply: linear map of each row, symmetric and positive semi-definite, ``(B, *D)`` to the
            same.
        b: right-hand side, shape ``(B, *D)``.
        iterations: calls of ``apply`` at most.
        tolerance: length of the residual against that of b at which a row ends.

    Returns:
        Shape ``(B, *D)``.
    """
    u, residual, direction = torch.zeros_like(b), b, b
    size = _products(b, b)
    goal = tolerance**2 * size.detach()
    for _ in range(iterations):
        if not bool((size > goal).any()):
            break
        image = apply(direction)
        curvature = _products(direction, image)
        going = (size > goal) & (curvature > 0.0)
        step = _quotient(size, curvature, going)
        u = u + expand(step, b) * direction
        residual = residual - expand(step, b) * image
        left = _products(residual, residual)
        direction = residual + expand(_quotient(left, size, going), b) * direction
        size = torch.where(going, left, 0.0)
    return u


def _quotient(one: Tensor, other: Tensor, where: Tensor) -> Tensor:
    """one / other there, and 0 elsewhere; in its derivative too."""
    return torch.where(where, one, 0.0) / torch.where(where, other, 1.0)


def _products(x: Tensor, y: Tensor) -> Tensor:
    """Inner product of each row: ``(B,)``."""
    return (x * y).flatten(1).sum(1)
