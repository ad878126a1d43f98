r"""Time grids: where the steps of a fixed-step solver end.

A grid is a value; it meets the span and the SDE only when it is asked for its times.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError, PairingError
from sdeplug.options import Configured, option
from sdeplug.sde import ForwardSDE, LinearSDE


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
class _Steps(TimeGrid):
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
class Uniform(_Steps):
    """Equal steps in time."""

    def _between(self, u: Tensor, t: float, s: float, sde: ForwardSDE) -> Tensor:
        return t + u * (s - t)


@dataclass(frozen=True)
class Quadratic(_Steps):
    """Equal steps in the square root of time: denser near the data.

    Song et al. (DDIM), arXiv 2010.02502, appendix D.2.
    """

    def _between(self, u: Tensor, t: float, s: float, sde: ForwardSDE) -> Tensor:
        return (math.sqrt(t) + u * (math.sqrt(s) - math.sqrt(t))).square()


@dataclass(frozen=True)
class LogSNR(_Steps):
    """Equal steps in the log-SNR: denser near the data; needs sigma(s) > 0.

    Lu et al. (DPM-Solver), arXiv 2206.00927, section 3.
    """

    needs: ClassVar[type[ForwardSDE]] = LinearSDE

    power: float = option(1.0, help="exponent: below 1 puts more steps near the data", gt=0.0)

    def _between(self, u: Tensor, t: float, s: float, sde: ForwardSDE) -> Tensor:
        linear = _linear(self, sde)
        start, end = linear.at(t).log_snr, linear.at(s).log_snr
        if not math.isfinite(end):
            raise _silent(s)
        return linear.time_at(start + u**self.power * (end - start))


@dataclass(frozen=True)
class Karras(_Steps):
    """Equal steps in (sigma/alpha)^(1/rho).

    Karras et al., arXiv 2206.00364, equation 5; rho = 7 there.
    """

    needs: ClassVar[type[ForwardSDE]] = LinearSDE

    rho: float = option(7.0, help="exponent: larger puts more steps near the data", gt=0.0)

    def _between(self, u: Tensor, t: float, s: float, sde: ForwardSDE) -> Tensor:
        linear = _linear(self, sde)
        start, end = (math.exp(-0.5 * linear.at(time).log_snr / self.rho) for time in (t, s))
        return linear.time_at(-2.0 * self.rho * (start + u * (end - start)).log())


@dataclass(frozen=True)
class Focus(_Steps):
    """Equal steps in log((q + low) / (q + high)), q = sigma/alpha: few of them outside.

    Between ``low`` and ``high`` they are equal in log-SNR.  Well above the size of the data only
    noise is to be seen, and well below their finest detail nothing is left to decide: there one
    step goes a long way.  With ``low`` = 0 and ``high`` = inf it is ``LogSNR``.

    Raises:
        ArgumentError: unless low is below high.
    """

    needs: ClassVar[type[ForwardSDE]] = LinearSDE

    low: float = option(0.005, help="sigma/alpha below which steps are sparse", ge=0.0)
    high: float = option(20.0, help="sigma/alpha above which steps are sparse", gt=0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low < self.high:
            raise ArgumentError("low", self.low, f"below high = {self.high}")

    def _between(self, u: Tensor, t: float, s: float, sde: ForwardSDE) -> Tensor:
        linear = _linear(self, sde)
        start, end = (math.exp(-0.5 * linear.at(time).log_snr) for time in (t, s))
        if end + self.low == 0.0:
            raise _silent(s)
        start, end = (math.log(q + self.low) - math.log1p(q / self.high) for q in (start, end))
        place = (start + u * (end - start)).exp()
        ratio = (place - self.low) / (1.0 - place / self.high)
        return linear.time_at(-2.0 * ratio.log())


@dataclass(frozen=True)
class At(TimeGrid):
    """Steps that end at given times; those outside the span are left out, the ends are added.

    Raises:
        ArgumentError: unless the times are strictly falling.
    """

    points: tuple[float, ...] = option(help="times, strictly falling", ge=0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(not late > early for late, early in pairwise(self.points)):
            raise ArgumentError("points", self.points, "strictly falling times")

    def times(self, t: float, s: float, sde: ForwardSDE) -> Sequence[float]:
        """t, the points strictly inside (s, t), s."""
        return (t, *(point for point in self.points if s < point < t), s)


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


def _silent(s: float) -> ArgumentError:
    return ArgumentError(
        "s", s, "a time at which sigma is not 0, for a grid in log-SNR",
        "Run to eps and let Denoise() go to 0.",
    )  # fmt: skip


def _linear(grid: TimeGrid, sde: ForwardSDE) -> LinearSDE:
    if not isinstance(sde, LinearSDE):
        raise PairingError(f"{grid!r} needs a LinearSDE, not {sde!r}. Use Uniform or At.")
    return sde


GRIDS: Mapping[str, type[TimeGrid]] = {
    "uniform": Uniform,
    "quadratic": Quadratic,
    "log-snr": LogSNR,
    "karras": Karras,
    "focus": Focus,
    "at": At,
}
"""The grids by name, for plain data and the command line."""
