"""What numbers of the noise have to be."""

from __future__ import annotations

import math

import torch
from common import FALSE_ALARM
from scipy import stats

from sdeplug.noise import PerSampleNoise, SharedNoise, Silence


def like(rows: int, *shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.zeros(rows, *(shape or (3,)), dtype=dtype)


def assert_normal(values: torch.Tensor) -> None:
    """Kolmogorov-Smirnov and the first four moments; the level is shared among the five."""
    flat = values.flatten().numpy()
    assert stats.kstest(flat, "norm").pvalue > FALSE_ALARM / 5
    limit = stats.norm.isf(FALSE_ALARM / 10)
    wanted = {1: (0, 1), 2: (1, 2), 3: (0, 15), 4: (3, 96)}  # E z^k and its variance
    for power, (mean, variance) in wanted.items():
        assert abs((flat**power).mean() - mean) < limit * math.sqrt(variance / len(flat))


def assert_uncorrelated(a: torch.Tensor, b: torch.Tensor) -> None:
    """Correlation of values and of squares, as N(0, 1/n)."""
    limit = stats.norm.isf(FALSE_ALARM / 4)
    for x, y in ((a, b), (a.square(), b.square())):
        r = torch.corrcoef(torch.stack((x.flatten(), y.flatten())))[0, 1]
        assert abs(float(r)) * math.sqrt(x.numel()) < limit


SOURCES = [SharedNoise(3), PerSampleNoise(3, range(4)), Silence()]
