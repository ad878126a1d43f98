"""``auto``: its policy for exact scores and for others, and the size of the data that it finds."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from common import Cubic, GaussianScore, normal

from sdeplug import (
    EDMSDE,
    VESDE,
    VPSDE,
    ArgumentError,
    Bound,
    Counted,
    FromNoise,
    LogSNR,
    OnGrid,
    PairingError,
    ReverseSDE,
    Run,
    SharedNoise,
    sample,
    solver,
    targets,
)
from sdeplug.compare import PerturbedScore
from sdeplug.targets import GaussianMixture
from sdeplug.testing import exact_spectrum, marginal_law, relative_error
from sdeplug.testing.bench import gaussian, gaussian_score
from sdeplug_exponential import POLICY, Adams, Auto

close = torch.testing.assert_close
BUDGETS = (1, 2, 6, 32)


class Unknown:
    """A score model that says nothing of itself."""

    def __init__(self, model):
        self.model = model

    def __call__(self, x, t):
        return self.model(x, t)


def loud():
    return Run(SharedNoise(0))


def error(by, sde, level=1.0):
    """Root mean square relative error of the exact law at eps."""
    return float(widths(by, sde, 1.0, level).square().mean().sqrt())


def widths(by, sde, scale, level=1.0):
    """Relative errors of the standard deviations at eps, for data of some size."""
    spectrum = tuple(each * scale**2 for each in (1e-4, 0.01, 0.25, 1.0, 4.0))
    reverse = ReverseSDE(sde, gaussian_score(sde, spectrum), level)
    start, end = (marginal_law(gaussian(spectrum), sde, t) for t in (sde.T, sde.eps))
    law = exact_spectrum(lambda x, run: by.integrate(reverse, x, sde.T, sde.eps, run), start)
    return relative_error(law, end).reshape(2, -1)[0]


# The policy


def test_the_policy_covers_every_budget():
    for wrong, quiet in product((False, True, None), (False, True)):
        rows = [row for row in POLICY if row.fits(1, wrong, quiet)]
        assert [row.most for row in rows] == sorted(row.most for row in rows)
        assert rows[-1].most == math.inf


def test_the_score_decides_unless_the_option_does():
    """A score that says nothing is that of a network; only 0 is exact."""
    sde = VPSDE()
    exact = GaussianMixture((1.0,), torch.zeros(1, 2), std=1.0).score(sde)
    for nfe in BUDGETS:
        for score, option, wrong in (
            (exact, None, False),
            (Unknown(exact), None, None),
            (PerturbedScore(exact, sde), None, True),
            (exact, 0.1, True),
            (Unknown(exact), 0.0, False),
        ):
            choice = Auto(nfe, option).choice(ReverseSDE(sde, score))
            assert choice.row.wrong is wrong
            quiet = Auto(nfe, option).choice(ReverseSDE(sde, score, 0.0)).row
            for row, still in ((choice.row, False), (quiet, True)):
                assert row is next(each for each in POLICY if each.fits(nfe, wrong, still))
                assert row.quiet in (None, still)
        assert Auto(nfe).choice(sde).row.wrong is None


def test_auto_promises_what_it_picks():
    for nfe in BUDGETS:
        for by in (Auto(nfe), Auto(nfe, 0.0), Auto(nfe, 0.1)):
            choice = by.choice(VPSDE())
            assert by.claims.order == choice.claims.order == choice.solver.claims.order
            assert by.claims.stochastic == choice.claims.stochastic
            assert by.claims.evaluations == choice.claims.evaluations == nfe
            assert by.claims.steps == "nfe"


@pytest.mark.parametrize("sde", [VPSDE(), VESDE()])
@pytest.mark.parametrize(("nfe", "limit"), [(8, 0.04), (16, 2e-3), (32, 1e-4), (64, 2e-5)])
def test_auto_is_more_accurate_than_named_solvers_of_its_family(sde, nfe, limit):
    auto = error(Auto(nfe, 0.0), sde)
    assert auto < limit
    for name in ("ddim", "dpmpp-2m", "dpmpp-3m", "unipc"):
        assert auto < error(OnGrid(solver(f"exponential/{name}"), LogSNR(nfe)), sde)


@pytest.mark.parametrize("sde", [VPSDE(), VESDE()], ids=["vp", "ve"])
def test_more_evaluations_come_nearer_to_the_flow_of_a_network(sde):
    """No line of the policy is worse than the one before it, where the one ends."""
    reverse = ReverseSDE(sde, Unknown(targets.eight_gaussians().score(sde)), 0.0)
    x = sde.prior_std * normal(128, 2)
    flow = sample(reverse, x=x, by=OnGrid(Adams(4, 4), LogSNR(60))).x
    budgets = (4, 5, 7, 9, 11, 15, 24)
    ends = [sample(reverse, x=x, by=Auto(nfe)).x for nfe in budgets]
    errors = [float((end - flow).square().mean().sqrt()) for end in ends]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.1 * errors[0]


def test_auto_scales_the_stochasticity_of_the_reverse_sde():
    sde, x = VPSDE(), normal(5, 2)

    def ends(level):
        reverse = ReverseSDE(sde, GaussianScore(sde), level)
        return Auto(32, 0.1).integrate(reverse, x, 1.0, 1e-3, loud())

    close(ends(0.5), ends(lambda t: 0.5), rtol=1e-12, atol=1e-12)
    assert not torch.allclose(ends(0.5), ends(1.0))
    close(ends(0.0), ends(lambda t: 0.0), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("scale", [0.1, 30.0])
@pytest.mark.parametrize(("nfe", "wrong"), [(8, 0.0), (16, 0.0), (6, 0.1), (16, 0.1)])
def test_auto_knows_the_size_of_the_data(nfe, wrong, scale):
    """In other units data and noise are the same, and so is what they end as."""
    sde = VESDE(0.01 * scale, 50.0 * scale)
    one, other = (
        widths(Auto(nfe, wrong), VESDE(), 1.0),
        widths(Auto(nfe, wrong, data_std=scale), sde, scale),
    )
    close(other, one, rtol=1e-6, atol=1e-9)
    assert (widths(Auto(nfe, wrong), sde, scale) - one).abs().max() > 1e-3


# The size of the data


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
        return x * 0.5

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
