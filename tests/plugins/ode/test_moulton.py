"""Adams-Moulton in a clock of the noise: its weights, its clock, and one evaluation a step."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import exp, inf, log

import pytest
import torch
from bundled import checks_of
from common import normal

from sdeplug import (
    VESDE,
    VPSDE,
    ArgumentError,
    Focus,
    ReverseSDE,
    Run,
    Silence,
)
from sdeplug_ode import AdamsMoulton
from sdeplug_ode.adams import adams_weights

close = torch.testing.assert_close
QUIET = Run(Silence())


@checks_of([AdamsMoulton()])
def test_conformance(check):
    check()


@pytest.mark.parametrize(
    ("newest", "weights", "over"),
    [
        (0, (55, -59, 37, -9), 24),
        (0, (1901, -2774, 2616, -1274, 251), 720),
        (1, (9, 19, -5, 1), 24),
        (1, (251, 646, -264, 106, -19), 720),
    ],
)
def test_equal_steps_have_the_weights_of_the_books(newest, weights, over):
    """Hairer, Norsett & Wanner, section III.1, (1.5') and (1.9'): prediction and correction."""
    places = [float(newest - k) for k in range(len(weights))]
    books = [float(Fraction(each, over)) for each in weights]
    assert adams_weights(places, 0.0, 1.0) == pytest.approx(books, abs=1e-14)


class Straight:
    """The score for which u = x / s has the slope 1 + 2 tau in the clock."""

    def __init__(self, sde, low, high):
        self.sde, self.low, self.high = sde, low, high

    def place(self, t):
        q = exp(-0.5 * self.sde.at(t).log_snr)
        return log(q + self.low) - log(1.0 + q / self.high)

    def size(self, t):
        return (self.sde.at(t).alpha ** 2 + self.sde.at(t).sigma ** 2) ** 0.5

    def __call__(self, x, t):
        """du/dt = (1 + 2 tau) dtau/dt, by differences of the schedule."""
        t, h = float(t[0]), 1e-6
        known, s = self.sde.at(t), self.size(t)
        pace = (self.place(t + h) - self.place(t - h)) / (2.0 * h)
        growth = (log(self.size(t + h)) - log(self.size(t - h))) / (2.0 * h)
        velocity = (1.0 + 2.0 * self.place(t)) * pace * s + growth * x
        return 2.0 * (known.drift_rate * x - velocity) / known.diffusion**2


@pytest.mark.parametrize(("low", "high"), [(0.001, inf), (0.05, 1.0)])
@pytest.mark.parametrize("sde", [VPSDE(), VESDE(sigma_max=10.0)], ids=repr)
@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("order", [2, 5])
def test_a_slope_that_is_straight_in_the_clock_is_followed_exactly(sde, low, high, up, order):
    """By the first steps, too, once they are corrected."""
    score, x = Straight(sde, low, high), normal(3, 2)
    times = Focus(6, low, high).times(0.9 * sde.T, 0.1 * sde.T, sde)
    times = times[::-1] if up else times
    advance = AdamsMoulton(order, low, high).begin(ReverseSDE(sde, score), QUIET)
    y = x
    for t, s in pairwise(times):
        y = advance(y, t, s)
    start, end = score.place(times[0]), score.place(times[-1])
    exact = x / score.size(times[0]) + (end - start) + end**2 - start**2
    close(y / score.size(times[-1]), exact, rtol=1e-7, atol=1e-7)


def test_what_is_below_is_below():
    with pytest.raises(ArgumentError, match=r"low = 2\.0: must be below high = 1\.0"):
        AdamsMoulton(low=2.0, high=1.0)
