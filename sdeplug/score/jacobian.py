"""The Jacobian of a field, known by what it does to vectors.

The rows of a batch must not mix in the field, as in batch normalisation while training.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sdeplug.errors import PairingError

_AT_ONCE = 2**22  # numbers in the vectors that are multiplied at once


class Jacobian:
    """dv/dx in each row, by its products with vectors from the left.

    Many products are computed at once.  A network whose backward pass torch cannot map over
    vectors is asked for one product at a time.

    Args:
        value: v, shape ``(B, *D)``, with the graph of its computation.
        x: states, of the same shape, which require gradients.
        graph: whether products keep the graph that leads back to x and to parameters.
        at_once: how many products are computed at once; None: as many as make some millions of
            numbers.
        mapped: whether torch may map the backward pass over vectors; turns False when it cannot.

    Attributes:
        count: products so far, each one for the whole batch.
    """

    def __init__(
        self,
        value: Tensor,
        x: Tensor,
        *,
        graph: bool = False,
        at_once: int | None = None,
        mapped: bool = True,
    ) -> None:
        self.value, self.x, self.graph, self.mapped = value, x, graph, mapped
        self.at_once = at_once or max(1, _AT_ONCE // max(x.numel(), 1))
        self.count = 0

    def products(self, directions: Tensor) -> Tensor:
        """u^T dv/dx for P vectors u in each row: ``(P, B, *D)`` to the same shape.

        Raises:
            PairingError: if v does not depend on x.
        """
        return torch.cat([self._some(each) for each in directions.split(self.at_once)])

    def _some(self, directions: Tensor) -> Tensor:
        self.count += len(directions)
        if self.mapped and len(directions) > 1:
            try:
                return self._pulled(directions, mapped=True)
            except torch.cuda.OutOfMemoryError:
                raise
            except RuntimeError:  # an operation that has no rule for it; in a loop it needs none
                self.mapped = False
        return torch.stack([self._pulled(each) for each in directions])

    def _pulled(self, directions: Tensor, mapped: bool = False) -> Tensor:
        product = None
        if self.value.requires_grad:
            (product,) = torch.autograd.grad(
                self.value, self.x, directions, retain_graph=True, create_graph=self.graph,
                allow_unused=True, is_grads_batched=mapped,
            )  # fmt: skip
        if product is None:
            raise PairingError(
                "the network's output does not depend on x: its derivative is needed. Compute it "
                "with gradients on, without detach() and torch.no_grad()."
            )
        return product
