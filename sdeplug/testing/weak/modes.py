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
    weights, heights, roots, shifts = _modes(t, sde)
    y = torch.addmm(shifts, roots, x.T).reshape(2, len(weights), -1)
    first, second = y
    wide, high = first * first, second * second
    share = torch.softmax(heights - 0.5 * (wide + high), 0) / weights
    half, found = 0.5 * share, x.new_empty(6, *share.shape)
    torch.sub(half, 0.5, out=found[0])
    torch.mul(share, first, out=found[1])
    torch.mul(share, second, out=found[2])
    torch.mul(half, wide - 1.0, out=found[3])
    torch.mul(half, high - 1.0, out=found[4])
    torch.mul(half, first * second, out=found[5])
    return found.flatten(0, 1).T


@remembered(64)
def _modes(t: float, sde: LinearSDE) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weights; logarithms of the heights but for a constant; and a matrix and what is added to it,
    that make y of x, first of all the y_1: at time t, with one row for each of them."""
    target, now = three_modes(), sde.at(t)
    noise = now.sigma**2 * torch.eye(2, dtype=torch.float64, device="cpu")
    precision = torch.linalg.inv(now.alpha**2 * target.covariances + noise)
    roots, weights = torch.linalg.cholesky(precision), target.weights
    heights = weights.log() + roots.diagonal(dim1=1, dim2=2).log().sum(1)
    rows = roots.permute(2, 0, 1)
    shifts = -torch.einsum("dke,ke->dk", rows, now.alpha * target.means)
    return weights[:, None], heights[:, None], rows.reshape(-1, 2), shifts.reshape(-1, 1)


def told_of_modes(number: int, error: float) -> str:
    """One of the errors, in words."""
    if not math.isfinite(error):
        return "the law is not finite"
    what, mode = divmod(number, len(three_modes().weights))
    size = 100.0 * error * (2.0 if what == 0 else 1.0)
    return f"the {_NAMES[what]} of mode {mode + 1} is off by {size:+.2g} %"
