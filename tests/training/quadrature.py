"""Exact expectations: Gaussian data and noise at the nodes of a quadrature, in the place of draws.

Every row is a node of (time, data, noise), and every loss a number for each row, so that the
mean of a loss is a weighted sum: exact for polynomials in data and noise, without any chance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor

from sdeplug import (
    FromDenoiser,
    FromFlow,
    FromNoise,
    FromScore,
    FromVelocity,
    LinearSDE,
    NoiseSource,
)
from sdeplug.sde import expand
from sdeplug.training import UniformTimes

MEAN, VARIANCE = 0.4, 0.25


class Scripted(NoiseSource):
    """Given numbers, in the order in which they are asked for."""

    def __init__(self, *numbers: Tensor) -> None:
        self.numbers = list(numbers)

    def normal(self, like: Tensor) -> Tensor:
        given = self.numbers.pop(0)
        assert given.shape == like.shape
        return given.to(like)


@dataclass(frozen=True)
class Nodes:
    """Nodes of times, data N(MEAN, VARIANCE I) and noise, and their weights.

    Attributes:
        u: numbers in (0, 1) that the times are made of, shape ``(B,)``.
        x0: data, ``(B, D)``.
        epsilon: noise, ``(B, D)``.
        weight: of each row; they sum to 1.
    """

    u: Tensor
    x0: Tensor
    epsilon: Tensor
    weight: Tensor

    @classmethod
    def of(cls, us: Tensor, shares: Tensor | None = None, *, dim: int = 1, order: int = 5) -> Nodes:
        points, weights = np.polynomial.hermite_e.hermegauss(order)
        weights = weights / weights.sum()
        shares = torch.ones(len(us)) / len(us) if shares is None else shares
        rows = [
            (u, *nodes, float(share) * float(np.prod([weights[points == n][0] for n in nodes])))
            for (u, share) in zip(us.tolist(), shares.tolist(), strict=True)
            for nodes in product(points, repeat=2 * dim)
        ]
        table = torch.tensor(rows, dtype=torch.float64)
        x0 = MEAN + VARIANCE**0.5 * table[:, 1 : 1 + dim]
        return cls(table[:, 0], x0, table[:, 1 + dim : -1], table[:, -1])

    def noise(self) -> Scripted:
        return Scripted(torch.special.ndtri(self.u), self.epsilon)

    def mean(self, loss: Callable, network: Callable) -> Tensor:
        """The exact mean of a loss."""
        rows = loss(network, self.x0, self.noise())
        assert rows.shape == self.u.shape
        return (self.weight * rows).sum()

    def average(self, values: Tensor) -> Tensor:
        return (self.weight * values).sum()


@dataclass(frozen=True)
class Exact:
    """The exact score of the data, and what a network makes of it in each unit, by hand."""

    sde: LinearSDE

    def levels(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        return expand(self.sde.alpha(t), x), expand(self.sde.sigma(t), x)

    def score(self, x: Tensor, t: Tensor) -> Tensor:
        alpha, sigma = self.levels(x, t)
        return (alpha * MEAN - x) / (alpha**2 * VARIANCE + sigma**2)

    def left(self, x: Tensor, t: Tensor) -> Tensor:
        """Variance of the noise given x_t."""
        alpha, sigma = self.levels(x, t)
        return (alpha**2 * VARIANCE / (alpha**2 * VARIANCE + sigma**2)).expand_as(x)

    def noise_of(self, score: Tensor, x: Tensor, t: Tensor) -> Tensor:
        return -self.levels(x, t)[1] * score

    def data_of(self, score: Tensor, x: Tensor, t: Tensor) -> Tensor:
        alpha, sigma = self.levels(x, t)
        return (x + sigma**2 * score) / alpha

    def velocity_of(self, score: Tensor, x: Tensor, t: Tensor) -> Tensor:
        alpha, sigma = self.levels(x, t)
        return alpha * self.noise_of(score, x, t) - sigma * self.data_of(score, x, t)

    def flow_of(self, score: Tensor, x: Tensor, t: Tensor) -> Tensor:
        rate, g = (expand(each(t), x) for each in (self.sde.drift_rate, self.sde.diffusion))
        return rate * x - 0.5 * g**2 * score


US = torch.tensor([0.05, 0.3, 0.6, 0.95], dtype=torch.float64)
UNITS = {
    FromScore: lambda exact, score, x, t: score,
    FromNoise: Exact.noise_of,
    FromDenoiser: Exact.data_of,
    FromVelocity: Exact.velocity_of,
    FromFlow: Exact.flow_of,
}
PLAIN = UniformTimes(low_discrepancy=False)
