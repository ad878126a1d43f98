"""Mistakes in the score, its time and the stochasticity."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sdeplug.reverse import ReverseSDE
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Claims
from sdeplug.testing.mutants.defect import Defect


@dataclass(frozen=True)
class ScoreTimes(Defect):
    """The score times a factor."""

    factor: float

    @property
    def what(self) -> str:
        """With the number."""
        return f"the score times {self.factor:g}"

    def seen(self, reverse: ReverseSDE) -> ReverseSDE:
        """With another score."""
        model, factor = reverse.score_model, self.factor
        return replace(reverse, score_model=lambda x, t: factor * model(x, t))


@dataclass(frozen=True)
class TimeTimes(Defect):
    """The score at a time that is off by a factor."""

    factor: float

    @property
    def what(self) -> str:
        """With the number."""
        return f"the score at {self.factor:g} t, not at t"

    def seen(self, reverse: ReverseSDE) -> ReverseSDE:
        """With a score that is asked elsewhere."""
        model, factor = reverse.score_model, self.factor
        return replace(reverse, score_model=lambda x, t: model(x, factor * t))


@dataclass(frozen=True)
class TimeTabulated(Defect):
    """The score at the nearest of so many times, as from the table of a discrete chain."""

    size: int = 1000

    def seen(self, reverse: ReverseSDE) -> ReverseSDE:
        """With a score that knows these times only."""
        model, size = reverse.score_model, self.size / reverse.forward.T
        return replace(reverse, score_model=lambda x, t: model(x, (t * size).round() / size))


@dataclass(frozen=True)
class TimeInFloat32(Defect):
    """The time of the score rounded to float32, whatever the dtype of the state is."""

    def seen(self, reverse: ReverseSDE) -> ReverseSDE:
        """With a score that is asked at rounded times."""
        model = reverse.score_model
        return replace(reverse, score_model=lambda x, t: model(x, t.to(torch.float32).to(t)))


@dataclass(frozen=True)
class Smoothed(Defect):
    """The mean of two scores, to both sides of x: what an affine score does not show."""

    width: float = 0.5

    def seen(self, reverse: ReverseSDE) -> ReverseSDE:
        """With a score that is blurred by the noise level."""
        model, sde, width = reverse.score_model, reverse.linear, self.width

        def blurred(x: Tensor, t: Tensor) -> Tensor:
            shift = width * sde.at(float(t[0])).sigma
            return 0.5 * (model(x + shift, t) + model(x - shift, t))

        return replace(reverse, score_model=blurred)

    def promised(self, claims: Claims) -> Claims:
        """Twice the evaluations, and the noise level is asked for."""
        evaluations = None if claims.evaluations is None else 2 * claims.evaluations
        return replace(claims, evaluations=evaluations, needs=LinearSDE)


@dataclass(frozen=True)
class FullStochasticity(Defect):
    """The stochasticity is taken to be 1, whatever it is."""

    def seen(self, reverse: ReverseSDE) -> ReverseSDE:
        """At stochasticity 1."""
        return replace(reverse, stochasticity=1.0)


@dataclass(frozen=True)
class ClippedData(Defect):
    """The denoised data clipped to an interval, as those of images are."""

    bound: float = 3.0

    @property
    def what(self) -> str:
        """With the number."""
        return f"the denoised data clipped to [-{self.bound:g}, {self.bound:g}], as of images"

    def seen(self, reverse: ReverseSDE) -> ReverseSDE:
        """With the score of the clipped data."""
        model, sde, bound = reverse.score_model, reverse.linear, self.bound

        def clipped(x: Tensor, t: Tensor) -> Tensor:
            now = sde.at(float(t[0]))
            data = (x + now.sigma**2 * model(x, t)) / now.alpha
            return (now.alpha * data.clamp(-bound, bound) - x) / now.sigma**2

        return replace(reverse, score_model=clipped)

    def promised(self, claims: Claims) -> Claims:
        """The noise level is asked for."""
        return replace(claims, needs=LinearSDE)
