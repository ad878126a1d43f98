"""STORK: the stabilised methods, the published updates, and what becomes of a step."""

from __future__ import annotations

from itertools import pairwise
from math import cos, log2, sin

import numpy as np
import pytest
import torch
from common import normal

from sdeplug import (
    VESDE,
    VPSDE,
    ArgumentError,
    At,
    Counted,
    OnGrid,
    ReverseSDE,
    Run,
    Silence,
    Uniform,
    solver,
)
from sdeplug_exponential import Stabilised, Stork
from sdeplug_exponential.stabilised import Gegenbauer, Rock4

close = torch.testing.assert_close
QUIET = Run(Silence())
X = normal(4, 3)
BOTH = [Stabilised.RKG2, Stabilised.ROCK4]


def bent(x, t):
    """A score that is not affine."""
    return -x - 0.3 * torch.sin(2.0 * x + 3.0 * t[:, None])


# The stabilised methods


def riccati(scheme, steps):
    """Error of dy/dt = y cos 2t - y^2 (1 + sin 3t / 3) at 1, against many steps of order 4."""

    def run(by, count):
        y, h = np.ones(1), 1.0 / count
        for n in range(count):
            at = [(n + part) * h for part in by.fractions]
            y = by.run(
                lambda call, y, at=at: (
                    h * y * (cos(2.0 * at[call]) - y * (1.0 + sin(3.0 * at[call]) / 3.0))
                ),
                y,
            )
        return float(y[0])

    return abs(run(scheme, steps) - run(Rock4(), 200))


@pytest.mark.parametrize(
    ("scheme", "order"),
    [(Gegenbauer(3), 2), (Gegenbauer(7), 2), (Gegenbauer(50), 2), (Rock4(), 4)],
    ids=repr,
)
def test_the_order_is_that_of_the_paper(scheme, order):
    assert log2(riccati(scheme, 20) / riccati(scheme, 40)) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize(
    ("scheme", "length"),
    [(Gegenbauer(7), 21.5), (Gegenbauer(50), 880.0), (Rock4(), 25.0)],
    ids=repr,
)
def test_it_is_stable_on_a_long_part_of_the_negative_axis(scheme, length):
    """(s + 4)(s - 1) / 3 + 0.5 of RKG2, 0.32 s^2 of ROCK4; Heun has 2."""
    size = [
        abs(float(scheme.run(lambda _, y, z=z: -z * y, np.ones(1))[0]))
        for z in np.linspace(0.5, length, 60)
    ]
    assert max(size) < 1.0
    assert abs(float(scheme.run(lambda _, y: -1.4 * length * y, np.ones(1))[0])) > 1.0


def test_stages_of_rkg2_are_where_the_paper_has_them():
    s = 7
    wanted = [0.0, 6 / ((s + 4) * (s - 1))]
    wanted += [(j - 1) * (j + 4) / ((s - 1) * (s + 4)) for j in range(2, s)]
    assert Gegenbauer(s).fractions == pytest.approx(wanted)


# Whole runs: Taylor's series and tensors, as in the authors' program


def differences(known, h):
    """Value and derivatives in t at the newest of equally spaced values, by differences."""
    if len(known) == 1:
        return [known[0]]
    if len(known) == 2:
        return [known[0], (known[0] - known[1]) / h]
    a, b, c = known[:3]
    if len(known) == 3:
        return [a, (3 * a - 4 * b + c) / (2 * h), (a - 2 * b + c) / h**2]
    d = known[3]
    return [
        a,
        (11 * a - 18 * b + 9 * c - 2 * d) / (6 * h),
        (2 * a - 5 * b + 4 * c - d) / h**2,
        (a - 3 * b + 3 * c - d) / h**3,
    ]


def taylor(series, gap):
    factor, total = 1.0, 0.0
    for power, each in enumerate(series, start=1):
        total = total + factor * each
        factor *= gap / power
    return total


