r"""What a time grid is: where the steps of a fixed-step solver end.

A grid is a value; it meets the span and the SDE only when it is asked for its times.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError
from sdeplug.options import Configured, option
from sdeplug.sde import ForwardSDE


class TimeGrid(Configured, ABC):
    """Where the steps between two times end.

    Attributes:
        needs: the class of forward SDE that it works with.
    """

    needs: ClassVar[type[ForwardSDE]] = ForwardSDE

    @abstractmethod
    def times(self, t: float, s: float, sde: ForwardSDE) -> Sequence[float]:
        """Times from t to s, strictly down, both ends included.

        Args:
            t: upper end, at most T.
            s: lower end, at least 0.
            sde: the forward SDE, for grids that depend on its noise level.

        Returns:
            At least two times.

        Raises:
            ArgumentError: if the grid cannot span [s, t].
            PairingError: if the grid needs another kind of SDE.
        """

    @property
    def length(self) -> int | None:
        """Number of steps where it is known beforehand, else None."""
        return None


@dataclass(frozen=True)
class Steps(TimeGrid):
    """A grid with a given number of steps: a map from [0, 1] onto [t, s]."""

    steps: int = option(help="number of steps", ge=1)

    @property
    def length(self) -> int:
        """Number of steps."""
        return self.steps

    def times(self, t: float, s: float, sde: ForwardSDE) -> Sequence[float]:
        """``steps + 1`` times from t to s, strictly down."""
        u = torch.linspace(0, 1, self.steps + 1, dtype=torch.float64, device="cpu")
        return (t, *self._between(u[1:-1], t, s, sde).tolist(), s)

    @abstractmethod
    def _between(self, u: Tensor, t: float, s: float, sde: ForwardSDE) -> Tensor:
        """The inner times, from where they are in (0, 1): both of shape ``(steps - 1,)``."""


@dataclass(frozen=True)
class OverTime(Steps):
    """A grid that is the same part of every span, whatever the SDE."""

    def _between(self, u: Tensor, t: float, s: float, sde: ForwardSDE) -> Tensor:
        return s + self._left(u) * (t - s)

    @abstractmethod
    def _left(self, u: Tensor) -> Tensor:
        """The part of the span that is left after each step, falling inside (0, 1).

        Args:
            u: the part of the steps that is done, shape ``(steps - 1,)``.
        """


def checked_times(grid: TimeGrid, t: float, s: float, sde: ForwardSDE) -> Sequence[float]:
    """The times of a grid, checked: whoever wrote the grid, they run strictly from t down to s.

    Raises:
        ArgumentError: for a span that does not run down inside [0, T], or a grid whose times do
            not run strictly from t to s.
    """
    if not 0.0 <= s < t <= sde.T:
        raise ArgumentError("span", (t, s), f"times with 0 <= s < t <= T = {sde.T}")
    times = [float(time) for time in grid.times(t, s, sde)]
    if len(times) < 2 or times[0] != t or times[-1] != s:
        ends = (times[0], times[-1]) if times else ()
        raise ArgumentError("grid", grid, f"one from {t} to {s}", f"Its ends are {ends}.")
    for late, early in pairwise(times):
        if not late > early:
            raise ArgumentError(
                "grid", grid, f"strictly falling from {t} to {s}",
                f"It has {late!r} before {early!r}: use fewer steps.",
            )  # fmt: skip
    return times
