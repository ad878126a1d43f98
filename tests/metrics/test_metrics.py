"""Metrics against closed forms, brute force, and what is known of exact draws."""

from __future__ import annotations

import math
import types
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from common import normal
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import brentq

from sdeplug import VESDE, VPSDE, Metric, Truth, hookimpl, targets
from sdeplug.compare.setting import metrics_of
from sdeplug.errors import ArgumentError, PluginWarning
from sdeplug.metrics import (
    BUILTIN,
    BuresWasserstein,
    Coverage,
    Density,
    EnergyDistance,
    FeatureFrechet,
    FrechetDistance,
    ModeMoments,
    ModeWeights,
    NearestNeighbour,
    Precision,
    Recall,
    SlicedW2,
    bures_wasserstein,
    frechet,
    mixture_quantiles,
    moments,
)
from sdeplug.metrics.clouds import _axes
from sdeplug.registry import Registry, metric

VP = VPSDE()
RING = Truth(targets.eight_gaussians(), VP, VP.eps)
PLAIN = Truth(targets.Gaussian([0.5, -1.0], [[1.0, 0.3], [0.3, 0.5]]), VP, VP.eps)


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


# Images


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


# Noise, floors, suiting


@pytest.mark.parametrize("name", BUILTIN)
def test_a_metric_is_a_function_of_samples_and_truth(name):
    cls = BUILTIN[name]
    truth = next(
        t for t in (RING, PLAIN, Truth(targets.digits(), VP, VP.eps)) if cls.suits(t.target)
    )
    x = truth.draws(60, "mine").float()
    before, state = x.clone(), torch.random.get_rng_state()
    first = cls().measure(x, truth)
    again = cls().measure(x.clone(), Truth(truth.target, VPSDE(), truth.t, truth.seed))
    assert type(first) is float
    assert math.isfinite(first)
    assert first == again
    assert torch.equal(x, before)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_draws_depend_on_seed_word_and_time_alone():
    assert torch.equal(RING.draws(5), Truth(targets.eight_gaussians(), VPSDE(), VP.eps).draws(5))
    for other in (RING.draws(5, "floor"), Truth(RING.target, VP, VP.eps, 1).draws(5)):
        assert not torch.equal(RING.draws(5), other)
    late = Truth(RING.target, VP, VP.T).draws(20_000)
    torch.testing.assert_close(late.T.cov(), torch.eye(2).double(), atol=0.05, rtol=0.0)


@pytest.mark.parametrize(
    ("target", "names"),
    [
        (targets.eight_gaussians(), {"sliced-w2", "mode-weights", "mode-moments"}),
        (PLAIN.target, {"bures-wasserstein", "sliced-w2"}),
        (
            targets.Empirical(torch.zeros(3, 1, 4, 4)),
            {"frechet", "nearest-neighbour", "precision", "recall", "density", "coverage"},
        ),
        (
            targets.Empirical(torch.zeros(3, 2)),
            {"sliced-w2", "nearest-neighbour", "precision", "recall", "density", "coverage"},
        ),
    ],
)
def test_metrics_know_their_targets(target, names):
    found = {name for name, cls in BUILTIN.items() if cls.suits(target)}
    assert found == names | {"energy-distance"}


# The hook


@dataclass(frozen=True)
class Mean(Metric):
    power: float = 1.0

    def measure(self, x, truth):
        return float((x.double().mean(0) - truth.moments()[0]).abs().sum()) ** self.power


def offering(**metrics: object) -> types.SimpleNamespace:
    return types.SimpleNamespace(sdeplug_metrics=hookimpl(lambda: metrics))


def test_a_plugin_can_offer_a_metric():
    registry = Registry()
    registry.register(offering(mean=Mean), "mine")
    assert registry.find("metrics", "mean").obj is Mean
    assert set(registry.metrics()) == {"mine/mean", *(f"core/{name}" for name in BUILTIN)}
    assert registry.name_of(Mean) == "mine/mean"


def test_a_metric_of_a_plugin_is_checked():
    class Loose(Metric):
        def measure(self, x, truth):
            return 0.0

    registry = Registry((), {})
    with pytest.raises(Exception, match="frozen dataclass"):
        registry.register(offering(loose=Loose), "mine")
    with pytest.raises(Exception, match="derives from Metric"):
        registry.register(offering(loose=VPSDE), "mine")


def test_a_metric_is_built_by_name_with_options():
    assert metric("sliced-w2", directions=5) == SlicedW2(directions=5)
    with pytest.raises(ArgumentError, match="at least 1"):
        metric("core/sliced-w2", directions=0)
    assert PluginWarning  # a metric that does not work is left out like any other entry


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
