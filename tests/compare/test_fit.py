"""Data that a network does not know are told of before a comparison, or a race, runs."""

from __future__ import annotations

import re

import pytest
import torch

from sdeplug import (
    EDMSDE,
    VPSDE,
    Chunked,
    FromDenoiser,
    FromNoise,
    FromScore,
    FromVelocity,
    Labelled,
    LogSigmaLabel,
    LogSNRLabel,
    ReverseSDE,
    SharedNoise,
    SigmaLabel,
    TimeLabel,
    networks,
    solver,
    targets,
    tune,
)
from sdeplug.compare import OnData, compare
from sdeplug.compare.fit import misread, warn_unless_fitting
from sdeplug.networks import Preconditioned
from sdeplug.tuning import Race

RING = targets.eight_gaussians()
SQUARE = targets.Gaussian([0.5, -1.0], [[1.0, 0.3], [0.3, 0.5]])
ROWS = RING.sample(200, noise=SharedNoise(0)).float()
SDE = VPSDE()
EXACT = RING.score(SDE)


@pytest.mark.parametrize("law", [RING, SQUARE], ids=["ring", "gaussian"])
@pytest.mark.parametrize("sde", [SDE, EDMSDE(), EDMSDE(eps=1.0)], ids=["vp", "edm", "late"])
def test_nothing_is_told_of_data_that_the_score_is_of(law, sde):
    few = law.sample(32, noise=SharedNoise(1)).float()
    warn_unless_fitting(ReverseSDE(sde, law.score(sde)), few)


def of_other_times(x, t):
    return EXACT(x, t.square()) * (SDE.sigma(t.square()) / SDE.sigma(t))[:, None]


@pytest.mark.parametrize(
    ("score", "rows"),
    [
        (EXACT, 4.0 * ROWS),
        (EXACT, 0.5 * ROWS),
        (EXACT, ROWS + 1.0),
        (FromNoise(EXACT, SDE), ROWS),
        (of_other_times, ROWS),
    ],
    ids=["larger", "smaller", "moved", "other sign", "other times"],
)
def test_what_is_worse_than_mean_and_spread_is_told(score, rows):
    with pytest.warns(UserWarning, match=r"are they in its units.*diagnose\(reverse, data\)"):
        warn_unless_fitting(ReverseSDE(SDE, score), rows)


def changed(factor, low, high):
    """The exact score times a number where the noise is in a range, in spreads of the data."""
    spread = float(ROWS.var(0).mean().sqrt())

    def score(x, t):
        ratio = SDE.sigma(t) / SDE.log_alpha(t).exp() / spread
        return EXACT(x, t) * torch.where((ratio > low) & (ratio < high), factor, 1.0)[:, None]

    return ReverseSDE(SDE, score)


@pytest.mark.parametrize(("low", "high"), [(0.8, 2.0), (0.0, 0.8)], ids=["in more", "in less"])
def test_one_level_alone_tells_nothing(low, high):
    """What is wrong at one of two may be what the network has learned little of."""
    warn_unless_fitting(changed(-1.0, low, high), ROWS)


def test_in_much_noise_the_noise_is_seen_by_any_network():
    warn_unless_fitting(changed(0.6, 2.0, 99.0), ROWS)
    with pytest.warns(UserWarning, match="are they in its units"):
        warn_unless_fitting(changed(0.3, 2.0, 99.0), ROWS)


def trained_with(label):
    """A perfect network of the noise that is told the time by a label."""
    times = torch.linspace(SDE.eps, SDE.T, 20001, dtype=torch.float64)
    labels, order = label(SDE, times).sort()

    def network(x, told):
        t = times[order[torch.searchsorted(labels, told.double()).clamp(max=len(times) - 1)]]
        return -SDE.sigma(t)[:, None].float() * EXACT(x, t.float())

    return network


LABELS = [TimeLabel(999), SigmaLabel(), LogSigmaLabel(0.25), LogSNRLabel()]


