"""The callback of diffusers' pipelines, as a corrector."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from torch import Tensor

from sdeplug import Claims, Corrector, ReverseSDE, Run

Ended = Callable[[Any, int, float, dict[str, Tensor]], "dict[str, Tensor] | None"]
"""What is called after each step: (pipeline, number, time, tensors) -> tensors to go on with."""


def told(ended: Ended | None, pipeline: object, number: int, t: float, x: Tensor) -> Tensor:
    """The state that a callback leaves: what it returns under "latents", or x."""
    if ended is None:
        return x
    return (ended(pipeline, number, t, {"latents": x}) or {}).get("latents", x)


class Calling(Corrector):
    """A corrector, or none, and a callback after it, for one run.

    Args:
        corrector: the corrector; None: the state stays.
        ended: the callback.
        pipeline: what the callback is told of.
    """

    def __init__(self, corrector: Corrector | None, ended: Ended | None, pipeline: object) -> None:
        self.corrector, self.ended, self.pipeline = corrector, ended, pipeline
        self._numbers = count()

    @property
    def claims(self) -> Claims:
        """Those of the corrector."""
        return Claims(stochastic=False, evaluations=0) if self.corrector is None else (
            self.corrector.claims
        )  # fmt: skip

    def correct(self, reverse: ReverseSDE, x: Tensor, t: float, run: Run) -> Tensor:
        """The corrector's move, then what the callback makes of it."""
        if self.corrector is not None:
            x = self.corrector.correct(reverse, x, t, run)
        return told(self.ended, self.pipeline, next(self._numbers), t, x)
