"""A verdict on code that is no plugin, as a person writes it."""

from __future__ import annotations

import re
from functools import partial

import numpy as np
import pytest
import torch
from testing.doors.loops import (
    SDE,
    STEPS,
    by_the_batch,
    euler_maruyama,
    heun,
    in_float32,
    one_noise_for_all,
)

from sdeplug import VESDE, VPSDE
from sdeplug.testing import Outcome, Report, Verdict, judge
from sdeplug.testing.doors.judging import _named

SHORT = VPSDE(eps=0.5)  # few steps are short ones


def too_loud(score, x, steps):
    return euler_maruyama(score, x, steps, lambda x: 1.02 * torch.randn_like(x))


def too_loud_by_the_batch(score, x, steps):
    size = float(x.square().mean())
    factor = 1.02 + 1e-9 * size
    return euler_maruyama(score, x, steps, lambda x: factor * torch.randn_like(x))


def lost(score, x, steps):
    return euler_maruyama(score, x, steps) / 0.0 * 0.0


def misspelt(score, x, steps):
    return euler_maruyma(score, x, steps)  # noqa: F821


def of_numpy(score, x, steps):
    return euler_maruyama(score, x, steps, lambda x: torch.from_numpy(np.random.randn(*x.shape)))


def noisy(draw):
    """Euler-Maruyama as far as 0.5, with noise of another kind."""

    def function(score, x, steps):
        return euler_maruyama(score, x, steps, draw, SHORT)

    return function


def signs(x, size=1.0):
    return size * (2.0 * torch.randint(0, 2, x.shape) - 1.0).to(x)


def clipped(score, x, steps):
    return euler_maruyama(score, x, steps, sde=SHORT).clamp(-1.0, 1.0)


class Scheduler:
    """It remembers how many steps it has made in its life, and counts them as time."""

    def __init__(self):
        self.made = 0

    def __call__(self, score, x, steps):
        self.made += 1
        return euler_maruyama(score, x, steps) + 0.01 * self.made


@pytest.mark.parametrize(
    "function",
    [euler_maruyama, heun, in_float32, pytest.param(by_the_batch, marks=pytest.mark.slow)],
)
@pytest.mark.thorough
def test_what_is_right_has_passed(function):
    report = judge(function, SDE, order=2.0 if function is heun else 1.0, steps=STEPS)
    assert report.verdict is Verdict.PASSED, str(report)
    assert report.solver == function.__name__
    assert any(each.curves for each in report.results)
    assert Report.from_json(report.to_json()) == report


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (too_loud, "with ever shorter steps the standard deviation along"),
        (too_loud, r"is (1\.9\d*|2|2\.0\d*) % too large"),
        (too_loud_by_the_batch, r"is (1\.9\d*|2|2\.\d*) % too large"),
        (one_noise_for_all, "rows share it"),
        (lost, "not finite"),
        (misspelt, "NameError"),
        (lambda score, x, steps: x[:, 0], "shape"),
    ],
)
def test_what_is_wrong_has_failed_and_is_told_how(function, words):
    report = judge(function, SDE, steps=STEPS)
    assert report.verdict is Verdict.FAILED
    (failure,) = report.failures
    assert re.search(words, failure.reason), failure.reason


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (of_numpy, "take all noise from torch"),
        (Scheduler(), "built|build"),
    ],
)
def test_what_cannot_be_measured_is_unproven(function, words):
    report = judge(function, SDE, steps=STEPS)
    assert report.verdict is Verdict.UNPROVEN, str(report)
    assert report.results[-1].outcome is Outcome.UNPROVEN
    assert re.search(words, report.results[-1].reason)


class Sampler:
    def __call__(self, score, x, steps):
        return x


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (heun, "heun"),
        (partial(heun, steps=4), "heun(steps=4)"),
        (partial(euler_maruyama, draw=partial(torch.randn, 3)), "euler_maruyama(draw=randn(3))"),
        (Sampler(), "Sampler()"),
        (partial(euler_maruyama, sde=SDE), f"euler_maruyama(sde={SDE!r})"),
    ],
)
def test_code_is_called_by_what_it_is_and_is_given(function, name):
    assert _named(function) == name


@pytest.mark.slow
@pytest.mark.thorough
def test_an_order_that_is_asked_for_has_to_be_there():
    report = judge(euler_maruyama, SDE, order=2.0, steps=STEPS)
    assert "order 1, claimed 2" in report.failures[0].reason


@pytest.mark.slow
@pytest.mark.thorough
def test_it_is_held_to_the_forward_sde_that_is_given():
    assert judge(euler_maruyama, VESDE(), steps=STEPS).verdict is Verdict.FAILED


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "verdict", "words"),
    [
        pytest.param(
            *(noisy(signs), Verdict.PASSED, "check_law_by_sampling and check_moments"),
            marks=pytest.mark.thorough,
        ),
        (noisy(partial(signs, size=1.01)), Verdict.FAILED, r"is (0\.9\d*|1|1\.0\d*) % too large"),
        (clipped, Verdict.FAILED, "the standard deviation of all modes is .* too small"),
    ],
)
def test_what_is_not_affine_is_judged_by_samples(function, verdict, words):
    report = judge(function, SHORT, steps=8)
    assert "not affine" in report.results[2].reason
    assert report.verdict is verdict, str(report)
    told = report.failures or report.results[-1:]
    assert re.search(words, told[0].reason), told[0].reason
