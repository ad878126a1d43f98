"""Metrics of images, of own data and of features."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from common import normal
from metrics.truths import VP

from sdeplug import VESDE, Truth, targets
from sdeplug.compare.setting import metrics_of
from sdeplug.errors import ArgumentError
from sdeplug.metrics import (
    Coverage,
    Density,
    FeatureFrechet,
    FrechetDistance,
    NearestNeighbour,
    Precision,
    Recall,
    bures_wasserstein,
    frechet,
    moments,
)

IMAGES = Truth(
    targets.Gaussian(torch.zeros(1, 2, 3), torch.diag(torch.arange(1.0, 7.0))), VP, VP.eps
)


def test_frechet_distance_looks_along_the_first_principal_axes_only():
    x = IMAGES.draws(20_000)
    least, largest = torch.zeros(1, 2, 3).double(), torch.zeros(1, 2, 3).double()
    least[0, 0, 0], largest[0, 1, 2] = 5.0, 5.0  # variances 1 and 6
    metric = FrechetDistance(features=2)
    base = metric.measure(x, IMAGES)
    assert base < 0.01
    assert metric.measure(x + least, IMAGES) == pytest.approx(base, abs=1e-9)
    assert metric.measure(x + largest, IMAGES) == pytest.approx(25.0, rel=0.05)
    assert FrechetDistance().measure(x + least, IMAGES) == pytest.approx(25.0, rel=0.05)


def neighbourhoods(real, fake, k):
    """Precision, recall, density and coverage by loops over points."""

    def distance(a, b):
        return float((a - b).norm())

    def radius(points, i):
        return sorted(distance(points[i], p) for j, p in enumerate(points) if j != i)[k - 1]

    reals, fakes = ([radius(points, i) for i in range(len(points))] for points in (real, fake))
    pairs = [[distance(r, f) for f in fake] for r in real]
    inside = [[pairs[i][j] <= reals[i] for j in range(len(fake))] for i in range(len(real))]
    around = [[pairs[i][j] <= fakes[j] for j in range(len(fake))] for i in range(len(real))]
    return {
        Precision: sum(any(row[j] for row in inside) for j in range(len(fake))) / len(fake),
        Recall: sum(any(row) for row in around) / len(real),
        Density: sum(map(sum, inside)) / (k * len(fake)),
        Coverage: sum(any(row) for row in inside) / len(real),
    }


@pytest.mark.parametrize("seed", range(4))
def test_neighbourhood_metrics_are_what_loops_give(seed):
    real, fake = normal(25, 3, seed=seed), 0.9 * normal(25, 3, seed=seed + 50) + 0.9
    for cls, wanted in neighbourhoods(real, fake, 4).items():
        assert cls(neighbours=4).share(real, fake) == pytest.approx(wanted), cls
        assert 0.0 < wanted < 1.0 or cls is Density


def test_neighbourhood_metrics_tell_quality_from_diversity():
    exact = IMAGES.draws(800, "other")
    narrow, wide = 0.2 * exact, 4.0 * exact
    shares = {
        cls: [cls().measure(x, IMAGES) for x in (exact, narrow, wide)]
        for cls in (Precision, Recall, Density, Coverage)
    }
    for cls in (Precision, Density):  # quality: low for what is far out
        assert shares[cls][2] < 0.5 * shares[cls][0]
        assert shares[cls][1] >= shares[cls][0]
    for cls in (Recall, Coverage):  # diversity: low for what is narrow
        assert shares[cls][1] < 0.5 * shares[cls][0]
    assert shares[Density][0] == pytest.approx(1.0, abs=0.15)
    assert shares[Coverage][0] == pytest.approx(
        1.0 - 2.0**-5, abs=0.05
    )  # Naeem et al., section 3.4


def test_nearest_neighbour_is_a_distance_to_the_shrunken_data():
    sde = VESDE(sigma_min=0.05)
    data = normal(20, 1, 4, 4, seed=1)
    truth = Truth(targets.Empirical(data), sde, sde.eps)
    assert NearestNeighbour().measure(data, truth) < 1e-7
    assert NearestNeighbour().measure(data + 0.01, truth) == pytest.approx(0.01)
    draws = truth.draws(2000)
    sigma = sde.at(sde.eps).sigma
    assert NearestNeighbour().measure(draws, truth) == pytest.approx(sigma, rel=0.05)


# Own data


def own(shape):
    """Two uneven clumps, as a user's data may be, under VE, which has sigma(eps) = 0.01."""
    x = normal(300, *shape, seed=4) * 0.3
    x[:100] += 2.0
    return Truth(targets.Empirical(x), VESDE(sigma_max=20.0), 1e-5)


