"""Noise that visits the nodes of a quadrature: what a weak error is computed with."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sdeplug.brownian import BrownianPath
from sdeplug.noise import NoiseSource
from sdeplug.testing.findings import NotApplicable

_PER_DRAW = {0: 1, 1: 20, 2: 12}


class Nodes(NoiseSource):
    """Draws that run over all nodes of a Gauss-Hermite quadrature, the same for each point.

    A batch has ``repeats`` rows for each point: row i ``repeats`` + g sees node g in all of its
    draws.  Twenty nodes for one draw, 12 x 12 for two.  A Brownian path is one draw for each time
    that it is asked for, tied to the others by its law given them.

    Args:
        draws: how many there will be, 0 to 2; beyond them the numbers are 0.

    Attributes:
        weights: weights of the nodes, of sum 1, shape ``(repeats,)``.
        expected: how many draws there will be.
        draws: how many there were.

    Raises:
        NotApplicable: for more draws.
    """

    def __init__(self, draws: int) -> None:
        if draws not in _PER_DRAW:
            raise NotApplicable(f"it draws {draws} times in a step; the quadrature is for two")
        nodes, weights = (
            torch.from_numpy(each) for each in np.polynomial.hermite_e.hermegauss(_PER_DRAW[draws])
        )
        # A product of no factors has one term, of weight 1.
        self.nodes = torch.cartesian_prod(*[nodes] * draws).reshape(-1, draws) if draws else None
        product = torch.ones(1, dtype=torch.float64)
        for _ in range(draws):
            product = torch.outer(product, weights / weights.sum()).flatten()
        self.weights = product
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

    def brownian(self, like: Tensor, t: float, s: float) -> BrownianPath:
        """A path whose values come from the draws, in the order in which they are asked for."""
        return NodePath(like, t, s, 0, torch.arange(len(like)), known={t: None}, source=self)


@dataclass(frozen=True, eq=False)
class NodePath(BrownianPath):
    """A Brownian path that is drawn where it is asked for; see :class:`Nodes`."""

    source: NoiseSource | None = None
    known: dict[float, Tensor | None] | None = None

    def increment(self, u: float | Tensor, v: float | Tensor) -> Tensor:
        """W(u) - W(v).

        Raises:
            NotApplicable: if rows ask for different times.
        """
        return self._value(_one(u)) - self._value(_one(v))

    def _value(self, u: float) -> Tensor:
        """W(u), where W is 0 at the upper end: known, or drawn given its neighbours."""
        assert self.known is not None
        assert self.source is not None
        if u not in self.known:
            above = min(time for time in self.known if time > u)
            below = max((time for time in self.known if time < u), default=None)
            mean, variance = self._value(above), above - u
            if below is not None:
                share = (above - u) / (above - below)
                mean = mean + share * (self._value(below) - mean)
                variance = share * (u - below)
            self.known[u] = mean + math.sqrt(variance) * self.source.normal(self.like)
        value = self.known[u]
        return torch.zeros_like(self.like) if value is None else value


def _one(u: float | Tensor) -> float:
    times = torch.as_tensor(u, dtype=torch.float64).reshape(-1)
    if bool((times != times[0]).any()):
        raise NotApplicable("its rows ask for a Brownian path at different times")
    return float(times[0])
