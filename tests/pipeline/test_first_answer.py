"""What a network says where a run begins tells whether it is told the time as in its training."""

from __future__ import annotations

import re

import pytest
import torch

from sdeplug import (
    EDMSDE,
    VESDE,
    VPSDE,
    Bound,
    FromDenoiser,
    FromNoise,
    FromScore,
    Labelled,
    LevelLabel,
    LogSNR,
    OnGrid,
    ReverseSDE,
    SharedNoise,
    SigmaLabel,
    TabulatedSDE,
    TimeLabel,
    calibrate,
    sample,
    solver,
    targets,
)
from sdeplug.tuning import Fitting

VP = VPSDE()
LEVELS = TabulatedSDE(betas=tuple(torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64).tolist()))
LAW = targets.Gaussian(torch.zeros(8), 0.3 * torch.eye(8))
STEPS = OnGrid(solver("euler-maruyama"), LogSNR(4))
BY = {"auto": solver("auto", nfe=5), "steps": STEPS, "heun": OnGrid(solver("heun"), LogSNR(2))}


class Trained:
    """A perfect network of the noise that is told the time by a label; it counts its calls."""

    def __init__(self, sde, label):
        self.sde, self.exact, self.calls = sde, LAW.score(sde), 0
        self.times = torch.linspace(sde.eps, sde.T, 4001, dtype=torch.float64)
        self.labels = label(sde, self.times)

    def __call__(self, x, told):
        self.calls += 1
        place = torch.searchsorted(self.labels, told.double()).clamp(max=4000)
        t = self.times[place].to(x.dtype)
        return -self.sde.sigma(t.double()).to(x.dtype)[:, None] * self.exact(x, t)


def drawn(score, by=STEPS, sde=VP, **start):
    shape = {} if "x" in start else {"shape": (20, 8)}
    return sample(ReverseSDE(sde, score), by=by, **shape, **start)


def warned(match):
    return pytest.warns(UserWarning, match=match)


@pytest.mark.parametrize("by", BY.values(), ids=BY)
def test_a_network_of_levels_that_is_told_t_is_seen(by):
    for sde, label in ((VP, TimeLabel(999)), (LEVELS, LevelLabel())):
        network = Trained(sde, label)
        named = re.escape(f"predicts=FromNoise, labels={label!r}) it is off by")
        with warned(f"in noise alone, at t = .*{named}"):
            found = drawn(FromNoise(network, sde), by, sde)
        assert found.nfe < network.calls


@pytest.mark.parametrize("by", BY.values(), ids=BY)
@pytest.mark.parametrize("label", [TimeLabel(999), SigmaLabel()], ids=repr)
@pytest.mark.parametrize("sde", [VP, EDMSDE(), VESDE()], ids=["vp", "edm", "ve"])
def test_a_network_that_is_told_what_it_knows_is_asked_nothing_more(sde, label, by):
    network = Trained(sde, label)
    found = drawn(FromNoise(Labelled(network, sde, label), sde), by, sde)
    assert network.calls == found.nfe


def test_a_run_that_begins_among_data_asks_nothing_more():
    network = Trained(VP, TimeLabel(999))
    score = FromNoise(Labelled(network, VP, TimeLabel(999)), VP)
    x = VP.at(0.1).sigma * SharedNoise(0).normal(torch.zeros(20, 8))
    assert drawn(score, x=x, t=0.1).nfe == network.calls


def test_a_few_rows_of_the_default_are_enough():
    with warned("in noise alone"):
        sample(ReverseSDE(VP, FromNoise(Trained(VP, TimeLabel(999)), VP)), (8, 8), BY["auto"])


def test_it_is_seen_through_what_is_around_it():
    def conditional(x, t, shift):
        assert len(shift) == len(x)
        return network(x, t)

    network = Trained(VP, TimeLabel(999))
    score = FromNoise(Bound(conditional, shift=torch.zeros(20)), VP)
    with warned("it is off by"):
        drawn(score)
    with warned("it is off by"):
        drawn(FromNoise(network, VP), dtype=torch.bfloat16)


@pytest.mark.parametrize("predicts", [FromNoise, FromScore], ids=lambda each: each.__name__)
def test_what_no_label_mends_is_asked(predicts):
    score = predicts(lambda x, t: -x if predicts is FromNoise else x, VP)
    with warned(r"Is it told the time .* predict what is said\? .*diagnose\(reverse, data\)"):
        drawn(score)


@pytest.mark.parametrize("factor", [0.0, 0.3, 0.7], ids=["untrained", "hardly", "little"])
def test_a_network_that_has_hardly_been_trained_is_none_of_these(factor):
    drawn(FromNoise(lambda x, t: factor * x, VP))


def test_a_score_that_is_no_network_is_not_looked_at():
    drawn(lambda x, t: x)
    drawn(FromDenoiser(lambda x, t: 0.0 * x, VP))
    drawn(FromNoise(Exact(), VP))


class Exact:
    """It says of itself that it is exact."""

    error = 0.0

    def __call__(self, x, t):
        return -x


@pytest.mark.parametrize("t", [0.3, 1.0])
def test_states_that_are_not_noise_tell_nothing(t):
    wrong = FromNoise(lambda x, t: -x, VP)
    drawn(wrong, x=3.0 * SharedNoise(0).normal(torch.zeros(20, 8)), t=t)


def test_calibrate_looks_too():
    network = Trained(VP, TimeLabel(999))
    few = Fitting(fine=20, rounds=0)
    right = FromNoise(Labelled(network, VP, TimeLabel(999)), VP)
    calibrate(ReverseSDE(VP, right), 4, (20, 8), fitting=few)
    with warned("it is off by"):
        calibrate(ReverseSDE(VP, FromNoise(network, VP)), 4, (20, 8), fitting=few)


def test_it_is_the_line_that_asked_for_samples_which_is_warned_of():
    with warned("in noise alone") as told:
        drawn(FromNoise(Trained(VP, TimeLabel(999)), VP))
    assert told[0].filename == __file__
