"""Laws of test statistics: those of scipy, or of the literature."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from scipy import special, stats

from sdeplug import SharedNoise
from sdeplug.testing.law import nulls


def test_tail_of_anderson_darling():
    # Critical values of Stephens 1974, for a distribution that is known.
    at = torch.tensor([1.933, 2.492, 3.070, 3.857], dtype=torch.float64)
    assert nulls._ad_tail(at).tolist() == pytest.approx([0.10, 0.05, 0.025, 0.01], rel=0.03)
    tails = nulls._ad_tail(0.05 * torch.arange(400, dtype=torch.float64)).tolist()
    assert all(early >= late for early, late in pairwise(tails))
    assert tails[0] == 1.0
    assert 0.0 < tails[-1] < 1e-8


def test_bartlett_is_a_sum_of_independent_squares():
    trials, total = 300, []
    for seed in range(trials):
        rows = SharedNoise(seed).normal(torch.empty(40, 3, dtype=torch.float64))
        squared, freedom = nulls.bartlett(rows)
        assert freedom == 6
        total.append(squared)
    # Mean 6, standard deviation sqrt(12 / 300); 4.9 of them are 1e-6.
    assert abs(sum(total) / trials - 6.0) < 4.9 * math.sqrt(12.0 / trials)
    assert nulls.bartlett(torch.zeros(10, 2, dtype=torch.float64))[0] == math.inf


@pytest.mark.parametrize(
    ("freedom", "noncentrality"), [(1, 0.0), (2000, 0.0), (1, 0.5), (16, 300.0), (130, 2048.0)]
)
def test_upper_tails_of_chi_square_are_those_of_scipy(freedom, noncentrality):
    for factor in (0.2, 1.0, 1.3, 2.0):
        q = factor * (freedom + noncentrality)
        law = stats.ncx2(freedom, noncentrality) if noncentrality else stats.chi2(freedom)
        wide = torch.tensor(2.0 * q, dtype=torch.float64)
        found = float(nulls.chi2_upper(wide, freedom, noncentrality, scale=2.0))
        assert found == pytest.approx(law.sf(q), rel=1e-8, abs=1e-14)


@pytest.mark.parametrize("count", [100, 8192])
def test_kolmogorov_smirnov_is_exact_in_the_tail_and_a_bound_in_the_body(count):
    for distance in (0.3, 0.8, 1.5, 2.0, 3.0):
        uniform = (torch.arange(count, dtype=torch.float64) + 0.5) / count
        away = distance / math.sqrt(count) - 0.5 / count
        shifted = (uniform[:, None] + away).clamp(max=1.0)
        wanted = stats.kstwo.sf(distance / math.sqrt(count), count)
        found = float(nulls.kolmogorov_smirnov(shifted))
        assert found >= wanted * (1.0 - 1e-9)
        assert distance < 1.5 or found == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("count", [100, 8192, 65_536])
def test_smirnovs_sum_by_logarithms_is_that_of_scipy(count):
    distance = torch.tensor([0.0, 0.3, 1.0, 2.0, 4.0], dtype=torch.float64) / math.sqrt(count)
    wanted = special.smirnov(count, distance.numpy())
    assert nulls._smirnov(distance, count).tolist() == pytest.approx(list(wanted), rel=1e-9)
    assert nulls._smirnov(torch.tensor([1.0, 2.0], dtype=torch.float64), 100).tolist() == [0.0, 0.0]
