"""A score model that runs in another dtype than the state."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug.score.model import ScoreModel


@dataclass(frozen=True)
class InDtype:
    """A score model that runs in another dtype than the state: half precision, for example.

    Attributes:
        score_model: the model to run.
        dtype: dtype in which it gets x; its output is cast back to the dtype of x.  Time keeps
            its dtype, since half precision cannot tell near times apart.
    """

    score_model: ScoreModel
    dtype: torch.dtype

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """The score: x of shape ``(B, *D)`` and t of shape ``(B,)`` to ``(B, *D)``."""
        return self.score_model(x.to(self.dtype), t).to(x.dtype)
