"""Averages of a network's weights over the steps of its training."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn


class Averages:
    """Exponential moving averages of a network's parameters, one for each decay.

    After n steps the decay is min(decay, (1 + n) / (10 + n)), so that the first weights are soon
    forgotten (Song et al., arXiv 2011.13456, their implementation).  Buffers are copied.

    All parameters of an average move in one call, as in torch's ``AveragedModel``, which would copy
    its counter to the device, and wait for that, at every step.

    Args:
        network: the network, where it is trained.
        decays: numbers in [0, 1).

    Attributes:
        networks: one for each decay, in eval mode, without gradients.
    """

    def __init__(self, network: nn.Module, decays: Sequence[float]) -> None:
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
                warm = min(decay, (1 + steps) / (10 + steps))
                torch._foreach_lerp_(kept, parameters, 1.0 - warm)
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