def spoiled(truth, n=1000):
    """Exact draws, draws of a fair sampler, and what has collapsed in four ways."""
    x = truth.draws(n, "mine")
    data = truth.target.means
    tiny = 0.01 * normal(n, *data.shape[1:], seed=9)
    return {
        "exact": x,
        "fair": x + 0.1 * normal(n, *data.shape[1:], seed=5),
        "one point": data[:1] + tiny,
        "three points": data[torch.arange(n) % 3] + tiny,
        "one clump": data[:100][torch.arange(n) % 100] + tiny,
        "the mean": data.mean(0, keepdim=True) + tiny,
    }


@pytest.mark.parametrize("shape", [(2,), (10,), (1, 4, 4), (4, 3, 3)])
def test_what_has_collapsed_ranks_last_on_own_data(shape):
    """By the metric that ranks, and by those of diversity; by the nearest neighbour it is best."""
    truth = own(shape)
    (first, ranks), *_ = metrics_of(None, truth.target)
    assert first == ("frechet" if shape == (1, 4, 4) else "sliced-w2")
    for each in (ranks, Recall(), Coverage()):
        sign = -1.0 if each.higher_is_better else 1.0
        values = {name: sign * each.measure(x, truth) for name, x in spoiled(truth).items()}
        collapsed = sorted(values.values())[2:]
        assert max(values.pop("exact"), values.pop("fair")) < min(collapsed), each
        assert sorted(values.values()) == collapsed
    nearest = {name: NearestNeighbour().measure(x, truth) for name, x in spoiled(truth).items()}
    assert nearest["one point"] < nearest["fair"]


def test_own_data_are_measured_at_time_0_as_well():
    truth = replace(own((2,)), t=0.0)
    x = truth.draws(200, "mine")
    for name, each in metrics_of(None, truth.target):
        assert math.isfinite(each.measure(x, truth)), name


# Features of one's own


def corners(x):
    """Two features of an image of 2 by 3."""
    return torch.stack((x[:, 0, 0, 0], 2.0 * x[:, 0, 1, 2]), dim=1)


def test_frechet_distance_of_one_feature_is_that_of_two_numbers():
    x, other = normal(300, 1, seed=3), 2.0 * normal(200, 1, seed=4) + 1.0
    wanted = (x.mean() - other.mean()) ** 2 + (x.std() - other.std()) ** 2
    assert frechet(x, moments(other)) == pytest.approx(float(wanted))


def test_frechet_distance_of_given_features_is_that_of_their_moments():
    data = targets.Empirical(normal(700, 1, 2, 3, seed=3) + 1.0)
    truth = replace(IMAGES, target=data, t=0.0)
    x = 2.0 * normal(900, 1, 2, 3, seed=4)
    one, other = (corners(each).double() for each in (x, data.means))
    wanted = bures_wasserstein(one.mean(0), one.T.cov(), (other.mean(0), other.T.cov())) ** 2
    metric = FeatureFrechet(corners, "corners")
    assert metric.measure(x, truth) == pytest.approx(wanted, rel=1e-5)
    assert metric.measure(data.means, truth) == pytest.approx(0.0, abs=1e-9)
    assert metric.measure(x, replace(truth, seed=7)) == metric.measure(x, truth)
    assert repr(metric) == "FeatureFrechet(corners)"


def test_features_of_laws_and_of_late_times_are_those_of_exact_draws():
    metric = FeatureFrechet(corners)
    x = IMAGES.draws(5000, "mine")
    assert metric.measure(x, IMAGES) < 0.1
    data = targets.Empirical(torch.zeros(3, 1, 2, 3))
    late = Truth(data, VP, VP.T)
    assert metric.measure(late.draws(5000, "mine"), late) < 0.05


@pytest.mark.parametrize(
    ("features", "words"),
    [
        (lambda x: x, "latten"),
        (lambda x: x.flatten(1)[:3], "(5, F)"),
        (lambda x: x.flatten(1).numpy(), "ndarray"),
        (lambda x: x.flatten(1) / 0.0, "not finite"),
    ],
)
def test_features_of_another_shape_are_refused(features, words):
    with pytest.raises(ArgumentError, match="features") as caught:
        FeatureFrechet(features).measure(IMAGES.draws(5), IMAGES)
    assert words in str(caught.value)
