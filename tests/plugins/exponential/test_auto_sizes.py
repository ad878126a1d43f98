"""``auto``: the size of the data, found by one evaluation, and what is refused."""

from __future__ import annotations

import math

import pytest
import torch
from common import Cubic, GaussianScore, normal
from exponential.unknown import BUDGETS, Unknown, loud

from sdeplug import (
    EDMSDE,
    VESDE,
    VPSDE,
    ArgumentError,
    Bound,
    Counted,
    FromNoise,
    PairingError,
    ReverseSDE,
    sample,
)
from sdeplug.targets import GaussianMixture
from sdeplug_exponential import Auto

close = torch.testing.assert_close


def mixture(std):
    """Three modes off the origin, of a standard deviation around their mean."""
    means = torch.tensor([[-1.0, 0.0], [0.6, 0.9], [1.0, -1.0]], dtype=torch.float64) * std
    weights = torch.tensor([0.25, 0.5, 0.25], dtype=torch.float64)
    mean = weights @ means
    between = (weights @ (means - mean).square()).mean()
    own = 0.3 * std
    found = math.sqrt(float(between) + own**2)
    shift = torch.tensor([2.0, -1.0], dtype=torch.float64) * std
    return GaussianMixture(weights.tolist(), means + shift, std=own), mean + shift, found


def straight(std):
    mean = torch.tensor([0.5, -1.0], dtype=torch.float64) * std
    return GaussianMixture((1.0,), mean[None], std=std), mean, std


