"""Noise levels of NCSN: the equations of the paper, its own table, and the law of the sampler."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from common import normal

from sdeplug import VESDE, ArgumentError, ReverseSDE
from sdeplug.targets import Gaussian
from sdeplug.testing import Law, exact_law
from sdeplug_song import AnnealedLangevin, NoiseLevels
from sdeplug_song.ncsn import (
    annealed_snr,
    annealed_variance,
    largest_distance,
    overlap,
    overlap_ratio,
)


def test_the_largest_distance_is_that_of_all_pairs():
    data = normal(40, 3, 2)
    wanted = max(float((one - other).norm()) for one in data for other in data)
    assert largest_distance(data) == pytest.approx(wanted, rel=1e-12)
    assert largest_distance(data.float()) == pytest.approx(wanted, rel=1e-6)


def test_the_overlap_is_that_of_the_radii_of_noise():
    """By the integral itself."""
    for ratio, dimension in ((1.05, 100), (1.3, 10), (2.0, 6)):
        shift = math.sqrt(2.0 * dimension) * (ratio - 1.0)
        z = torch.linspace(shift - 3 * ratio, shift + 3 * ratio, 20001, dtype=torch.float64)
        density = torch.exp(-0.5 * z.square()) / math.sqrt(2.0 * math.pi)
        wanted = float(torch.trapezoid(density, z))
        assert overlap(ratio, dimension) == pytest.approx(wanted, abs=1e-8)


@pytest.mark.parametrize(
    ("dimension", "largest", "count"), [(3 * 32**2, 50.0, 232), (3 * 64**2, 90.0, 500)]
)
def test_the_levels_are_those_that_the_paper_uses(dimension, largest, count):
    """CIFAR-10 and CelebA, arXiv 2006.09011, whose overlap is a little above 0.5."""
    data = torch.zeros(2, dimension, dtype=torch.float64)
    data[1, 0] = largest
    levels = NoiseLevels.of(data, 0.01)
    assert levels.largest == largest
    assert levels.count == pytest.approx(count, rel=0.06)
    assert overlap(overlap_ratio(dimension), dimension) == pytest.approx(0.5, abs=1e-9)
    assert levels.ratio <= overlap_ratio(dimension)


def test_the_step_is_the_one_of_the_paper():
    """CIFAR-10: five steps a level with r = 0.176, from epsilon = 6.2e-6 at 0.01."""
    assert annealed_snr((50.0 / 0.01) ** (1.0 / 231), 5) == pytest.approx(0.176, abs=0.002)


@pytest.mark.parametrize("sweeps", [1, 3])
def test_the_variance_is_that_of_the_corrector(sweeps):
    """Exactly, on point masses, where p_t is the noise alone."""
    sde, snr, ratio = VESDE(), 0.3, 1.2
    point = Gaussian(torch.zeros(1, dtype=torch.float64), std=0.0)
    reverse, by = ReverseSDE(sde, point.score(sde)), AnnealedLangevin(snr)
    sigma = sde.at(0.5).sigma

    def swept(x, run):
        for _ in range(sweeps):
            x = by.correct(reverse, x, 0.5, run)
        return x

    one = torch.ones(1, dtype=torch.float64)
    law = exact_law(swept, Law(0.0 * one, (ratio * sigma) ** 2 * torch.diag(one)))
    assert float(law.covariance) / sigma**2 == pytest.approx(
        annealed_variance(snr, ratio, sweeps), rel=1e-12
    )


@pytest.mark.parametrize(("ratio", "sweeps"), [(1.04, 5), (1.2, 1), (1.01, 100)])
def test_no_other_step_keeps_the_variance_better(ratio, sweeps):
    best = annealed_variance(annealed_snr(ratio, sweeps), ratio, sweeps)
    grid = torch.linspace(0.001, 0.706, 300, dtype=torch.float64).tolist()
    assert best >= 1.0
    assert best <= min(annealed_variance(snr, ratio, sweeps) for snr in grid) + 1e-12


def test_the_pipeline_visits_the_levels_and_ends_at_the_data():
    levels = NoiseLevels(10.0, 0.01, 40)
    sde = levels.sde
    times = levels.grid.times(sde.T, 0.0, sde)
    sigma = [sde.at(t).sigma for t in times]
    assert len(sigma) == 40
    assert [a / b for a, b in pairwise(sigma)] == pytest.approx([levels.ratio] * 39, rel=1e-6)
    data = Gaussian(torch.zeros(8, dtype=torch.float64), std=1.0)
    done = levels.pipeline(data.score(sde), 3).sample((200, 8), seed=0)
    assert done.nfe == 39 * 3 + 1
    wanted, snr = sigma[0] ** 2, annealed_snr(levels.ratio, 3)
    for level in sigma[1:]:
        for _ in range(3):
            length = 2.0 * (snr * level) ** 2
            wanted = (1.0 - length / (1.0 + level**2)) ** 2 * wanted + 2.0 * length
    # 1,600 numbers: the mean square is off by more than 5.5 standard errors in 1 of 3e7 seeds.
    assert float(done.x.square().mean()) == pytest.approx(wanted, rel=5.5 * math.sqrt(2 / 1600))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: NoiseLevels.of(torch.ones(3, 8)), "smallest = 0.01"),
        (lambda: NoiseLevels.of(normal(4, 2)), "even distant levels overlap"),
        (lambda: NoiseLevels.of(normal(1, 8)), "two rows"),
        (lambda: NoiseLevels.of(normal(4, 8), overlap=1.0), "overlap = 1.0"),
        (lambda: NoiseLevels(1.0, 2.0, 5), "below largest"),
        (lambda: NoiseLevels(2.0, 1.0, 1), "count = 1"),
        (lambda: annealed_snr(1.0, 5), "ratio = 1.0"),
        (lambda: NoiseLevels(2.0, 1.0, 3).by(0), "sweeps = 0"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ArgumentError, match=words):
        call()
