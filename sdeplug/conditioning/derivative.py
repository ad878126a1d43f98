"""Derivatives in the state, inside runs that keep no graph and inside those that do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from sdeplug.errors import ScoreModelError

Pull = Callable[[Tensor], Tensor]
"""Product of a vector, ``(B, *M)``, with the Jacobian of each row: ``(B, *D)``."""


@contextmanager
def recorded(x: Tensor) -> Iterator[Tensor]:
    """A block that records what is computed from the state that it gives.

    Who asks for gradients outside gets them: the state is then x itself, where it takes part.
    """
    kept = torch.is_grad_enabled() and x.requires_grad
    # A tensor made in inference mode could never take part in a gradient.
    with torch.inference_mode(False), torch.enable_grad():
        yield x if kept else x.detach().clone().requires_grad_()


def demand_gradient(value: Tensor, who: str) -> None:
    """Refuse a value that was recorded and does not depend on the state.

    Args:
        value: what was computed from a state.
        who: what computed it, as an error calls it.

    Raises:
        ScoreModelError: if it has no gradient.
    """
    if not value.requires_grad:
        raise ScoreModelError(
            f"{who} has no gradient in x: it must be computed from x by torch, without detach(), "
            "no_grad() or numpy."
        )


def pull_back(value: Tensor, x: Tensor) -> Pull:
    """Products with the Jacobian of a value, ``(B, *M)``, that was computed from x and recorded.

    They can be taken many times.  Their own graph is kept where gradients are asked for.
    """

    def pull(vector: Tensor) -> Tensor:
        graph = torch.is_grad_enabled()
        with torch.inference_mode(False):
            (product,) = torch.autograd.grad(
                value, x, vector, retain_graph=True, create_graph=graph, allow_unused=True
            )
        return torch.zeros_like(x) if product is None else product

    return pull