def rkg2(slope, x, t, h, s=50):
    """Skaras et al. 2021, section 3.2, on tensors."""

    b = [1.0, 1 / 3]
    b += [4 * (j - 1) * (j + 4) / (3 * j * (j + 1) * (j + 2) * (j + 3)) for j in range(2, s + 1)]
    w, first = 6 / ((s + 4) * (s - 1)), slope(x, t)
    older, y, c = x, x + h * w * first, w
    for j in range(2, s + 1):
        mu, nu = (2 * j + 1) * b[j] / (j * b[j - 1]), -(j + 1) * b[j] / (j * b[j - 2])
        gamma = -mu * w * (1 - j * (j + 1) * b[j - 1] / 2)
        new = mu * y + nu * older + (1 - mu - nu) * x
        new = new + mu * w * h * slope(y, t + c * h) + gamma * h * first
        older, y, c = y, new, (j - 1) * (j + 4) / ((s - 1) * (s + 4))
    return y


@pytest.mark.parametrize("velocity", [False, True])
@pytest.mark.parametrize("values", [1, 2, 3, 4])
@pytest.mark.parametrize("sde", [VPSDE(), VESDE()], ids=["vp", "ve"])
def test_stork_2_is_the_published_update(sde, values, velocity):
    """On the steps of equal length that its differences are for."""
    times = Uniform(7).times(sde.T, 0.3, sde)
    h, x, known = times[1] - times[0], X, []

    def slope(x, t, noise):
        here = sde.at(t)
        return here.drift_rate * x + 0.5 * here.diffusion**2 / here.sigma * noise

    for t in times[:-1]:
        noise = -sde.at(t).sigma * bent(x, x.new_full((4,), t))
        seen = slope(x, t, noise) if velocity else noise
        known = [seen, *known][:values]
        series, start = differences(known, h), t

        def virtual(x, t, series=series, start=start):
            guess = taylor(series, t - start)
            return guess if velocity else slope(x, t, guess)

        x = rkg2(virtual, x, t, h)
    by = OnGrid(Stork(values=values, velocity=velocity), At(tuple(times[1:-1])))
    ours = by.integrate(ReverseSDE(sde, bent, 1.0), X, times[0], times[-1], QUIET)
    close(ours, x, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("velocity", [False, True])
@pytest.mark.parametrize("method", BOTH, ids=str)
def test_the_order_of_a_run_is_two(method, velocity):
    sde = VPSDE()
    reverse = ReverseSDE(sde, bent, 0.0)

    def ends(by, steps):
        onto = OnGrid(by, Uniform(steps))
        return onto.integrate(reverse, X, 0.8, 0.3, QUIET)

    exact = ends(solver("ode/rk4"), 60)
    errors = [float((ends(Stork(method, 3, velocity), n) - exact).norm()) for n in (20, 40)]
    assert log2(errors[0] / errors[1]) > 1.8


# What becomes of a step


def test_a_step_costs_one_evaluation_and_a_last_one_is_the_denoised_state():
    sde, counted = VPSDE(), Counted(bent)
    reverse = ReverseSDE(sde, counted, 1.0)
    advance = Stork().begin(reverse, QUIET)
    x = X
    for t, s in pairwise((1.0, 0.8, 0.5, 0.3)):
        x = advance(x, t, s)
    assert counted.nfe == 3
    end = advance(x, 0.3, 0.0)
    assert counted.nfe == 4
    assert torch.equal(end, reverse.denoised(x, 0.3))


@pytest.mark.parametrize("method", BOTH, ids=str)
def test_a_moved_state_starts_afresh(method):
    by, reverse = Stork(method), ReverseSDE(VPSDE(), bent)
    advance = by.begin(reverse, QUIET)
    x = advance(advance(X, 1.0, 0.8), 0.8, 0.6)
    moved = advance(x + 0.1, 0.6, 0.5)
    assert torch.equal(moved, by.integrate(reverse, x + 0.1, 0.6, 0.5, QUIET))
    assert not torch.equal(moved, advance(moved - 0.1, 0.6, 0.5))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"values": 5}, "values = 5.*at most 4"),
        ({"values": 0}, "values = 0.*at least 1"),
        ({"method": "rock2"}, "method = 'rock2'.*one of rkg2, rock4"),
        ({"velocity": 1}, "velocity = 1"),
    ],
)
def test_other_options_are_refused(options, words):
    with pytest.raises(ArgumentError, match=words):
        solver("stork", **options)
