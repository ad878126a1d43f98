"""Loops of other libraries that no adapter reaches, as functions: their order is known."""

from __future__ import annotations

import re

import pytest

from sdeplug import VESDE, VPSDE
from sdeplug.testing import Verdict, judge

# What diffusers 0.42 does with its own tables under NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")

VP, VE = VPSDE(), VESDE(sigma_max=50.0)


def vp_loop(score, x, steps):
    """The predictor of a pipeline for the VP SDE, whose network predicts the noise."""
    module = pytest.importorskip("diffusers.schedulers.deprecated.scheduling_sde_vp")
    scheduler = module.ScoreSdeVpScheduler()
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps.to(x.dtype):
        times = t.expand(len(x))
        noise = -VP.sigma(times)[:, None] * score(x, times)
        x, _ = scheduler.step_pred(noise, x, times)
    return x


def ve_loop(score, x, steps):
    """The predictor of a pipeline for the VE SDE, down to the smallest noise level."""
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.ScoreSdeVeScheduler(sigma_min=VE.sigma_min, sigma_max=VE.sigma_max)
    scheduler.set_timesteps(steps + 1)
    scheduler.set_sigmas(steps + 1)
    for t in scheduler.timesteps[:-1]:
        times = t.to(x.dtype).expand(len(x))
        x = scheduler.step_pred(score(x, times), t, x).prev_sample
    return x


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize(("loop", "sde"), [(vp_loop, VP), (ve_loop, VE)], ids=["VP", "VE"])
def test_the_predictors_of_diffusers_for_score_sdes_are_of_order_1(loop, sde):
    report = judge(loop, sde, steps=16)
    assert report.verdict is Verdict.PASSED, str(report)
    (order,) = re.findall(r"order ([\d.]+) observed", str(report))
    assert float(order) == pytest.approx(1.0, abs=0.15)
