"""A score model that keeps nothing for gradients but its arguments, and is asked again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from sdeplug.errors import PairingError, brief_fields
from sdeplug.score.model import ScoreModel, with_divergence
from sdeplug.score.wrapper import Wrapper


@dataclass(frozen=True)
class Checkpointed(Wrapper):
    """A score model that is asked once more on the way back, for gradients in little memory.

    A run with ``grad=True`` keeps what the network computed at every evaluation.  Around a
    network this keeps its arguments alone, x and t, and computes the rest again when the gradient
    passes: the same gradient, in the memory of a few states and one evaluation.  It goes with
    every solver, since the noise that a solver draws and the steps that it remembers or chooses
    are not touched.  The second evaluation is not counted.

    Chen et al., arXiv 1604.06174, with a segment for each evaluation.

    Attributes:
        score_model: the model to ask.

    Raises:
        PairingError: if the model is none.
    """

    score_model: ScoreModel

    __repr__ = brief_fields

    def __post_init__(self) -> None:
        if not callable(self.score_model):
            raise PairingError(
                f"score_model = {self.score_model!r}: must be a callable (x, t) -> score, such as "
                "FromNoise(network, sde)."
            )

    def through(self, model: ScoreModel, x: Tensor, t: Tensor) -> Tensor:
        """The score by way of the model, which is asked again for the gradient."""
        if not torch.is_grad_enabled():
            return model(x, t)
        return cast(Tensor, checkpoint(model, x, t, use_reentrant=False))

    def through_with_divergence(
        self, model: ScoreModel, x: Tensor, t: Tensor
    ) -> tuple[Tensor, Tensor] | None:
        """The score by way of the model and its divergence, found again for the gradient."""
        if not torch.is_grad_enabled():
            return with_divergence(model, x, t)
        found = checkpoint(with_divergence, model, x, t, use_reentrant=False)
        return cast("tuple[Tensor, Tensor] | None", found)
