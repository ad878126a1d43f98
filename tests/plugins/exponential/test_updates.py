"""The exponential multistep family: more published updates, written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from common import normal
from exponential.family import QUIET, Levels, Listed, bent

from sdeplug import (
    VESDE,
    VPSDE,
    LogSNR,
    OnGrid,
    ReverseSDE,
    Run,
)
from sdeplug.targets import Empirical
from sdeplug_exponential import (
    DDIM,
    DEIS,
    SDEDPM,
    Adams,
    DPMpp3M,
    UniPC,
)

close = torch.testing.assert_close


@pytest.mark.parametrize("level", [1.0, 0.6, 0.0])
def test_sde_dpm_is_the_published_update_for_the_same_noise(level):
    """arXiv 2211.01095, section 5: SDE-DPM-Solver-1, here at any stochasticity."""
    levels = Levels(level=level)
    x = levels.x
    for n in range(len(levels.times) - 1):
        h = levels.lam[n + 1] - levels.lam[n]
        noise = (x - levels.alpha[n] * levels.model(x, n)) / levels.sigma[n]
        x = levels.alpha[n + 1] / levels.alpha[n] * x
        x = x - (1.0 + level**2) * levels.sigma[n + 1] * math.expm1(h) * noise
        if level:
            spread = level * math.sqrt(math.expm1(2.0 * h))
            x = x + levels.sigma[n + 1] * spread * levels.noise[n]
    close(levels.ours(SDEDPM()), x, rtol=1e-12, atol=1e-12)
    close(
        levels.ours(Adams(1, 0, noise_prediction=True)), levels.ours(SDEDPM()), rtol=0.0, atol=0.0
    )


def deis(levels: Levels, order: int):
    """DEIS (arXiv 2204.13902, equation 14) in log q: coefficients by a fine sum over q, first steps
    as in ours by the correction of the step before."""
    x, known = levels.x, []
    q = [math.exp(-lam) for lam in levels.lam]

    def step(n, m, points):
        """Weights of the noise at points, from q_n to q_m."""
        nodes, weights = np.polynomial.legendre.leggauss(40)
        places = 0.5 * (q[n] + q[m]) + 0.5 * (q[m] - q[n]) * nodes
        found = []
        for j in points:
            value = 0.5 * (q[m] - q[n]) * weights
            for i in points:
                if i != j:
                    value = value * (np.log(places / q[i]) / math.log(q[j] / q[i]))
            found.append(float(value.sum()))
        return found

    y = x / levels.alpha[0]
    for n in range(len(q) - 1):
        x = levels.alpha[n] * y
        known.append((x - levels.alpha[n] * levels.model(x, n)) / levels.sigma[n])
        if 0 < n < order - 1:  # a value more for a step that had too few
            before, points = [*range(n)], [*range(n + 1)]
            new = zip(step(n - 1, n, points), points, strict=True)
            old = zip(step(n - 1, n, before), before, strict=True)
            y = y + sum(w * known[j] for w, j in new) - sum(w * known[j] for w, j in old)
        points = [*range(n + 1)][-order:]
        y = y + sum(w * known[j] for w, j in zip(step(n, n + 1, points), points, strict=True))
    return levels.alpha[-1] * y


@pytest.mark.parametrize("order", [1, 2, 3])
def test_deis_is_the_published_update(order):
    levels = Levels()
    close(levels.ours(DEIS(order)), deis(levels, order), rtol=1e-9, atol=1e-9)
    if order == 1:
        close(levels.ours(DEIS(1)), levels.ours(DDIM()), rtol=1e-12, atol=1e-12)


def test_with_the_noise_held_more_of_it_is_left():
    """Where there are no data: 1 + 2 h^2 times the variance after a step of length h."""
    sde, x = VESDE(), torch.zeros(1, 1, dtype=torch.float64)
    times = LogSNR(60).times(1.0, sde.eps, sde)
    t, s = times[20:22]
    h = 0.5 * (sde.at(s).log_snr - sde.at(t).log_snr)
    point = Empirical(torch.zeros(1, 1, dtype=torch.float64))
    reverse, sigma = ReverseSDE(sde, point.score(sde), 1.0), sde.at(t).sigma
    kept = SDEDPM().integrate(reverse, x + sigma, t, s, QUIET) / sde.at(s).sigma
    one = torch.ones(1, 1, dtype=torch.float64)
    fresh = SDEDPM().integrate(reverse, x, t, s, Run(Listed(one))) / sde.at(s).sigma
    assert float(kept**2 + fresh**2) == pytest.approx(1.0 + 2.0 * h**2, abs=3.0 * h**3)
    assert float(kept**2 + fresh**2) > 1.0 + h**2


def third(levels: Levels, whole: bool):
    """DPM-Solver++ with three values, with the whole weight of the second difference or half."""
    x, known = levels.x, []
    for n in range(len(levels.times) - 1):
        known.append(levels.model(x, n))
        h = levels.lam[n + 1] - levels.lam[n]
        value = known[-1]
        e = math.expm1(-h)
        x = levels.sigma[n + 1] / levels.sigma[n] * x - levels.alpha[n + 1] * e * value
        if n > 0:
            r0 = (levels.lam[n] - levels.lam[n - 1]) / h
            d0 = (value - known[-2]) / r0
            slope = d0
            if n > 1:
                r1 = (levels.lam[n - 1] - levels.lam[n - 2]) / h
                d1 = (known[-2] - known[-3]) / r1
                slope = d0 + r0 / (r0 + r1) * (d0 - d1)
                curve = (2.0 if whole else 1.0) * (d0 - d1) / (r0 + r1)
                x = x - levels.alpha[n + 1] * ((e + h) / h**2 - 0.5) * curve
            x = x + levels.alpha[n + 1] * (e / h + 1.0) * slope
    return x


def test_the_half_weight_of_programs_loses_an_order():
    """3M as programs have it is of order 2; with the whole weight it is ours, of order 3."""
    fine = Levels(800).ours(UniPC(3))
    errors = {
        name: [float((run(Levels(n)) - fine).norm()) for n in (50, 100)]
        for name, run in (
            ("half", lambda levels: third(levels, False)),
            ("ours", lambda levels: levels.ours(DPMpp3M())),
        )
    }
    half, ours = (math.log2(a / b) for a, b in errors.values())
    assert half < 2.3
    assert ours > 2.7


def test_the_first_steps_do_not_cost_an_order():
    """From a time at which the data are in sight, unlike T, where D hardly changes."""
    sde, x = VPSDE(), normal(4, 3)
    reverse = ReverseSDE(sde, bent, 0.0)

    def ends(by, steps):
        return OnGrid(by, LogSNR(steps)).integrate(reverse, x, 0.3, 0.05, QUIET)

    fine = ends(Adams(4, 5), 1600)
    for by in (DPMpp3M(), DEIS(), UniPC(3), Adams(3, 3), UniPC(2), Adams(3, 3, knee=0.3)):
        errors = [float((ends(by, steps) - fine).norm()) for steps in (80, 160)]
        assert math.log2(errors[0] / errors[1]) > 2.8
