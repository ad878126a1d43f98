"""The battery: false alarms as declared, and defects found."""

from __future__ import annotations

import math
from functools import cache

import pytest
import torch
from scipy import stats
from torch import Tensor

from sdeplug import VPSDE, NoiseSource, SharedNoise
from sdeplug.targets import Empirical, Gaussian, GaussianMixture, eight_gaussians
from sdeplug.testing import law_pvalues
from sdeplug.testing.law import law_pvalues_of_many, specimens

SDE = VPSDE()
FALSE_ALARM = 1e-6  # of each binomial bound below, were its seeds drawn afresh


def exact(target: GaussianMixture, rows: int, seed: int, t: float = 1e-3) -> Tensor:
    noise = SharedNoise(2 * seed)
    return target.sample(rows, noise=noise, t=t, sde=SDE, dtype=torch.float64)


def battery(x: Tensor, target: GaussianMixture, seed: int = 0, t: float = 1e-3, tau: float = 0.0):
    return law_pvalues(x, target, t, SDE, SharedNoise(2 * seed + 1), tau)


def overlapping() -> GaussianMixture:
    """Three modes on top of each other in three dimensions."""
    means = torch.tensor([[0.0, 0.0, 0.0], [0.5, 0.0, 0.2], [-0.2, 0.4, 0.0]])
    factors = torch.diag_embed(torch.tensor([[0.5, 0.2, 0.1], [0.3, 0.3, 0.3], [0.1, 0.5, 0.9]]))
    return GaussianMixture((1, 2, 3), means, factors=factors)


def too_many(alarms: int, trials: int, rate: float) -> bool:

    return bool(stats.binom.sf(alarms - 1, trials, rate) < FALSE_ALARM)


def too_few(alarms: int, trials: int, rate: float) -> bool:

    return bool(stats.binom.cdf(alarms, trials, rate) < FALSE_ALARM)


UNIFORM = ("mean", "mode means", "energy", "covariance", "radius", "halves", "dilation")


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "t"),
    [
        (eight_gaussians(), 1e-3),
        (overlapping(), 0.1),
        (Empirical(((-1.0, 0.5, 0.0), (0.5, 1.0, -1.0))), 0.3),
        (Gaussian((1.0, -1.0), ((1.0, 0.3), (0.3, 0.5))), 1e-3),
    ],
    ids=["separate modes", "overlapping modes", "points", "one mode"],
)
def test_false_alarms_of_each_statistic_are_as_declared(target, t):
    trials = 400
    found = [battery(exact(target, 400, seed, t), target, seed, t) for seed in range(trials)]
    for name in found[0]:
        for rate in (0.1, 0.01):
            alarms = sum(each[name] < rate for each in found)
            assert not too_many(alarms, trials, rate), (name, rate, alarms)
            if name in UNIFORM:
                assert not too_few(alarms, trials, rate), (name, rate, alarms)
    rejected = sum(len(each) * min(each.values()) < 0.01 for each in found)
    assert not too_many(rejected, trials, 0.01)


def test_a_small_number_of_experiments_for_every_day():
    target, trials = overlapping(), 60
    found = [battery(exact(target, 300, seed, 0.1), target, seed, 0.1) for seed in range(trials)]
    for name in found[0]:
        assert not too_many(sum(each[name] < 0.1 for each in found), trials, 0.1), name


def test_the_same_seeds_give_the_same_numbers():
    target = eight_gaussians()
    first, again = (battery(exact(target, 500, 3), target, 3) for _ in range(2))
    assert first == again


def moved(x: Tensor, target: GaussianMixture, defect: str) -> Tensor:
    """Exact samples with a defect."""
    labels = target.responsibilities(x, 1e-3, SDE).argmax(1)
    means = SDE.at(1e-3).alpha * target.means.flatten(1)[labels]
    noise = SharedNoise(77).normal(x)
    match defect:
        case "every mode 5 % too wide in variance":
            return means + math.sqrt(1.05) * (x - means)
        case "the whole 1 % too wide in variance":
            center = target.moments(1e-3, SDE)[0]
            return center + math.sqrt(1.01) * (x - center)
        case "shift":
            return x + 0.01 * math.sqrt(float(target.covariance.trace()))
        case "2 % of the mass in another mode":
            rich, poor = int(target.weights.argmax()), int(target.weights.argmin())
            poor = poor if poor != rich else rich + 1
            move = (labels == rich) & (SharedNoise(5).normal(x[:, 0]) > 1.0)
            other = means - means[labels == rich][0] + means[labels == poor][0]
            return torch.where(move[:, None], x - means + other, x)
        case "a mode is missing":
            away = labels == 0
            return torch.where(away[:, None], x.roll(1, 0) + 1e-9, x)[~(away & away.roll(1, 0))]
        case "neighbours":
            y = (x - means).roll(1, 0)
            return means + math.sqrt(0.99) * (x - means) + 0.1 * y
        case "antithetic halves":
            half = len(x) // 2
            twin = x.clone()
            twin[half:] = means[half:] - (x - means)[:half]
            return twin
        case "duplicates":
            return torch.cat((x[:-1], x[:1]))
        case "uniform in each mode":
            widths = (x - means).std(0) * math.sqrt(12.0)
            return means + widths * (torch.special.ndtr(noise) - 0.5)
        case "one number is infinite":
            return torch.where(torch.arange(len(x))[:, None] == 7, math.inf, x)
    raise AssertionError(defect)


