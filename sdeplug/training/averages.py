"""Averages of a network's weights over the steps of its training."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn

WIDEST = 12**-0.5  # of an average in which all steps count the same


@dataclass(frozen=True)
class Warm:
    """An exponential average, whose first weights are soon forgotten.

    Song et al., arXiv 2011.13456, their implementation.
    """

    decay: float

    def __call__(self, steps: int) -> float:
        """min(decay, (1 + steps) / (10 + steps))."""
        return min(self.decay, (1 + steps) / (10 + steps))


@dataclass(frozen=True)
class Power:
    """An average in which step k of n counts by k^(g + 1) - (k - 1)^(g + 1).

    Karras et al., arXiv 2312.02696, equation 127.
    """

    width: float

    def __call__(self, steps: int) -> float:
        """(1 - 1 / n)^(g + 1) at step n, the first of which has steps = 0 before it."""
        return float((steps / (steps + 1)) ** (exponent(self.width) + 1.0))


@cache
def exponent(width: float) -> float:
    """The power g by which steps count, of an average of a width in (0, WIDEST).

    The width is the standard deviation of the steps that count, over all steps:
    (g + 1)^(1/2) (g + 2)^(-1) (g + 3)^(-1/2); algorithm 2 of the paper.
    """
    inverse = width**-2
    roots = np.roots([1.0, 7.0, 16.0 - inverse, 12.0 - inverse])
    return float(roots.real.max())


class Averages:
    """Moving averages of a network's parameters, one for each rule of decay.  Buffers are copied.

    All parameters of an average move in one call, as in torch's ``AveragedModel``, which would copy
    its counter to the device, and wait for that, at every step.

    Args:
        network: the network, where it is trained.
        decays: what is kept of an average, in [0, 1], after so many steps: :class:`Warm`,
            :class:`Power`.

    Attributes:
        networks: one for each decay, in eval mode, without gradients.
    """

    def __init__(self, network: nn.Module, decays: Sequence[Callable[[int], float]]) -> None:
        self.decays = tuple(decays)
        self.networks = tuple(copy.deepcopy(network).requires_grad_(False).eval() for _ in decays)
        self.follow(network)

    def follow(self, network: nn.Module) -> None:
        """Begin anew at the weights of the network, as they are where it is now.

        What prepares a network for several processes may give it other tensors, and the weights
        of the first process.
        """
        for each in self.networks:
            each.load_state_dict(network.state_dict())
        self._now = _tensors(network)
        self._kept = [_tensors(each) for each in self.networks]

    def update(self, steps: int) -> None:
        """Take in the weights after so many steps."""
        parameters, buffers = self._now
        with torch.no_grad():
            for decay, (kept, copied) in zip(self.decays, self._kept, strict=True):
                torch._foreach_lerp_(kept, parameters, 1.0 - decay(steps))
                for mine, its in zip(copied, buffers, strict=True):
                    mine.copy_(its)

    def state(self) -> list[dict[str, Any]]:
        """What a checkpoint holds of them."""
        return [each.state_dict() for each in self.networks]

    def restore(self, state: list[dict[str, Any]]) -> None:
        """Take them from a checkpoint."""
        for each, its in zip(self.networks, state, strict=True):
            each.load_state_dict(its)


def _tensors(network: nn.Module) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    return [each.detach() for each in network.parameters()], list(network.buffers())
