"""A ring of modes, curved as no Gaussian is: what tells how far a law on it is off."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sdeplug.sde import LinearSDE
from sdeplug.targets import eight_gaussians
from sdeplug.testing.memory import remembered

_RADII, _ANGLES, _REACH = 200, 64, 6.0  # of a sum; and how far it goes, in widths of a mode
_TOLD = (
    "the radius is off by {} of its spread",
    "the spread of the radius is off by {}",
    "a sixth of the skewness of the radius is off by {}",
    "what modes have more than the gaps between them is off by {}",
    "how much larger the radius is in modes than in gaps is off by {} of its spread",
    "how much larger the spread of the radius is in modes than in gaps is off by {}",
)


def of_ring(x: Tensor, t: float, sde: LinearSDE) -> Tensor:
    """What is nothing in the mean over p_t of :func:`eight_gaussians`, all modes taken together.

    With y the radius in units of its spread and c = sqrt(2) cos(8 angle), which is high in modes
    and low between them, it is y, (y^2 - 1) / 2, (y^3 - 3 y) / 6, c, c y and c (y^2 - 1) / 2, each
    less its mean.

    Args:
        x: float64, shape ``(N, 2)``.
        t: time in [0, T].
        sde: the SDE that turns data into noise.

    Returns:
        Shape ``(N, 6)``.  An error of one per cent of the radius, in units of its spread, or of
        the spread, makes 0.01.
    """
    mean, spread, means = _sums(t, sde)
    return _told_by(x, mean, spread) - means


def told_of_ring(number: int, error: float) -> str:
    """One of the errors, in words."""
    return _TOLD[number].format(f"{100.0 * error:+.2g} %")


def _told_by(x: Tensor, mean: float, spread: float) -> Tensor:
    across, up = x.unbind(1)
    y = (torch.hypot(across, up) - mean) / spread
    high = math.sqrt(2.0) * (8.0 * torch.atan2(up, across)).cos()
    second = 0.5 * (y * y - 1.0)
    return torch.stack((y, second, (y**3 - 3.0 * y) / 6.0, high, high * y, high * second)).T


@remembered(16)
def _sums(t: float, sde: LinearSDE) -> tuple[float, float, Tensor]:
    """Mean and spread of the radius, and means of the features that it makes, by a sum over radii
    and angles."""
    ring, now = eight_gaussians(), sde.at(t)
    width = math.sqrt(now.alpha**2 * float(ring.covariances[0, 0, 0]) + now.sigma**2)
    step = (now.alpha + _REACH * width) / _RADII
    radius = step * torch.arange(1, _RADII + 1, dtype=torch.float64, device="cpu")
    angle = (math.tau / _ANGLES) * torch.arange(_ANGLES, dtype=torch.float64, device="cpu")
    radius, angle = torch.cartesian_prod(radius, angle).unbind(1)
    points = torch.stack((radius * angle.cos(), radius * angle.sin()), 1)
    weights = (ring.log_prob(points, t, sde) + radius.log()).softmax(0)
    mean = float(weights @ radius)
    spread = float((weights @ (radius - mean).square()).sqrt())
    return mean, spread, weights @ _told_by(points, mean, spread)
