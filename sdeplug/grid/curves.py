"""Grids that are a curve over any span of time, whatever the SDE: those of the users of networks.

The time of a flow is its sigma, and that of a network with N levels is the number of the level:
on these the grids are those of the programs that they come from, in continuous time.  Where those
end at sigma = 0, the ones here end at s, which may be 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from sdeplug.grid.base import OverTime
from sdeplug.grid.quantile import beta_quantile
from sdeplug.options import option


@dataclass(frozen=True)
class Beta(OverTime):
    """Times at equal quantiles of a beta distribution over the span: denser near both ends.

    Lee et al. (Beta sampling), arXiv 2407.12173.  With the default it is ``beta`` of ComfyUI, and
    ``Beta(steps, 0.5, 0.7)`` is known as beta57; with a = b = 1 it is ``Uniform``.
    """

    a: float = option(0.6, help="exponent near the data: below 1 puts more steps there", gt=0.0)
    b: float = option(0.6, help="exponent at the other end, likewise", gt=0.0)

    def _left(self, u: Tensor) -> Tensor:
        left = _quantiles(self.steps, self.a, self.b)
        return torch.tensor(left, dtype=u.dtype, device=u.device)


@dataclass(frozen=True)
class LinearQuadratic(OverTime):
    """Small equal steps in the first half, then steps that grow evenly.

    The schedule of Genmo's Mochi, and ``linear_quadratic`` of ComfyUI; made for flows.
    """

    threshold: float = option(
        0.025, help="part of the span that the steps of the first half cover", gt=0.0, lt=0.5
    )

    def _left(self, u: Tensor) -> Tensor:
        linear = max(self.steps // 2, 1)
        done = u * self.steps
        late = (done - linear).clamp(min=0.0) / max(self.steps - linear, 1)
        rest = 1.0 - self.threshold * self.steps / linear
        return 1.0 - self.threshold * done / linear - rest * late.square()


@dataclass(frozen=True)
class BongTangent(OverTime):
    """Two arcs of an arctangent that meet in the middle of the span, where steps are largest.

    ``bong_tangent`` of RES4LYF; made for flows.
    """

    slope: float = option(0.2, help="steepness of both arcs, for 40 steps", gt=0.0)
    pivot: float = option(
        0.6, help="part of the steps that is spent above the middle", gt=0.0, lt=1.0
    )

    def _left(self, u: Tensor) -> Tensor:
        nodes = self.steps + 2
        turn = min(max(int(nodes * self.pivot), 1), nodes - 2) - 1  # the node in the middle
        steep = 40.0 * self.slope / nodes
        node = u * self.steps
        last = math.atan(steep)
        early = (torch.atan(steep * (turn + 1.0 - node)) - last) / (
            math.atan(steep * (turn + 1.0)) - last
        )
        late = torch.atan(steep * (node - turn)) / math.atan(steep * (self.steps - turn))
        return 0.5 + 0.5 * torch.where(node < turn, early, -late)


@lru_cache(maxsize=64)
def _quantiles(steps: int, a: float, b: float) -> tuple[float, ...]:
    """The inner quantiles of ``steps`` equal parts, falling; grids are asked for them often."""
    below = torch.arange(steps - 1, 0, -1, dtype=torch.float64, device="cpu") / steps
    return tuple(beta_quantile(below, a, b).tolist())
