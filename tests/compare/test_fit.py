"""Data that a network does not know are told of before a comparison, or a race, runs."""

from __future__ import annotations

import pytest
import torch

from sdeplug import (
    EDMSDE,
    VPSDE,
    FromNoise,
    ReverseSDE,
    SharedNoise,
    networks,
    solver,
    targets,
    tune,
)
from sdeplug.compare import OnData, compare
from sdeplug.compare.fit import warn_unless_fitting
from sdeplug.score import FromScore, TimeLabel
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
    return -SDE.sigma(t)[:, None] * EXACT(x, t.square())


@pytest.mark.parametrize(
    ("score", "rows"),
    [
        (EXACT, 4.0 * ROWS),
        (EXACT, 0.5 * ROWS),
        (EXACT, ROWS + 1.0),
        (FromNoise(EXACT, SDE), ROWS),
        (FromNoise(of_other_times, SDE), ROWS),
    ],
    ids=["larger", "smaller", "moved", "other sign", "other times"],
)
def test_what_is_worse_than_mean_and_spread_is_told(score, rows):
    with pytest.warns(UserWarning, match=r"are they in its units.*diagnose\(reverse, data\)"):
        warn_unless_fitting(ReverseSDE(SDE, score), rows)


@pytest.mark.parametrize("sign", [-1.0, 1.0], ids=["in more noise", "in less"])
def test_one_level_alone_tells_nothing(sign):
    """What is wrong at one of two may be what the network has learned little of."""
    between = 0.8 * float(ROWS.var(0).mean().sqrt())

    def score(x, t):
        more = SDE.sigma(t) > between * SDE.log_alpha(t).exp()
        return EXACT(x, t) * torch.where(more, sign, -sign)[:, None]

    warn_unless_fitting(ReverseSDE(SDE, score), ROWS)


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
