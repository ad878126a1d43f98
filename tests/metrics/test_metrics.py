"""Metrics against closed forms, brute force, and what is known of exact draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from common import normal
from hypothesis import given
from hypothesis import strategies as st
from metrics.truths import PLAIN, RING, VP
from scipy import stats
from scipy.optimize import brentq

from sdeplug import Truth, targets
from sdeplug.metrics import (
    BuresWasserstein,
    EnergyDistance,
    ModeMoments,
    ModeWeights,
    SlicedW2,
    bures_wasserstein,
    mixture_quantiles,
)
from sdeplug.metrics.clouds import _axes

# Distances between laws


@given(st.lists(st.floats(0.01, 10.0), min_size=3, max_size=3), st.integers(0, 99))
def test_w2_of_gaussians_with_the_same_axes_is_that_of_their_deviations(variances, seed):
    axes = torch.linalg.qr(normal(3, 3, seed=seed))[0]
    first, second = torch.tensor(variances, dtype=torch.float64), torch.ones(3).double()
    laws = [
        (normal(3, seed=k), axes @ torch.diag(v) @ axes.T) for k, v in ((1, first), (2, second))
    ]
    shift = (laws[0][0] - laws[1][0]).square().sum()
    wanted = (shift + (first.sqrt() - second.sqrt()).square().sum()).sqrt()
    assert bures_wasserstein(*laws[0], laws[1]) == pytest.approx(float(wanted), rel=1e-6)


def test_w2_of_gaussians_that_do_not_commute_is_that_of_scipy():
    from scipy.linalg import sqrtm

    a, b = (m @ m.T for m in (normal(4, 4, seed=1), normal(4, 4, seed=2)))
    mixed = sqrtm(sqrtm(a.numpy()) @ b.numpy() @ sqrtm(a.numpy()))
    wanted = math.sqrt(float(a.trace() + b.trace()) - 2.0 * mixed.real.trace())
    zero = torch.zeros(4, dtype=torch.float64)
    assert bures_wasserstein(zero, a, (zero, b)) == pytest.approx(wanted, rel=1e-9)


def test_quantiles_of_one_normal_are_those_of_scipy():
    one = torch.ones(1, 1, dtype=torch.float64)
    found = mixture_quantiles(one[0], 3.0 * one, 0.1 * one, 1001)[0]
    wanted = stats.norm.ppf((np.arange(1001) + 0.5) / 1001, 3.0, 0.1)
    assert float((found - torch.from_numpy(wanted)).abs().max()) < 1e-9


def test_quantiles_of_a_mixture_solve_its_equation_even_across_a_gap():
    weights = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    means = torch.tensor([[-30.0], [0.0], [0.4]], dtype=torch.float64)
    stds = torch.tensor([[0.01], [1.0], [0.05]], dtype=torch.float64)
    found = mixture_quantiles(weights, means, stds, 500)[0]
    assert bool((found.diff() >= 0.0).all())

    def below(x: float) -> float:
        parts = stats.norm.cdf(x, means[:, 0].numpy(), stds[:, 0].numpy())
        return float(weights @ torch.from_numpy(parts))

    for place in (0, 50, 98, 101, 250, 400, 499):
        level = (place + 0.5) / 500
        wanted = brentq(lambda x, level=level: below(x) - level, -40.0, 10.0, xtol=1e-12)
        assert float(found[place]) == pytest.approx(wanted, abs=1e-7)


@pytest.mark.parametrize("target", [targets.mixture_64(), PLAIN.target, targets.digits()])
def test_a_law_along_a_line_is_what_its_draws_say(target):
    """Means and deviations of components against their moments, all together."""
    dimension = len(target.mean)
    line = normal(3, dimension, seed=3)
    line = line / line.norm(dim=1, keepdim=True)
    means, stds = target.projected(line, 0.3, VP)
    weights = target.weights[:, None]
    mean, covariance = target.moments(0.3, VP)
    total = (weights * (stds.square() + means.square())).sum(0)
    torch.testing.assert_close((weights * means).sum(0), line @ mean)
    wanted = ((line @ covariance) * line).sum(1) + (line @ mean).square()
    torch.testing.assert_close(total, wanted)


# Metrics with known values


def test_sliced_w2_of_a_shift_is_its_length_along_the_lines():
    n = 4000
    exact = PLAIN.draws(n)
    shift = torch.tensor([3.0, -4.0], dtype=torch.float64)
    far = SlicedW2(directions=7).measure(exact + 1000.0 * shift, PLAIN)
    along = (_axes(7, PLAIN) @ (1000.0 * shift)).square().mean().sqrt() / PLAIN.scale()
    assert far == pytest.approx(float(along), rel=1e-3)


def test_sliced_w2_on_a_line_is_zero_for_the_quantiles_themselves():
    truth = Truth(targets.GaussianMixture((0.3, 0.7), [[-1.0], [2.0]], std=0.2), VP, VP.eps)
    means, stds = truth.target.projected(torch.ones(1, 1).double(), truth.t, VP)
    quantiles = mixture_quantiles(truth.target.weights, means, stds, 999)[0]
    assert SlicedW2().measure(quantiles[:, None], truth) < 1e-12
    assert SlicedW2().measure(quantiles.flip(0)[:, None], truth) < 1e-12
    wider = SlicedW2().measure(1.5 * quantiles[:, None], truth)
    assert wider == pytest.approx(0.5 * float(quantiles.square().mean().sqrt()) / truth.scale())


def test_mode_weights_are_the_share_that_changed_its_mode():
    x = RING.draws(8000)
    labels = RING.target.responsibilities(x, RING.t, VP).argmax(1)
    before = ModeWeights().measure(x, RING)
    means = RING.target.means
    moved = torch.where((labels == 0)[:, None], x - means[0] + means[4], x)
    after = ModeWeights().measure(moved, RING)
    share = float((labels == 0).double().mean())
    assert after == pytest.approx(0.125, abs=2.0 * before + 0.002)
    assert before < 0.02 < share


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.2])
def test_mode_moments_see_a_wrong_spread(factor):
    x = RING.draws(40_000)
    means = VP.at(RING.t).alpha * RING.target.means
    centers = means[RING.target.responsibilities(x, RING.t, VP).argmax(1)]
    measured = ModeMoments().measure(centers + factor * (x - centers), RING)
    # Half of the errors are of means, which are right but for sampling.
    wanted = abs(factor - 1.0) / math.sqrt(2.0)
    assert measured == pytest.approx(wanted, abs=0.02)


def test_an_empty_mode_counts_as_one_deviation_off():
    x = RING.draws(4000)
    labels = RING.target.responsibilities(x, RING.t, VP).argmax(1)
    kept = ModeMoments().measure(x[labels != 0], RING)
    assert kept == pytest.approx(math.sqrt(4 / 32), abs=0.02)  # 2 means and 2 spreads of 32


def test_bures_wasserstein_is_in_units_of_the_deviation():
    x = PLAIN.draws(50_000)
    shift = torch.tensor([10.0, 0.0], dtype=torch.float64)
    assert BuresWasserstein().measure(x, PLAIN) < 0.02
    off = BuresWasserstein().measure(x + shift, PLAIN)
    assert off == pytest.approx(10.0 / PLAIN.scale(), rel=0.01)


def test_energy_distance_is_unbiased_and_sees_a_shift():
    values = [
        EnergyDistance(rows=300).measure(truth.draws(300, "other"), truth)
        for truth in (Truth(PLAIN.target, VP, VP.eps, seed) for seed in range(40))
    ]
    mean, spread = torch.tensor(values).mean(), torch.tensor(values).std()
    assert abs(float(mean)) < 5.0 * float(spread) / math.sqrt(40)
    assert min(values) < 0.0
    assert EnergyDistance().measure(PLAIN.draws(2000, "other") + 1.0, PLAIN) > 0.5