@pytest.mark.parametrize("sde", [VPSDE(), VESDE(), EDMSDE()], ids=["vp", "ve", "edm"])
@pytest.mark.parametrize("std", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("law", [straight, mixture])
@pytest.mark.parametrize("rows", [100, 2000])
def test_the_size_of_the_data_is_found_by_one_evaluation(sde, std, law, rows):
    target, mean, true = law(std)
    counted = Counted(Unknown(target.score(sde)))
    scale = Auto(10).choice(ReverseSDE(sde, counted), torch.zeros(rows, 2)).scale
    assert scale.std == pytest.approx(true, rel=0.1)
    assert float((scale.mean - mean).abs().max()) < 0.1 * true
    assert counted.nfe == 1


@pytest.mark.parametrize("sde", [VPSDE(), VESDE(), EDMSDE()])
@pytest.mark.parametrize("left", [0.02, 0.2])
def test_the_size_is_found_by_a_network_that_leaves_some_of_every_noise(sde, left):
    """As one does that has hardly been trained: its slopes stay at that, and do not fall."""
    data, mean, true = straight(0.7)

    def score(x, t):
        return data.score(sde)(x, t) + left * x / sde.sigma(t)[:, None].square()

    scale = Auto(10).choice(ReverseSDE(sde, score), torch.zeros(512, 2)).scale
    assert scale.std == pytest.approx(true, rel=1 / 3)
    assert float((scale.mean - mean).abs().max()) < 0.2 * true


def test_a_network_that_makes_as_much_of_all_noise_tells_no_size():
    sde = VPSDE()

    def score(x, t):
        return -0.6 * x / sde.sigma(t)[:, None].square()

    choice = Auto(10).choice(ReverseSDE(sde, score), torch.zeros(512, 2))
    assert choice.scale.std == 1.0
    assert "makes as little of all noise" in str(choice)


def test_a_larger_batch_finds_the_same():
    """Samples then do not depend on it, and neither does one whose score has rows of its own."""
    sde = VPSDE()
    target, _, _ = mixture(0.3)
    reverse = ReverseSDE(sde, Unknown(target.score(sde)))
    small, large = (Auto(10).choice(reverse, torch.zeros(n, 2)).scale for n in (4096, 4500))
    assert small.std == pytest.approx(large.std, rel=1e-9)
    few, many = ([*range(n)] for n in (4096, 4100))
    by, shape = Auto(6), (2,)
    one, other = (sample(reverse, (len(ids), *shape), by, seed=ids).x for ids in (few, many))
    close(other[: len(few)], one, rtol=1e-4, atol=1e-5)


def test_what_is_held_for_each_row_is_asked_for_whole_batches():
    seen = []

    def network(x, t, labels):
        seen.append((len(x), len(labels)))
        return x * 0.9

    sde = VPSDE()
    labels = torch.arange(70)
    sample(ReverseSDE(sde, FromNoise(Bound(network, labels=labels), sde)), (70, 2), Auto(4))
    hidden = FromNoise(lambda x, t: network(x, t, labels), sde)
    sample(ReverseSDE(sde, hidden), (70, 2), Auto(4))
    assert set(seen) == {(70, 70)}


def test_too_few_numbers_tell_nothing():
    reverse = ReverseSDE(VPSDE(), Unknown(GaussianScore(VPSDE())))
    choice = Auto(10).choice(reverse, torch.zeros(3, 2))
    assert (choice.scale.std, choice.scale.evaluations) == (1.0, 0)
    assert "3 x 2 numbers are too few" in str(choice)


@pytest.mark.parametrize("sde", [VPSDE(), VESDE(), EDMSDE()], ids=["vp", "ve", "edm"])
@pytest.mark.parametrize("nfe", BUDGETS)
@pytest.mark.parametrize("known", [{}, {"score_error": 0.0}, {"data_std": 0.5}])
def test_a_budget_is_spent_and_not_more(sde, nfe, known):
    reverse = ReverseSDE(sde, Unknown(GaussianScore(sde)))
    assert sample(reverse, (64, 2), Auto(nfe, **known), dtype=torch.float64).nfe == nfe + (
        sde.eps > 0.0
    )
    counted = Counted(GaussianScore(sde))
    by = Auto(nfe, **known)
    by.integrate(ReverseSDE(sde, counted), normal(2, 2), sde.T, max(sde.eps, 0.01), loud())
    assert counted.nfe == nfe


def test_what_was_picked_is_printed_and_kept():
    sde = VPSDE()
    target, _, true = mixture(0.3)
    exact = target.score(sde)
    known, network = (sample(ReverseSDE(sde, each), (64, 2)) for each in (exact, Unknown(exact)))
    assert known.notes == (str(Auto().choice(ReverseSDE(sde, exact))),)
    assert "with an exact score" in known.notes[0]
    looked = Auto().choice(ReverseSDE(sde, Unknown(exact)), torch.zeros(64, 2))
    assert network.notes == (str(looked),)
    assert looked.scale.std == pytest.approx(true, rel=0.1)
    steps = f"Focus(steps=32, low={looked.grid.low:.3g}, high={looked.grid.high:.3g})"
    for part in (repr(looked.solver), steps, f"{looked.scale.std:.3g}, found"):
        assert part in network.notes[0]


def test_the_law_is_right_where_the_size_was_found():
    """The first step, which asks nobody, spoils no moment: many steps give those of the data."""
    sde = VPSDE()
    target, mean, true = straight(0.3)
    x = sample(ReverseSDE(sde, Unknown(target.score(sde))), (4000, 2), Auto(40), seed=1).x.double()
    assert float((x.mean(0) - mean).abs().max()) < 4.0 * true / math.sqrt(4000)
    assert float(x.std(0).div(true).sub(1.0).abs().max()) < 4.0 / math.sqrt(8000) + 0.002


def test_a_run_from_the_middle_asks_inside_its_span():
    times = []

    def score(x, t):
        times.append(t)
        return -x

    sde = VPSDE()
    run = sample(ReverseSDE(sde, score), x=normal(64, 2), t=0.4, by=Auto(6))
    assert run.nfe == len(times) == 7  # no step is free there
    assert max(float(t.max()) for t in times) <= 0.4
    assert min(float(t.min()) for t in times) >= sde.eps


# What is refused


def test_auto_needs_a_linear_sde():
    with pytest.raises(PairingError, match="LinearSDE"):
        Auto().choice(Cubic())


@pytest.mark.parametrize("name", ["score_error", "data_std"])
@pytest.mark.parametrize("value", [-0.1, math.nan])
def test_sizes_that_cannot_be_are_refused(name, value):
    with pytest.raises(ArgumentError, match=name):
        Auto(**{name: value})


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_a_score_that_says_nonsense_of_itself_is_refused_before_the_run(value):
    score = Unknown(GaussianScore(VPSDE()))
    score.error = value
    with pytest.raises(ArgumentError, match=r"score_model.error = .*: must be a finite number"):
        sample(ReverseSDE(VPSDE(), score), (64, 2))
