"""Grids in the noise ratio that minimise a bound on the error of a sampler."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError
from sdeplug.grid.base import Steps
from sdeplug.grid.levels import linear_of
from sdeplug.options import option
from sdeplug.sde import ForwardSDE, LinearSDE

_STABLE_DIFFUSION = (
    14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029
)  # fmt: skip


@dataclass(frozen=True)
class KLOptimal(Steps):
    """Equal steps in atan(q / data_std), q = sigma/alpha: optimal for Gaussian data.

    Sabour et al. (Align Your Steps), arXiv 2404.14507, theorem 3.1; ``kl_optimal`` of ComfyUI.
    """

    needs: ClassVar[type[ForwardSDE]] = LinearSDE

    data_std: float = option(1.0, help="standard deviation of the data", gt=0.0)

    def _between(self, u: Tensor, t: float, s: float, sde: ForwardSDE) -> Tensor:
        linear = linear_of(self, sde)
        start, end = (math.atan2(*_pair(linear, time, self.data_std)) for time in (t, s))
        return linear.time_at(-2.0 * (self.data_std * (start + u * (end - start)).tan()).log())


@dataclass(frozen=True)
class AlignYourSteps(Steps):
    """Equal steps along a table of noise ratios, between its entries in the logarithm.

    A span that ends inside the table uses its part of it, and beyond the ends the first and the
    last step of the table go on.  Time 0 is the end of the table, as in other programs, which put
    0 in the place of its last ratio.

    Sabour et al. (Align Your Steps), arXiv 2404.14507; the default is their table for Stable
    Diffusion 1.5.

    Raises:
        ArgumentError: unless there are at least two ratios, strictly falling and above 0.
    """

    needs: ClassVar[type[ForwardSDE]] = LinearSDE

    ratios: tuple[float, ...] = option(
        _STABLE_DIFFUSION, help="sigma/alpha where the steps end, strictly falling", gt=0.0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.ratios) < 2 or any(not late > early for late, early in pairwise(self.ratios)):
            raise ArgumentError("ratios", self.ratios, "two ratios or more, strictly falling")

    def _between(self, u: Tensor, t: float, s: float, sde: ForwardSDE) -> Tensor:
        linear = linear_of(self, sde)
        table = -2.0 * torch.tensor(self.ratios, dtype=u.dtype, device=u.device).log()
        entries = torch.arange(len(self.ratios), dtype=u.dtype, device=u.device)
        start, end = (
            float(_line(torch.full_like(table[:1], linear.at(time).log_snr), table, entries))
            for time in (t, s)
        )
        if not math.isfinite(end):
            end = max(float(entries[-1]), start + 1.0)
        return linear.time_at(_line(start + u * (end - start), entries, table))


def _pair(linear: LinearSDE, time: float, data_std: float) -> tuple[float, float]:
    """Two numbers whose quotient is q / data_std: alpha may be 0."""
    marginal = linear.at(time)
    return marginal.sigma, data_std * marginal.alpha


def _line(x: Tensor, places: Tensor, values: Tensor) -> Tensor:
    """What lies on the broken line through values at rising places; its ends go on."""
    right = torch.searchsorted(places, x).clamp(1, len(places) - 1)
    width = places[right] - places[right - 1]
    part = (x - places[right - 1]) / width
    return values[right - 1] + part * (values[right] - values[right - 1])
