"""Mistakes of solvers that bring their own grid, or work at one stochasticity."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from sdeplug.grid import LogSNR
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.testing.mutants.right_kinds import OneLevel
from sdeplug.testing.mutants.right_steps import OwnGrid


@dataclass(frozen=True)
class OtherLevel(OneLevel):
    """A step of Anderson's reverse SDE that says it were one at stochasticity 1/2."""

    claims = replace(OneLevel.claims, level=0.5)

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """With the drift of stochasticity 1, and the noise that is asked for."""
        full = replace(reverse, stochasticity=1.0)
        scale = math.sqrt(t - s) * reverse.diffusion(t, x)
        return x - (t - s) * full.drift(x, t) + scale * run.noise.normal(x)


@dataclass(frozen=True)
class HalfLevel(OneLevel):
    """It works at stochasticity 1 alone, and has the drift of 1/2 there."""

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """With the noise that is asked for."""
        half = replace(reverse, stochasticity=0.5)
        scale = math.sqrt(t - s) * reverse.diffusion(t, x)
        return x - (t - s) * half.drift(x, t) + scale * run.noise.normal(x)


@dataclass(frozen=True)
class LastStepLost(OwnGrid):
    """The last time of the grid is left out."""

    def _times(self, reverse: ReverseSDE, t: float, s: float) -> tuple[float, ...]:
        return super()._times(reverse, t, s)[:-1]


@dataclass(frozen=True)
class WholeGrid(OwnGrid):
    """The grid runs from T to eps, whatever it is asked for."""

    def _times(self, reverse: ReverseSDE, t: float, s: float) -> tuple[float, ...]:
        return super()._times(reverse, reverse.forward.T, reverse.forward.eps)


@dataclass(frozen=True)
class FixedGrid(OwnGrid):
    """Four steps, whatever its option says."""

    def _times(self, reverse: ReverseSDE, t: float, s: float) -> tuple[float, ...]:
        return tuple(LogSNR(4).times(t, s, reverse.forward))


@dataclass(frozen=True)
class HalfTheGrid(OwnGrid):
    """Every other time of the grid is left out: half as many steps as are told."""

    def _times(self, reverse: ReverseSDE, t: float, s: float) -> tuple[float, ...]:
        times = super()._times(reverse, t, s)
        return (*times[:-1:2], times[-1])


@dataclass(frozen=True)
class GridInFloat32(OwnGrid):
    """The times are kept in float32, and the last one is not s."""

    def _times(self, reverse: ReverseSDE, t: float, s: float) -> tuple[float, ...]:
        kept = np.array(super()._times(reverse, t, s), dtype=np.float32)
        return tuple(map(float, kept))
