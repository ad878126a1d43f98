r"""At which times a loss looks.

All are the inverse of a distribution function at a number u in [0, 1).  With the option
``low_discrepancy`` the numbers of a batch are one uniform number and equal distances from it, so
that every batch covers all times evenly: each row is uniform as before, and the mean over the
batch varies less (Kingma et al., arXiv 2107.00630, appendix I.1).
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from sdeplug.grid import TimeGrid, Uniform, checked_times
from sdeplug.noise import NoiseSource
from sdeplug.options import Configured, option
from sdeplug.sde import LinearSDE


class Drawn(NamedTuple):
    """Times of a batch, on the CPU, where schedules are computed.

    Attributes:
        t: float64, shape ``(B,)``.
        weight: density under which the loss is meant, over the density of the draw, likewise.
    """

    t: Tensor
    weight: Tensor


@dataclass(frozen=True, kw_only=True)
class Times(Configured):
    """At which times a loss looks."""

    low_discrepancy: bool = option(True, help="spread the times of a batch evenly")
    start: float | None = option(
        None, help="smallest time; left out: where sampling ends, sde.eps", ge=0.0
    )

    def draw(self, sde: LinearSDE, rows: int, noise: NoiseSource) -> Drawn:
        """Times for the rows of a batch.

        Args:
            sde: the linear SDE.
            rows: how many.
            noise: where the random numbers come from.
        """
        normal = noise.normal(torch.empty(rows, dtype=torch.float64, device="cpu"))
        u = torch.special.ndtr(normal)
        if self.low_discrepancy:
            even = torch.arange(rows, dtype=torch.float64, device="cpu") / rows
            u = (u[0] + even) % 1.0
        return self.at(sde, u)

    @abstractmethod
    def at(self, sde: LinearSDE, u: Tensor) -> Drawn:
        """The times at which the distribution function is u: float64, shape ``(B,)``."""

    def first(self, sde: LinearSDE) -> float:
        """The smallest time."""
        return sde.eps if self.start is None else self.start


@dataclass(frozen=True)
class UniformTimes(Times):
    """Uniform between the smallest time and T."""

    def at(self, sde: LinearSDE, u: Tensor) -> Drawn:
        """start + u (T - start)."""
        first = self.first(sde)
        return Drawn(first + u * (sde.T - first), torch.ones_like(u))


@dataclass(frozen=True)
class LogNormalTimes(Times):
    """log(sigma / alpha) is normal: most steps go where the image is made.

    Nothing makes up for the density: it is a part of the loss, beside the weighting.

    Karras et al., arXiv 2206.00364, table 1.
    """

    mean: float = option(-1.2, help="mean of log(sigma / alpha)")
    std: float = option(1.2, help="its standard deviation", gt=0.0)

    def at(self, sde: LinearSDE, u: Tensor) -> Drawn:
        """The time of the level; levels outside are moved to the ends."""
        level = self.mean + self.std * torch.special.ndtri(u.clamp(1e-12, 1.0 - 1e-12))
        t = sde.time_at(-2.0 * level)
        return Drawn(t.clamp(self.first(sde), sde.T), torch.ones_like(u))


@dataclass(frozen=True)
class ImportanceTimes(Times):
    """With the density of g^2 / sigma^2, which is uniform in log-SNR; rows are weighted for it.

    The loss has the mean that it has with uniform times.  Where it is weighted with g^2, and the
    network's error of the noise is about the same at each level, it varies far less.

    Song et al., arXiv 2101.09258, section 4.3.
    """

    def at(self, sde: LinearSDE, u: Tensor) -> Drawn:
        """The time at which the log-SNR has fallen by the share u."""
        first = self.first(sde)
        ends = torch.tensor((first, sde.T), dtype=torch.float64, device="cpu")
        most, least = sde.log_snr(ends)
        t = sde.time_at(torch.lerp(most, least, u)).clamp(first, sde.T)
        speed = (sde.diffusion(t) / sde.sigma(t)).square()  # of the fall of the log-SNR
        return Drawn(t, (most - least) / ((sde.T - first) * speed))


@dataclass(frozen=True)
class GridTimes(Times):
    """The times from which the steps of a grid start, each as often: a discrete loss.

    By default the grid ends at 0: that of ``Uniform(1000)`` has the times 1/1000, ..., 1, those of
    the thousand levels of a DDPM.
    """

    grid: TimeGrid = option(Uniform(1000), help="grid of the levels")
    last: bool = option(False, help="the end of the grid is a level, too")

    def first(self, sde: LinearSDE) -> float:
        """Where the grid ends: 0 unless it is given."""
        return 0.0 if self.start is None else self.start

    def at(self, sde: LinearSDE, u: Tensor) -> Drawn:
        """The level number floor(u N)."""
        levels = grid_levels(self.grid, self.first(sde), sde)
        levels = levels if self.last else levels[1:]
        number = (u * len(levels)).long().clamp(max=len(levels) - 1)
        return Drawn(levels[number], torch.ones_like(u))


@lru_cache(maxsize=32)
def grid_levels(grid: TimeGrid, end: float, sde: LinearSDE) -> Tensor:
    """The times of a grid from T down to an end, rising: float64, shape ``(N + 1,)``.

    Raises:
        ArgumentError: if the grid has no such times.
    """
    times = checked_times(grid, sde.T, end, sde)
    return torch.tensor(times[::-1], dtype=torch.float64, device="cpu")
