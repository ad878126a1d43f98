"""Three modes in so much noise that they are one: means, widths, correlation of the whole."""

from __future__ import annotations

import torch
from torch import Tensor

from sdeplug.sde import LinearSDE
from sdeplug.testing.memory import remembered
from sdeplug.testing.weak.modes import three_modes

_TOLD = (
    "the mean of the first coordinate is off by {} of its standard deviation",
    "the mean of the second coordinate is off by {} of its standard deviation",
    "the standard deviation of the first coordinate is off by {}",
    "the standard deviation of the second coordinate is off by {}",
    "half of the correlation of the coordinates is off by {}",
)


def of_whole(x: Tensor, t: float, sde: LinearSDE) -> Tensor:
    """What is nothing in the mean over p_t of :func:`three_modes`, by its moments.

    With y the coordinates in units of their standard deviations it is y, (y^2 - 1) / 2 and
    (y_1 y_2 - r) / 2, with r their correlation.

    Args:
        x: float64, shape ``(N, 2)``.
        t: time in [0, T].
        sde: the SDE that turns data into noise.

    Returns:
        Shape ``(N, 5)``.  An error of one per cent of a standard deviation makes 0.01.
    """
    mean, spread, correlation = _moments(t, sde)
    first, second = ((x - mean) / spread).unbind(1)
    wide, high = (0.5 * (each * each - 1.0) for each in (first, second))
    return torch.stack((first, second, wide, high, 0.5 * (first * second - correlation))).T


def told_of_whole(number: int, error: float) -> str:
    """One of the errors, in words."""
    return _TOLD[number].format(f"{100.0 * error:+.2g} %")


@remembered(16)
def _moments(t: float, sde: LinearSDE) -> tuple[Tensor, Tensor, float]:
    """Means and standard deviations of the coordinates, and their correlation, at time t."""
    mean, covariance = three_modes().moments(t, sde)
    spread = covariance.diagonal().sqrt()
    return mean, spread, float(covariance[0, 1] / spread.prod())
