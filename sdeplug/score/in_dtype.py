"""A score model that runs in another dtype than the state."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug.errors import PairingError, brief_fields
from sdeplug.score.model import ScoreModel, error_of, with_divergence
from sdeplug.score.wrapper import Wrapper


@dataclass(frozen=True)
class InDtype(Wrapper):
    """A score model that runs in another dtype than the state: half precision, for example.

    The model gets x in ``dtype`` and t in ``time``; its output is cast back to the dtype of x.

    Attributes:
        score_model: the model to run.
        dtype: dtype in which it gets x.
        time: dtype in which it gets t.  None: ``dtype``, but at least float32, since half
            precision cannot tell near times apart.  A network with a layer of its own for t, and
            no embedding in float32 before it, needs ``time=dtype``.

    Raises:
        PairingError: if a part is not what it should be.
    """

    score_model: ScoreModel
    dtype: torch.dtype
    time: torch.dtype | None = None

    __repr__ = brief_fields

    def __post_init__(self) -> None:
        if not callable(self.score_model):
            raise PairingError(
                f"score_model = {self.score_model!r}: must be a callable (x, t) -> score. "
                "The order is InDtype(score_model, dtype)."
            )
        for name, dtype in (("dtype", self.dtype), ("time", self.time)):
            known = isinstance(dtype, torch.dtype) and dtype.is_floating_point
            if not known and not (name == "time" and dtype is None):
                raise PairingError(
                    f"{name} = {dtype!r}: must be a floating-point dtype, such as torch.float16."
                )

    @property
    def error(self) -> float | None:
        """That of the model inside; unknown in half precision, which rounds x.

        Of the noise that is a part of 2^-11 (float16) or 2^-8 (bfloat16) where the data are smooth,
        and up to x / sigma times as much where they are points: nobody knows which here.
        """
        return None if self.dtype.itemsize < 4 else error_of(self.score_model)

    def through(self, model: ScoreModel, x: Tensor, t: Tensor) -> Tensor:
        """The score by way of the model in its dtype, in the dtype of x."""
        return model(x.to(self.dtype), t.to(self._time)).to(x.dtype)

    def through_with_divergence(
        self, model: ScoreModel, x: Tensor, t: Tensor
    ) -> tuple[Tensor, Tensor] | None:
        """The score by way of the model in its dtype, and its divergence, in the dtype of x.

        Not known in half precision, in which a divergence soon overflows.
        """
        if self.dtype.itemsize < 4:
            return None
        found = with_divergence(model, x.to(self.dtype), t.to(self._time))
        return None if found is None else (found[0].to(x.dtype), found[1].to(x.dtype))

    @property
    def _time(self) -> torch.dtype:
        return self.time or torch.promote_types(self.dtype, torch.float32)
