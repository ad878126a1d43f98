"""Derivatives of functions of time, by automatic differentiation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def derivative(function: Callable[[Tensor], Tensor], t: Tensor) -> Tensor:
    """Derivative of an elementwise function at t, also inside ``no_grad`` and ``inference_mode``.

    Args:
        function: from a tensor to one of the same shape.
        t: any shape.

    Returns:
        Shape and dtype of t; without a graph.
    """
    with torch.inference_mode(False), torch.enable_grad():
        point = t.detach().clone().requires_grad_()
        value = function(point)
        if not value.requires_grad:
            return torch.zeros_like(t)
        (slope,) = torch.autograd.grad(value.sum(), point)
    return slope.detach()
