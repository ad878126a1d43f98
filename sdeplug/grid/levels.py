r"""Grids in the noise ratio q = sigma/alpha, for linear SDEs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from sdeplug.errors import ArgumentError, PairingError
from sdeplug.grid.base import Steps, TimeGrid
from sdeplug.options import option
from sdeplug.sde import ForwardSDE, LinearSDE


@dataclass(frozen=True)
class LogSNR(Steps):
    """Equal steps in the log-SNR: denser near the data; needs sigma(s) > 0.

    Lu et al. (DPM-Solver), arXiv 2206.00927, section 3.
    """

    needs: ClassVar[type[ForwardSDE]] = LinearSDE

    power: float = option(1.0, help="exponent: below 1 puts more steps near the data", gt=0.0)

    def _between(self, u: Tensor, t: float, s: float, sde: ForwardSDE) -> Tensor:
        linear = linear_of(self, sde)
        start, end = linear.at(t).log_snr, linear.at(s).log_snr
        if not math.isfinite(end):
            raise silent(s)
        return linear.time_at(start + u**self.power * (end - start))


@dataclass(frozen=True)
class Karras(Steps):
    """Equal steps in (sigma/alpha)^(1/rho).

    Karras et al., arXiv 2206.00364, equation 5; rho = 7 there.
    """

    needs: ClassVar[type[ForwardSDE]] = LinearSDE

    rho: float = option(7.0, help="exponent: larger puts more steps near the data", gt=0.0)

    def _between(self, u: Tensor, t: float, s: float, sde: ForwardSDE) -> Tensor:
        linear = linear_of(self, sde)
        start, end = (math.exp(-0.5 * linear.at(time).log_snr / self.rho) for time in (t, s))
        return linear.time_at(-2.0 * self.rho * (start + u * (end - start)).log())


@dataclass(frozen=True)
class Focus(Steps):
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
        linear = linear_of(self, sde)
        start, end = (math.exp(-0.5 * linear.at(time).log_snr) for time in (t, s))
        if end + self.low == 0.0:
            raise silent(s)
        start, end = (math.log(q + self.low) - math.log1p(q / self.high) for q in (start, end))
        place = (start + u * (end - start)).exp()
        ratio = (place - self.low) / (1.0 - place / self.high)
        return linear.time_at(-2.0 * ratio.log())


def silent(s: float) -> ArgumentError:
    """What to say of an end without noise."""
    return ArgumentError(
        "s", s, "a time at which sigma is not 0, for a grid in log-SNR",
        "Run to eps and let Denoise() go to 0.",
    )  # fmt: skip


def linear_of(grid: TimeGrid, sde: ForwardSDE) -> LinearSDE:
    """The SDE, if it is one whose noise ratio is known.

    Raises:
        PairingError: for any other.
    """
    if not isinstance(sde, LinearSDE):
        raise PairingError(f"{grid!r} needs a LinearSDE, not {sde!r}. Use Uniform or At.")
    return sde
