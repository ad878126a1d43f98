"""Brownian paths that are known beside the run: what is made of them has less chance in it."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from sdeplug.noise import BrownianWalk, NoiseSource, SharedNoise
from sdeplug.noise.brownian import Normal
from sdeplug.noise.walk import Floats, Mask


class Walked(NoiseSource):
    """Noise that keeps where its first walk has been.

    Attributes:
        times: those at which rows have been, in no order; none as long as nothing walks.
    """

    def __init__(self) -> None:
        self._source = SharedNoise(0)
        self._start = math.inf
        self.times = list[Floats]()

    def normal(self, like: Tensor) -> Tensor:
        """Any numbers."""
        return self._source.normal(like)

    def walk(self, like: Tensor, t: float) -> BrownianWalk:
        """A walk that is watched, if it is the first."""
        if self._start < math.inf:
            return super().walk(like, t)
        self._start = t
        return _Watched(self.times, like, t, self.normal)

    def between(self, count: int) -> Floats:
        """So many of the times, or all, falling; none is the start."""
        found = np.unique(np.concatenate([np.empty(0), *self.times]))[::-1]
        found = found[found < self._start]
        if len(found) <= count:
            return found
        return found[np.linspace(0, len(found) - 1, count).astype(np.int64)]


class _Watched(BrownianWalk):
    """A walk that keeps where rows have been."""

    def __init__(self, times: list[Floats], like: Tensor, t: float, normal: Normal) -> None:
        super().__init__(like, t, normal)
        self._times = times

    def settle(self, taken: Mask) -> None:
        """Hear which rows have gone on, and keep where they are."""
        super().settle(taken)
        self._times.append(self.here)


class Known(NoiseSource):
    """Noise whose first walk is known at some times before it begins.

    Args:
        seed: of all that is drawn.
        times: falling, all after the walk begins.

    Attributes:
        steps: what is known: increments from time to time in units of their standard deviation,
            shape ``(K, B, D)``.
    """

    def __init__(self, seed: int, times: Floats) -> None:
        self._source, self._times = SharedNoise(seed), times
        self.steps: Tensor | None = None

    def normal(self, like: Tensor) -> Tensor:
        """The next numbers."""
        return self._source.normal(like)

    def walk(self, like: Tensor, t: float) -> BrownianWalk:
        """A walk that has seen what lies at the times, if it is the first."""
        walk = super().walk(like, t)
        if self.steps is not None:
            return walk
        none, seen = np.zeros(len(like), dtype=np.bool_), [torch.zeros_like(like)]
        for time in self._times:
            seen.append(walk.ahead(np.full(len(like), time)).clone())
            walk.settle(none)
        spans = np.diff(-np.concatenate(([t], self._times)))
        self.steps = torch.stack([
            ((later - before) / math.sqrt(span)).flatten(1)
            for (before, later), span in zip(pairwise(seen), spans.tolist(), strict=True)
        ])  # fmt: skip
        return walk