@pytest.mark.parametrize(
    ("defect", "by"),
    [
        ("every mode 5 % too wide in variance", "energy"),
        ("the whole 1 % too wide in variance", "dilation"),
        ("shift", "mean"),
        ("2 % of the mass in another mode", "labels"),
        ("2 % of the mass in another mode", "responsibilities"),
        ("a mode is missing", "labels"),
        ("a mode is missing", "slices"),
        ("neighbours", "neighbours"),
        ("antithetic halves", "halves"),
        ("duplicates", "duplicates"),
        ("uniform in each mode", "coordinates"),
        ("uniform in each mode", "radius"),
        ("one number is infinite", "finite"),
    ],
)
def test_a_defect_is_found_by_the_statistic_that_is_meant_for_it(defect, by):
    target = eight_gaussians()
    assert battery(moved(without_defect(), target, defect), target)[by] < 1e-3


@cache
def without_defect() -> Tensor:
    """Exact samples that pass."""
    target = eight_gaussians()
    x = exact(target, 16384, 1)
    found = battery(x, target)
    assert len(found) * min(found.values()) > 1e-3
    return x


@pytest.mark.parametrize(
    "defect",
    [
        "every mode 5 % too wide in variance",
        "the whole 1 % too wide in variance",
        "2 % of the mass in another mode",
        "neighbours",
        "duplicates",
    ],
)
def test_defects_are_found_in_64_dimensions(defect):
    target = next(each.target for each in specimens() if each.name == "ten in 64 dimensions")
    found = battery(moved(exact(target, 4096, 1), target, defect), target)
    assert len(found) * min(found.values()) < 1e-3


def test_a_bound_lets_errors_inside_it_pass_and_none_far_outside():
    target = eight_gaussians()
    x = exact(target, 8192, 2)
    labels = target.responsibilities(x, 1e-3, SDE).argmax(1)
    means = SDE.at(1e-3).alpha * target.means[labels]
    spread = (x - means).std()
    for factor, shift in ((1.05, 0.0), (0.95, 0.0), (1.0, 0.035)):
        wrong = means + factor * (x - means) + shift * spread
        found = battery(wrong, target)
        assert len(found) * min(found.values()) < 1e-3
        passed = battery(wrong, target, tau=0.05)
        assert len(passed) * min(passed.values()) > 0.01
        worse = means + (1.0 + 4.0 * (factor - 1.0)) * (x - means) + 4.0 * shift * spread
        failed = battery(worse, target, tau=0.05)
        assert len(failed) * min(failed.values()) < 1e-3


def test_statistics_of_a_single_gaussian_leave_out_what_speaks_of_components():
    target = Gaussian((0.0, 0.0), std=1.0)
    found = battery(exact(target, 500, 0), target)
    assert set(found) == {
        "mean", "energy", "covariance", "radius", "coordinates", "neighbours", "halves", "slices",
        "duplicates",
    }  # fmt: skip


def test_rows_that_share_a_number_are_no_duplicates():
    target = eight_gaussians()
    x = exact(target, 400, 1)
    x[7, 0] = x[3, 0]
    assert battery(x, target)["duplicates"] == 1.0
    x[7] = x[3]
    assert battery(x, target)["duplicates"] == 0.0


class Given(NoiseSource):
    """Numbers that are given, one tensor after the other."""

    def __init__(self, *numbers: Tensor):
        self.numbers = iter(numbers)

    def normal(self, like):
        return next(self.numbers).reshape(like.shape)


@pytest.mark.parametrize("number", range(len(specimens())), ids=lambda n: specimens()[n].name)
@pytest.mark.parametrize("tau", [0.0, 0.03])
def test_many_experiments_at_once_are_judged_as_each_by_itself(number, tau):
    target, rows = specimens()[number].target, 120
    x = torch.stack([1.01**k * exact(target, rows, k) for k in range(3)])
    labels = SharedNoise(8).normal(torch.empty(3, rows, dtype=torch.float64))
    directions = SharedNoise(9).normal(torch.empty(8, x[0, 0].numel(), dtype=torch.float64))
    many = law_pvalues_of_many(x, target, 1e-3, SDE, Given(labels, directions), tau)
    for found, rows_of_one, own in zip(many, x, labels, strict=True):
        alone = law_pvalues(rows_of_one, target, 1e-3, SDE, Given(own, directions), tau)
        assert list(found) == list(alone)
        assert list(found.values()) == pytest.approx(list(alone.values()), rel=1e-9, abs=1e-12)


def test_an_experiment_that_is_wrong_is_told_from_its_neighbours():
    target = eight_gaussians()
    x = torch.stack([exact(target, 2000, seed) for seed in range(4)])
    x[1] *= 1.02
    x[2, 7, 0] = math.nan
    found = law_pvalues_of_many(x, target, 1e-3, SDE, SharedNoise(3))
    passed = [len(each) * min(each.values()) > 1e-3 for each in found]
    assert passed == [True, False, False, True]
    assert found[2] == {"finite": 0.0}
    spoilt = torch.full_like(x[:2], math.inf)
    assert law_pvalues_of_many(spoilt, target, 1e-3, SDE, SharedNoise(3)) == 2 * [{"finite": 0.0}]
