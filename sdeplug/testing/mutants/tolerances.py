"""Mistakes of solvers that follow a tolerance."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sdeplug.noise import NoiseSource
from sdeplug.noise.walk import BrownianWalk, Mask
from sdeplug.run import Run
from sdeplug.solvers import Field
from sdeplug.testing.mutants.right_kinds import AdaptiveHeun, Placed
from sdeplug.testing.mutants.right_steps import RowHeun


@dataclass(frozen=True)
class AllAccepted(AdaptiveHeun):
    """Every step is accepted, however large its error."""

    def _next(self, error: float, here: Placed, there: Placed) -> Placed:
        return there


@dataclass(frozen=True)
class RejectedKept(AdaptiveHeun):
    """A step that is rejected has moved the state all the same, and is taken again from there."""

    def _next(self, error: float, here: Placed, there: Placed) -> Placed:
        return there[0], super()._next(error, here, there)[1]


@dataclass(frozen=True)
class RejectedSkipped(AdaptiveHeun):
    """A step that is rejected is left out: the time goes on, the state does not."""

    def _next(self, error: float, here: Placed, there: Placed) -> Placed:
        return super()._next(error, here, there)[0], there[1]


@dataclass(frozen=True)
class StopsShort(AdaptiveHeun):
    """The last tenth of the way is left out."""

    def flow(self, field: Field, y: Tensor, t: float, s: float, run: Run) -> Tensor:
        """Nine tenths of the way."""
        return super().flow(field, y, t, s + 0.1 * (t - s), run)


@dataclass(frozen=True)
class SaysAlone(AdaptiveHeun):
    """The steps are those of the whole batch, and it says that rows are independent."""

    claims = replace(AdaptiveHeun.claims, couples_batch=False)


@dataclass(frozen=True)
class NoiseDrawnAnew(RowHeun):
    """After a step that was rejected the noise is drawn anew: large noise is avoided."""

    def _walk(self, noise: NoiseSource, x: Tensor, t: float) -> BrownianWalk:
        return _Forgetful(x, t, noise.normal)


@dataclass(frozen=True)
class NoiseRescaled(RowHeun):
    """A step that is tried again takes the same numbers: long steps have small ones."""

    def _walk(self, noise: NoiseSource, x: Tensor, t: float) -> BrownianWalk:
        return _Rescaling(x, t, noise.normal)


@dataclass(frozen=True)
class NoiseLost(RowHeun):
    """A step that is tried again has no noise."""

    def _walk(self, noise: NoiseSource, x: Tensor, t: float) -> BrownianWalk:
        return _Losing(x, t, noise.normal)


@dataclass(frozen=True)
class NoiseGrows(RowHeun):
    """After thirty steps what it draws is 2 % too large."""

    def _walk(self, noise: NoiseSource, x: Tensor, t: float) -> BrownianWalk:
        return _Growing(x, t, noise.normal)


class _Growing(BrownianWalk):
    """A path that is rougher once it has been asked about often."""

    _draws = 0

    def _draw(self) -> Tensor:
        self._draws += 1
        return (1.02 if self._draws > 30 else 1.0) * super()._draw()


class _Forgetful(BrownianWalk):
    """A path that is not there until a step is taken."""

    def settle(self, taken: Mask) -> None:
        """Nothing stays ahead of a row."""
        super().settle(taken)
        self._falls, self._values = self._falls[:1], self._values[:1]


class _Rescaling(_Forgetful):
    """One whose numbers stay those that a row has seen, until it takes a step."""

    _rejected: Tensor | None = None
    _last: Tensor

    def settle(self, taken: Mask) -> None:
        """Remember who has to try again."""
        super().settle(taken)
        self._rejected = torch.from_numpy(~taken)

    def _draw(self) -> Tensor:
        drawn = super()._draw()
        if self._rejected is not None:
            again = self._rejected.reshape(-1, *[1] * (drawn.ndim - 1))
            drawn = torch.where(again, self._again(), drawn)
        self._last = drawn
        return drawn

    def _again(self) -> Tensor:
        return self._last


class _Losing(_Rescaling):
    """One that stands still for a row that has to try again."""

    def _again(self) -> Tensor:
        return torch.zeros_like(self._last)
