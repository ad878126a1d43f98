"""The exponential multistep family: what is remembered, and what follows from it."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from common import GaussianScore, normal
from exponential.family import NOISY, QUIET, Levels, bent

from sdeplug import (
    VPSDE,
    ArgumentError,
    At,
    Corrected,
    Corrector,
    LogSNR,
    OnGrid,
    ReverseSDE,
    Run,
    SharedNoise,
)
from sdeplug_exponential import (
    DDIM,
    DEIS,
    ERSDE,
    SDEDPM,
    Adams,
    DPMpp2M,
    DPMpp2MSDE,
    DPMpp3M,
    SASolver,
    UniPC,
)

close = torch.testing.assert_close
FLOWS = [DDIM(), DEIS(), DPMpp2M(), DPMpp3M(), UniPC(2), UniPC(3)]


# Memory


class Nudge(Corrector):
    def correct(self, reverse, x, t, run):
        return x + 0.01 if t < 0.5 else x


@pytest.mark.parametrize("by", [Adams(3, 3), UniPC(3), DPMpp2M(), ERSDE()])
def test_it_starts_afresh_when_the_state_was_moved(by):
    sde = VPSDE()
    reverse = ReverseSDE(sde, GaussianScore(sde), 0.0)
    times, x = (0.9, 0.8, 0.72, 0.66, 0.6, 0.55, 0.45, 0.4, 0.3), normal(3, 2)
    got = OnGrid(Corrected(by, Nudge()), At(times[1:-1])).integrate(reverse, x, 0.9, 0.3, QUIET)
    manual = OnGrid(by, At(times[1:6])).integrate(reverse, x, 0.9, 0.45, QUIET) + 0.01
    for late, early in pairwise(times[6:]):
        manual = by.integrate(reverse, manual, late, early, QUIET) + 0.01
    close(got, manual, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("by", [*FLOWS, Adams(), DPMpp2MSDE(), SASolver(), ERSDE()])
def test_one_evaluation_a_step_and_the_memory_ends_with_the_run(by):
    sde, calls = VPSDE(), []

    def score(x, t):
        calls.append(float(t[0]))
        return -x

    onto, x = OnGrid(by, At((0.8, 0.7, 0.6, 0.5))), normal(2, 2)
    first = onto.integrate(ReverseSDE(sde, score, 0.0), x, 0.9, 0.4, QUIET)
    assert calls == [0.9, 0.8, 0.7, 0.6, 0.5]
    assert torch.equal(onto.integrate(ReverseSDE(sde, score, 0.0), x, 0.9, 0.4, QUIET), first)


@pytest.mark.parametrize("by", [*FLOWS, *NOISY, SDEDPM(), Adams(2, 2, noise_prediction=True)])
def test_a_model_may_write_its_answers_into_one_tensor(by):
    sde, x, answer = VPSDE(), normal(3, 2), torch.empty(3, 2, dtype=torch.float64)

    def reused(x, t):
        return answer.copy_(bent(x, t))

    one, other = (
        OnGrid(by, LogSNR(6)).integrate(ReverseSDE(sde, score), x, 1.0, 0.01, Run(SharedNoise(0)))
        for score in (bent, reused)
    )
    assert torch.equal(one, other)


@pytest.mark.parametrize("by", FLOWS)
def test_those_of_the_flow_follow_it_whatever_the_stochasticity(by):
    levels, noisy = Levels(), Levels(level=1.0)
    assert torch.equal(levels.ours(by), noisy.ours(by))


def test_a_rule_for_the_log_snr_has_no_knee_and_is_for_the_data():
    with pytest.raises(ArgumentError, match=r"knee = 0\.5: must be 0 with mean_slope"):
        Adams(2, 2, mean_slope=True, knee=0.5)
    with pytest.raises(ArgumentError, match="noise_prediction = True: must be False with mean_s"):
        Adams(2, 2, mean_slope=True, noise_prediction=True)


@pytest.mark.parametrize("level", [0.0, 1.0])
@pytest.mark.parametrize("by", [Adams(3, 3), Adams(3, 3, noise_prediction=True), SDEDPM()])
def test_the_step_to_no_noise_is_the_denoised_state(by, level):
    reverse, x = ReverseSDE(VPSDE(), bent, level), normal(4, 3)
    close(by.integrate(reverse, x, 0.1, 0.0, QUIET), reverse.denoised(x, 0.1))


@pytest.mark.parametrize("cls", [Adams, SASolver])
def test_a_correction_with_one_value_is_refused(cls):
    with pytest.raises(ArgumentError, match="corrector = 1"):
        cls(corrector=1)
