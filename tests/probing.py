"""What the tests of the plugins share: scripted noise, and a solver's order from exact laws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from common import GaussianScore
from torch import Tensor

from sdeplug import (
    At,
    Integrator,
    Karras,
    LinearSDE,
    LogSNR,
    NoiseSource,
    OnGrid,
    Quadratic,
    ReverseSDE,
    SubVPSDE,
    TimeGrid,
)
from sdeplug.testing import Law, exact_law, relative_error

MEANS = torch.tensor([-1.0, 0.0, 0.5], dtype=torch.float64)
VARIANCES = torch.tensor([0.01, 0.25, 4.0], dtype=torch.float64)
GRIDS = {
    "log-snr": lambda steps, sde: LogSNR(steps),
    "karras": lambda steps, sde: Karras(steps),
    "quadratic": lambda steps, sde: Quadratic(steps),
    "alternating": lambda steps, sde: alternating(steps, sde),
}


class Script(NoiseSource):
    """Noise that replays a list of tensors."""

    def __init__(self, draws: Sequence[Tensor]) -> None:
        self.left = list(draws)

    def normal(self, like: Tensor) -> Tensor:
        draw = self.left.pop(0)
        assert draw.shape == like.shape
        return draw.to(like.dtype)


def gentle(sde: LinearSDE) -> LinearSDE:
    """The SDE with an eps that a step in time can resolve."""
    return SubVPSDE(eps=1e-2) if isinstance(sde, SubVPSDE) else sde


def law_of(sde: LinearSDE, t: float, variances: Tensor = VARIANCES) -> Law:
    """p_t for data N(MEANS, diag(variances))."""
    now = sde.at(t)
    return Law(now.alpha * MEANS, torch.diag(now.alpha**2 * variances + now.sigma**2))


def alternating(steps: int, sde: LinearSDE) -> TimeGrid:
    """Steps of lengths h, 2h, h, 2h, ... in log-SNR, from T to eps."""
    fine = LogSNR(3 * steps // 2).times(sde.T, sde.eps, sde)
    return At(tuple(time for k, time in enumerate(fine[1:-1], 1) if k % 3 != 2))


def errors(
    by: Integrator, sde: LinearSDE, level: float = 1.0, variances: Tensor = VARIANCES
) -> Tensor:
    """Relative errors of the exact law at eps, when the law at T is right."""
    reverse = ReverseSDE(sde, GaussianScore(sde, MEANS, variances), level)
    law = exact_law(
        lambda x, run: by.integrate(reverse, x, sde.T, sde.eps, run), law_of(sde, sde.T, variances)
    )
    return relative_error(law, law_of(sde, sde.eps, variances))


def order_and_limit(
    integrator: Integrator, sde: LinearSDE, grid: str = "log-snr", level: float = 1.0, steps=64
) -> tuple[float, float]:
    """Observed weak order, and the size of the error extrapolated to steps of length 0."""
    found = [
        errors(OnGrid(integrator, GRIDS[grid](count, sde)), sde, level)
        for count in (steps, 2 * steps, 4 * steps)
    ]
    factor = 2.0**integrator.claims.order
    limit = (factor * found[-1] - found[-2]) / (factor - 1.0)
    sizes = [float(each.norm()) for each in found]
    orders = [math.log2(coarse / fine) for coarse, fine in pairwise(sizes)]
    return orders[-1], float(limit.abs().max())
