r"""The divergence of a score model, tr(ds/dx), by automatic differentiation.

The rows of a batch must not mix inside the network, as in batch normalisation while training.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug.errors import PairingError
from sdeplug.noise import NoiseSource
from sdeplug.options import Configured, option


class Trace(Configured, ABC):
    """How the divergence of a score model is found."""

    @abstractmethod
    def of(self, score: Tensor, x: Tensor, noise: NoiseSource) -> Tensor:
        """The divergence of each row.

        Args:
            score: the score at x, shape ``(B, *D)``, with the graph of its computation.
            x: states, of the same shape, which require gradients.
            noise: where the random numbers come from.

        Returns:
            Shape ``(B,)``, differentiable where gradients are on.

        Raises:
            PairingError: if the score does not depend on x.
        """


@dataclass(frozen=True)
class Exact(Trace):
    """Coordinate by coordinate: D vector-Jacobian products."""

    def of(self, score: Tensor, x: Tensor, noise: NoiseSource) -> Tensor:
        """The sum of the D derivatives."""
        columns = score.reshape(len(x), -1).sum(0)
        total = x.new_zeros(len(x))
        for number, column in enumerate(columns):
            slope = _slope(column, x)
            total = total + slope.reshape(len(x), -1)[:, number]
        return total


@dataclass(frozen=True)
class Sliced(Trace):
    """The mean of v^T (ds/dx) v over random signs v: one vector-Jacobian product for each.

    It has the right mean, and its standard deviation is that of the entries off the diagonal.

    Song et al., arXiv 1905.07088, equation 8; Hutchinson, Commun. Stat. 19 (1990).
    """

    probes: int = option(1, help="random directions of a row", ge=1)

    def of(self, score: Tensor, x: Tensor, noise: NoiseSource) -> Tensor:
        """The mean over the probes."""
        total = x.new_zeros(len(x))
        for _ in range(self.probes):
            signs = torch.where(noise.normal(x.detach()) < 0.0, -1.0, 1.0).to(x.dtype)
            slope = _slope((score * signs).sum(), x)
            total = total + (slope * signs).reshape(len(x), -1).sum(1)
        return total / self.probes


def _slope(value: Tensor, x: Tensor) -> Tensor:
    """Gradient of one number, whose own graph is kept."""
    slope = None
    if value.requires_grad:
        (slope,) = torch.autograd.grad(value, x, create_graph=True, allow_unused=True)
    if slope is None:
        raise PairingError(
            "the network's output does not depend on x: implicit score matching needs its "
            "derivative. Compute it with gradients on, without detach() and torch.no_grad()."
        )
    return slope
