"""Mistakes in the formula of a Langevin step."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from torch import Tensor

from sdeplug.noise import NoiseSource
from sdeplug.reverse import ReverseSDE
from sdeplug.solvers import Claims
from sdeplug.testing.mutants.right import Langevin, RowLangevin


@dataclass(frozen=True)
class NoTwo(Langevin):
    """sqrt(e) z where it should be sqrt(2 e) z."""

    def _moved(
        self, reverse: ReverseSDE, x: Tensor, t: float, length: float, noise: NoiseSource
    ) -> Tensor:
        return x + length * reverse.score(x, t) + math.sqrt(length) * noise.normal(x)


@dataclass(frozen=True)
class NoRoot(Langevin):
    """2 e z where it should be sqrt(2 e) z."""

    def _moved(
        self, reverse: ReverseSDE, x: Tensor, t: float, length: float, noise: NoiseSource
    ) -> Tensor:
        return x + length * reverse.score(x, t) + 2.0 * length * noise.normal(x)


@dataclass(frozen=True)
class Ascent(Langevin):
    """No noise: a step uphill, not a Langevin step; it says that it is deterministic."""

    @property
    def claims(self) -> Claims:
        """Those of the right one, without noise."""
        return replace(super().claims, stochastic=False)

    def _moved(
        self, reverse: ReverseSDE, x: Tensor, t: float, length: float, noise: NoiseSource
    ) -> Tensor:
        return x + length * reverse.score(x, t)


@dataclass(frozen=True)
class Diffusing(Langevin):
    """The score is left out: noise alone."""

    def _moved(
        self, reverse: ReverseSDE, x: Tensor, t: float, length: float, noise: NoiseSource
    ) -> Tensor:
        return x + 0.0 * reverse.score(x, t) + math.sqrt(2.0 * length) * noise.normal(x)


@dataclass(frozen=True)
class Descent(Langevin):
    """The score has the wrong sign."""

    def _moved(
        self, reverse: ReverseSDE, x: Tensor, t: float, length: float, noise: NoiseSource
    ) -> Tensor:
        return x - length * reverse.score(x, t) + math.sqrt(2.0 * length) * noise.normal(x)


@dataclass(frozen=True)
class NoiseFirst(Langevin):
    """The noise is added before the score is asked for, so that it is shrunk too."""

    def _moved(
        self, reverse: ReverseSDE, x: Tensor, t: float, length: float, noise: NoiseSource
    ) -> Tensor:
        x = x + math.sqrt(2.0 * length) * noise.normal(x)
        return x + length * reverse.score(x, t)


@dataclass(frozen=True)
class LongStep(Langevin):
    """The step is twice as long as the declared bias allows."""

    def _moved(
        self, reverse: ReverseSDE, x: Tensor, t: float, length: float, noise: NoiseSource
    ) -> Tensor:
        return super()._moved(reverse, x, t, 2.0 * length, noise)


@dataclass(frozen=True)
class BatchStep(RowLangevin):
    """One step for the whole batch, from a mean over its rows; it says nothing of it."""

    def _spread(self, length: Tensor) -> Tensor:
        return (2.0 * length.mean()).sqrt()


@dataclass(frozen=True)
class NoPrior(RowLangevin):
    """The step from the norm of the row's score alone: long where the density is high."""

    def _prior(self) -> float:
        return 0.0


@dataclass(frozen=True)
class RowNoTwo(RowLangevin):
    """sqrt(e) z where it should be sqrt(2 e) z, in a step that is not affine."""

    def _spread(self, length: Tensor) -> Tensor:
        return length.sqrt()
