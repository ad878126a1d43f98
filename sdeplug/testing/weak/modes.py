"""A mixture in two dimensions on which nothing is estimated: points to integrate over, and what
tells its modes apart."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from sdeplug.sde import LinearSDE
from sdeplug.targets import GaussianMixture
from sdeplug.testing.memory import remembered

_SPACING = 0.6  # of the points, in the narrowest standard deviation of a mode: off by 4e-5
_REACH = 4.7  # standard deviations of a mode that there are points in
_NAMES = ("weight", "mean", "mean", "standard deviation", "standard deviation", "correlation")


@cache
def three_modes() -> GaussianMixture:
    """Three modes that overlap once there is as much noise as data, none of them like another."""
    return GaussianMixture(
        (0.45, 0.35, 0.2),
        ((-0.9, -0.4), (0.8, -0.3), (0.2, 1.1)),
        (((0.3, 0.1), (0.1, 0.2)), ((0.15, -0.05), (-0.05, 0.25)), ((0.1, 0.0), (0.0, 0.1))),
    )


@remembered(64)  # the same for every solver
def points(sde: LinearSDE, t: float) -> tuple[Tensor, Tensor]:
    """Points of a grid that holds p_t, shape ``(P, 2)``, and their weights, of sum 1.

    Sums over so smooth a law are as good as integrals.
    """
    target, now = three_modes(), sde.at(t)
    variances = now.alpha**2 * torch.linalg.eigvalsh(target.covariances) + now.sigma**2
    means, step = now.alpha * target.means, _SPACING * float(variances.min().sqrt())
    around = 1.1 * _REACH * float(variances.max().sqrt())
    axes = [
        torch.arange(low - around, high + around, step, dtype=torch.float64, device="cpu")
        for low, high in zip(means.amin(0).tolist(), means.amax(0).tolist(), strict=True)
    ]
    grid = torch.cartesian_prod(*axes)
    log_prob = target.log_prob(grid, t, sde)
    inside = log_prob > log_prob.max() - 0.5 * _REACH**2
    return grid[inside], log_prob[inside].softmax(0)


def of_modes(x: Tensor, t: float, sde: LinearSDE) -> Tensor:
    """What is nothing in the mean over p_t: how far weights, means and spreads of modes are off.

    With responsibilities r, weights w and y = x in units of a mode it is r / w times 1/2, y,
    (y^2 - 1) / 2 and y_1 y_2 / 2 for each of them, the first less 1/2.

    Args:
        x: float64, shape ``(N, 2)``.
        t: time in [0, T].
        sde: the SDE that turns data into noise.

    Returns:
        Shape ``(N, 18)``, what is alike side by side.  An error of the standard deviation by one
        per cent makes 0.01; of a weight, by two.
    """
    log_weights, means, roots = _modes(t, sde)
    y = torch.einsum("ked,nke->dnk", roots, x[:, None] - means)
    heights = log_weights + roots.diagonal(dim1=1, dim2=2).log().sum(1)
    share = (heights - 0.5 * y.square().sum(0)).softmax(1) / log_weights.exp()
    first, second = y
    tells = (
        0.5 * torch.ones_like(share), first, second,
        0.5 * (first * first - 1.0), 0.5 * (second * second - 1.0), 0.5 * first * second,
    )  # fmt: skip
    found = torch.cat([share * each for each in tells], 1)
    found[:, : len(means)] -= 0.5
    return found


@remembered(64)
def _modes(t: float, sde: LinearSDE) -> tuple[Tensor, Tensor, Tensor]:
    """Logarithms of the weights, means, and L with L L^T the precision of a mode, at time t."""
    target, now = three_modes(), sde.at(t)
    noise = now.sigma**2 * torch.eye(2, dtype=torch.float64, device="cpu")
    precision = torch.linalg.inv(now.alpha**2 * target.covariances + noise)
    return target.weights.log(), now.alpha * target.means, torch.linalg.cholesky(precision)


def told_of_modes(number: int, error: float) -> str:
    """One of the errors, in words."""
    if not math.isfinite(error):
        return "the law is not finite"
    what, mode = divmod(number, len(three_modes().weights))
    size = 100.0 * error * (2.0 if what == 0 else 1.0)
    return f"the {_NAMES[what]} of mode {mode + 1} is off by {size:+.2g} %"
