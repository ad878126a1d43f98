"""What a score model is: any callable (x, t) -> grad_x log p_t(x)."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class ScoreModel(Protocol):
    """grad_x log p_t(x)."""

    def __call__(self, x: Tensor, t: Tensor, /) -> Tensor:
        """x of shape ``(B, *D)`` and t of shape ``(B,)``, float32 at least, to ``(B, *D)``."""
        ...
