"""Increments of one Brownian path, for samplers that would grow a tree of their own."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from sdeplug_foreign.borrowed import Passage


def increments(passage: Passage, like: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """Increments of one Brownian path between two noise ratios, scaled to variance 1.

    A ratio that comes back through a logarithm is the one that it was before.

    Args:
        passage: the way from t to s.
        like: tensor of the shape, dtype and device of the state.
    """
    high, low = passage.ratios[0], passage.ratios[-1]
    path = passage.noise.brownian(like, high, low)
    asked = [low, high]

    def known(sigma: Tensor) -> float:
        ratio = min(max(float(sigma), low), high)
        for each in asked:
            if abs(each - ratio) <= passage.rounding * each:
                return each
        asked[3:] = []  # the ends of the last step are enough
        asked.insert(1, ratio)
        return ratio

    def between(sigma: Tensor, sigma_next: Tensor) -> Tensor:
        start, end = known(sigma), known(sigma_next)
        if start == end:
            return torch.zeros_like(like)
        with passage.replaced.asleep():
            increment: Tensor = path.increment(end, start)
        path.forget(start)  # samplers only go down
        scale: float = math.sqrt(start - end)
        return increment / scale

    return between
