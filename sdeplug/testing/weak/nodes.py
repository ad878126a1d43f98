"""Noise that visits the nodes of a quadrature: what a weak error is computed with."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from sdeplug.noise import NoiseSource
from sdeplug.testing.findings import NotApplicable

_PER_DRAW = {0: 1, 1: 20, 2: 8, 3: 3}  # right to the fifth moment, which weak order 2 asks for
_MORE = {0: 1, 1: 22, 2: 10, 3: 5}


class Nodes(NoiseSource):
    """Draws that run over all nodes of a Gauss-Hermite quadrature, the same for each point.

    A batch has ``repeats`` rows for each point: row i ``repeats`` + g sees node g in all of its
    draws.  Twenty nodes for one draw, 8 x 8 for two, 3 x 3 x 3 for three.  A Brownian path is one
    draw for each time that it is asked for, tied to the others by its law given them.

    Args:
        draws: how many there will be, 0 to 3; beyond them the numbers are 0.
        more: whether there are 22, 10 x 10 or 5 x 5 x 5.

    Attributes:
        weights: weights of the nodes, of sum 1, shape ``(repeats,)``.
        expected: how many draws there will be.
        draws: how many there were.

    Raises:
        NotApplicable: for more draws.
    """

    def __init__(self, draws: int, more: bool = False) -> None:
        if draws not in _PER_DRAW:
            raise NotApplicable(f"it draws {draws} times in a step; the quadrature is for three")
        self.nodes, self.weights = _rule(draws, more)
        self.expected = draws
        self.draws = 0

    @property
    def repeats(self) -> int:
        """Rows for each point."""
        return len(self.weights)

    def normal(self, like: Tensor) -> Tensor:
        """The nodes of the next draw, one after the other, over and over."""
        number = self.draws
        self.draws += 1
        if self.nodes is None or number >= self.expected:
            return torch.zeros_like(like)
        rows = self.nodes[:, number].to(like).repeat(len(like) // self.repeats)
        return rows.reshape(-1, *[1] * (like.ndim - 1)).expand_as(like)


@cache
def _rule(draws: int, more: bool) -> tuple[Tensor | None, Tensor]:
    """Nodes, one a row of ``draws`` numbers, and their weights."""
    count = (_MORE if more else _PER_DRAW)[draws]
    nodes, weights = (torch.from_numpy(each) for each in np.polynomial.hermite_e.hermegauss(count))
    # A product of no factors has one term, of weight 1.
    product = torch.ones(1, dtype=torch.float64, device="cpu")
    for _ in range(draws):
        product = torch.outer(product, weights / weights.sum()).flatten()
    return torch.cartesian_prod(*[nodes] * draws).reshape(-1, draws) if draws else None, product
