"""The straight path of flow matching as a forward SDE."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug import LinearSDE, option


@dataclass(frozen=True)
class StraightSDE(LinearSDE):
    """alpha = 1 - t, sigma = t: x_t = (1 - t) x_0 + t epsilon; time ends just before alpha is 0.

    Lipman et al., arXiv 2210.02747, example 2; the time of diffusers' flow-matching schedulers,
    whose sigma is t.
    """

    T: float = option(1.0 - 1e-6, help="end of time, below 1", gt=0.0, lt=1.0)
    eps: float = option(1e-3, help="smallest time of sampling", ge=0.0)

    def log_alpha(self, t: Tensor) -> Tensor:
        """log(1 - t), elementwise."""
        return torch.log1p(-t)

    def sigma(self, t: Tensor) -> Tensor:
        """t, elementwise."""
        return t.clone()

    @property
    def prior_std(self) -> float:
        """1, to 1e-6."""
        return 1.0
