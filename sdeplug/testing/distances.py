"""Distances between samples and exact draws, for the eye: reported, never tested on.

Their noise is that of the sample, so that none says anything without its floor, the distance
between two sets of exact draws.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sdeplug.noise import NoiseSource

_PAIRED = 2000  # rows that an energy distance is computed from; its cost grows with the square


def sliced_w2(x: Tensor, y: Tensor, noise: NoiseSource, directions: int = 64) -> float:
    """Sliced Wasserstein distance: root mean square over random directions of the distance W2.

    Bonneel et al. 2015.

    Args:
        x: samples, shape ``(n, *shape)``.
        y: as many exact draws.
        noise: draws the directions.
        directions: how many.

    Returns:
        In units of x; the same order of size as a shift of all samples along one axis, over
        the root of the dimension.
    """
    flat, other = x.flatten(1).double(), y.flatten(1).double()
    axes = noise.normal(flat.new_empty(directions, flat.shape[1]))
    axes = axes / axes.norm(dim=1, keepdim=True)
    gaps = (flat @ axes.T).sort(0).values - (other @ axes.T).sort(0).values
    return float(gaps.square().mean().sqrt())


def energy_distance(x: Tensor, y: Tensor) -> float:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'| over the first 2000 rows, without bias.

    Székely & Rizzo 2013.  Around 0, and below it half of the time, when the laws agree.

    Args:
        x: samples, shape ``(n, *shape)``.
        y: exact draws, shape ``(m, *shape)``.
    """
    flat, other = (each.flatten(1).double()[:_PAIRED] for each in (x, y))
    within = sum(float(torch.nn.functional.pdist(each).mean()) for each in (flat, other))
    return 2.0 * float(torch.cdist(flat, other).mean()) - within