@pytest.mark.parametrize("label", LABELS, ids=repr)
def test_the_label_of_its_training_is_named(label):
    network, named = trained_with(label), f"predicts=FromNoise, labels={label!r})"
    right = networks.from_module(network, SDE, predicts=FromNoise, labels=label)
    warn_unless_fitting(ReverseSDE(SDE, right.score), ROWS)

    def of_few(x, t):
        assert len(x) <= 16
        return network(x, t)

    for score in (
        FromNoise(network, SDE),
        Chunked(FromNoise(of_few, SDE), 16),
        FromNoise(Labelled(network, SDE, LogSigmaLabel()), SDE),
    ):
        with pytest.warns(UserWarning, match=re.escape(named)):
            warn_unless_fitting(ReverseSDE(SDE, score), ROWS)


@pytest.mark.parametrize("predicts", [FromScore, FromDenoiser, FromVelocity])
def test_what_it_predicts_is_named(predicts):
    label = TimeLabel(999)
    model = networks.from_module(trained_with(label), SDE, predicts=predicts, labels=label)
    with pytest.warns(UserWarning, match=re.escape(f"predicts=FromNoise, labels={label!r})")):
        warn_unless_fitting(ReverseSDE(SDE, model.score), ROWS)


def test_what_is_wrong_in_much_noise_alone_is_no_other_reading():
    """As v it would see more of that noise, and less of all other."""
    line = targets.Gaussian(torch.zeros(8), factor=torch.full((8, 1), 0.7), std=0.01)
    exact, rows = line.score(SDE), line.sample(64, noise=SharedNoise(0)).float()

    def network(x, t):
        sigma = SDE.sigma(t)[:, None]
        return -sigma * exact(x, t) + 3.0 * (sigma > 0.9)

    assert misread(ReverseSDE(SDE, FromNoise(network, SDE)), rows, 0.7) == ""


@pytest.mark.parametrize("predicts", [FromNoise, FromScore, FromDenoiser, FromVelocity])
def test_of_a_network_that_is_not_trained_no_other_reading_is_better(predicts):
    """The flow of a network that answers 0 is that of a Gaussian, and better than no score."""
    for sde in (SDE, EDMSDE()):
        untrained = predicts(lambda x, t: 0.01 * x, sde)
        assert misread(ReverseSDE(sde, untrained), ROWS, 0.7) == ""


def test_its_scaling_is_kept():
    """A network F of EDM that is told another label is asked otherwise as the same F."""
    sde, spread = EDMSDE(), float(ROWS.var(0).mean().sqrt())
    exact = RING.score(sde)

    def raw(x, label):
        sigma = (4.0 * label).exp()[:, None]
        norm = (sigma.square() + spread**2).sqrt()
        y = x * norm
        denoised = y + sigma.square() * exact(y, sigma[:, 0])
        return (denoised - spread**2 / norm.square() * y) * norm / (sigma * spread)

    right = FromDenoiser(Preconditioned(raw, sde, spread, LogSigmaLabel(0.25)), sde)
    wrong = FromDenoiser(Preconditioned(raw, sde, spread, LogSigmaLabel()), sde)
    warn_unless_fitting(ReverseSDE(sde, right), ROWS)
    with pytest.warns(UserWarning, match=r"labels=LogSigmaLabel\(scale=0.25\)"):
        warn_unless_fitting(ReverseSDE(sde, wrong), ROWS)


def test_equal_rows_have_no_spread_to_be_told_of():
    warn_unless_fitting(ReverseSDE(SDE, EXACT), torch.ones(40, 2))


def compared(rows):
    model = networks.from_module(EXACT, SDE, predicts=FromScore, labels=TimeLabel())
    compare({"ddim": solver("ddim")}, OnData(model, rows), nfe=3, seeds=1, samples=8)


def tuned(rows):
    race, candidates = Race(samples=32, rounds=1), {"ddim": solver("ddim")}
    tune(ReverseSDE(SDE, EXACT), rows, 3, candidates=candidates, race=race)


@pytest.mark.parametrize("run", [compared, tuned])
def test_who_takes_data_looks(run):
    with pytest.warns(UserWarning, match="are they in its units"):
        run(0.4 * ROWS)
    run(ROWS)
