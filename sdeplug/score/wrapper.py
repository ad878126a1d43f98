"""A score model around a score model, which tells what the one inside knows."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from sdeplug.score.model import ScoreModel, asked_rows, error_of, for_rows, sde_of
from sdeplug.sde import ForwardSDE


class Wrapper(ABC):
    """A score model around a score model: its SDE, error, rows and cost are those inside.

    A wrapper says by :meth:`through` what it does, and may keep count in itself: the wrapper of
    some rows is the same one, around the model of these rows.

    Attributes:
        score_model: the model inside.
    """

    score_model: ScoreModel

    @abstractmethod
    def through(self, model: ScoreModel, x: Tensor, t: Tensor) -> Tensor:
        """The score by way of ``model``: the one inside, or that for some of its rows."""

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """The score: x of shape ``(B, *D)`` and t of shape ``(B,)`` to ``(B, *D)``."""
        return self.through(self.score_model, x, t)

    @property
    def sde(self) -> ForwardSDE | None:
        """The SDE whose score it is, where the model inside says so."""
        return sde_of(self.score_model)

    @property
    def error(self) -> float | None:
        """Relative error of the noise that it predicts, where the model inside says so."""
        return error_of(self.score_model)

    def asked(self, t: Tensor) -> Tensor | None:
        """For which rows at times t a network is asked, where the model inside says so."""
        return asked_rows(self.score_model, t)

    def through_with_divergence(
        self, model: ScoreModel, x: Tensor, t: Tensor
    ) -> tuple[Tensor, Tensor] | None:
        """The score by way of ``model`` and its divergence; None unless a wrapper knows it."""
        return None

    def with_divergence(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor] | None:
        """The score and its divergence, shapes ``(B, *D)`` and ``(B,)``, where both are known."""
        return self.through_with_divergence(self.score_model, x, t)

    def for_rows(self, rows: Tensor) -> ScoreModel:
        """The same wrapper around the model for some rows: int64, shape ``(R,)``."""
        return _Part(self, for_rows(self.score_model, rows))


class _Part(Wrapper):
    """A wrapper around the model for some rows."""

    def __init__(self, whole: Wrapper, score_model: ScoreModel) -> None:
        self.whole, self.score_model = whole, score_model

    def asked(self, t: Tensor) -> Tensor | None:
        return self.whole.asked(t)

    def through(self, model: ScoreModel, x: Tensor, t: Tensor) -> Tensor:
        return self.whole.through(model, x, t)

    def through_with_divergence(
        self, model: ScoreModel, x: Tensor, t: Tensor
    ) -> tuple[Tensor, Tensor] | None:
        return self.whole.through_with_divergence(model, x, t)
