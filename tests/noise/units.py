"""What stands in the place of normals, to see where they go."""

from __future__ import annotations

import torch


class Units:
    """Unit vectors in place of normals, so that a path is the row of weights of its draws."""

    def __init__(self) -> None:
        self.draws = 0

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        noise = torch.zeros_like(x)
        noise[:, self.draws] = 1.0
        self.draws += 1
        return noise
