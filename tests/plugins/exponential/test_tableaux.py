"""Exponential Runge-Kutta by tableau: order conditions, orders of whole runs, published updates."""

from __future__ import annotations

from functools import cache
from math import exp, expm1, factorial, log1p, log2, prod, sqrt

import pytest
import torch
from common import normal

from sdeplug import VPSDE, At, LogSNR, NoiseSource, OnGrid, ReverseSDE, Run, Silence, solver
from sdeplug.testing import exact_spectrum, marginal_law, relative_error
from sdeplug.testing.bench import gaussian, gaussian_score
from sdeplug_exponential import ExpHeun, ExpMidpoint, ExpRK, ExpRK3, Method
from sdeplug_exponential.weights import phi

close = torch.testing.assert_close
ALL = [*Method]
SIZES = (0.0, 1e-6, 0.3, 2.0, 9.0, 60.0)  # of z
SDE = VPSDE()
SPAN = 0.7, 0.1


class Listed(NoiseSource):
    """Numbers that are known beforehand, one after the other."""

    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def normal(self, like):
        return self.numbers.pop(0).to(like.dtype)


def bent(x, t):
    """A score that is not affine, with a time of its own."""
    return -x - 0.3 * torch.sin(2.0 * x + 3.0 * t[:, None])


# phi-functions


@pytest.mark.parametrize("z", [0.0, 1e-12, 1e-3, 0.3, 1.0])
@pytest.mark.parametrize("k", range(5))
def test_phi_is_its_series(k, z):
    wanted = sum((-z) ** n / factorial(n + k) for n in range(30))
    assert phi(k, z) == pytest.approx(wanted, rel=1e-14)


@pytest.mark.parametrize("z", [1.0, 8.0, 8.1, 40.0, 500.0])
def test_phi_obeys_its_recurrence(z):
    """Which loses nothing where z is large."""
    wanted = exp(-z)
    for k in range(5):
        assert phi(k, z) == pytest.approx(wanted, rel=1e-13)
        wanted = (1.0 / factorial(k) - wanted) / z


# Order conditions: Hochbruck & Ostermann 2005, table 1, where J, K and z are numbers


def conditions(tableau, order, z, at):
    """What must vanish for an order, with the weights of the stages at z and of the result at."""
    c = tableau.fractions
    a = [[], *([each.at(z) for each in row] for row in tableau.rows)]
    b = [each.at(at) for each in tableau.result]
    quadrature = sum(w * x ** (order - 1) for w, x in zip(b, c, strict=True)) / factorial(order - 1)

    def lag(k, i):
        """By how much stage i misses a D that is a polynomial of degree k - 1."""
        reached = sum(w * c[j] ** (k - 1) for j, w in enumerate(a[i])) / factorial(k - 1)
        return c[i] ** k * phi(k, c[i] * z) - reached

    def total(values):
        return sum(w * each for w, each in zip(b, values, strict=True))

    stages = range(len(c))
    behind = [[lag(k, i) for i in stages] for k in (1, 2, 3)]
    later = {
        1: (),
        2: (*behind[0],),
        3: (total(behind[1]),),
        4: (
            total(behind[2]),
            total([x * each for x, each in zip(c, behind[1], strict=True)]),
            total([sum(w * behind[1][j] for j, w in enumerate(a[i])) for i in stages]),
        ),
    }
    return (quadrature - phi(order, at), *later[order])


def holds(tableau, order, whole):
    """Whether the conditions of an order hold: for the whole of z, or with b at 0."""
    return all(
        abs(each) < 1e-13
        for z in SIZES
        for each in conditions(tableau, order, z, z if whole else 0.0)
    )


@pytest.mark.parametrize("method", ALL, ids=str)
def test_the_stiff_order_is_what_the_conditions_say(method):
    tableau = method.value
    found = max(
        order
        for order in range(1, 5)
        if holds(tableau, order, whole=False)
        and all(holds(tableau, below, whole=True) for below in range(1, order))
    )
    assert found == tableau.stiff
    if not str(method).startswith("lawson"):  # these do not even keep a constant D
        assert holds(tableau, 1, whole=True)
        assert all(abs(each) < 1e-13 for z in SIZES for each in conditions(tableau, 2, z, z)[1:])


# Whole runs


def ends(by, steps):
    """Where the probability flow ends; steps of unequal length."""
    t, s = SPAN
    times = LogSNR(steps, power=0.8).times(t, s, SDE)
    reverse = ReverseSDE(SDE, bent, 0.0)
    onto = OnGrid(by, At(tuple(times[1:-1])))
    return onto.integrate(reverse, normal(4, 3), t, s, Run(Silence()))


@cache
def flow():
    return ends(solver("ode/rk4"), 300)


@pytest.mark.parametrize("method", ALL, ids=str)
def test_without_noise_the_order_is_that_of_the_tableau(method):
    coarse, fine = (float((ends(ExpRK(method), n) - flow()).norm()) for n in (8, 16))
    assert log2(coarse / fine) == pytest.approx(method.value.order, abs=0.35)


@pytest.mark.parametrize("method", ALL, ids=str)
@pytest.mark.parametrize("level", [1.0, 0.6])
def test_the_stages_lie_on_one_brownian_path(method, level):
    """Where D is 0 they are the noises alone: their covariances are known."""
    seen = []

    def score(x, t):
        seen.append(x)
        return -x / SDE.sigma(t)[:, None] ** 2

    t, s = SPAN
    start, h = 0.5 * SDE.at(t).log_snr, 0.5 * (SDE.at(s).log_snr - SDE.at(t).log_snr)
    units = [*torch.eye(3, dtype=torch.float64)[..., None]]  # a row for each normal
    by, reverse = ExpRK(method), ReverseSDE(SDE, score, level)
    out = by.integrate(reverse, torch.zeros(3, 1, dtype=torch.float64), t, s, Run(Listed(*units)))
    parts = [*method.value.fractions, 1.0]
    for a, one in zip(parts, [*seen, out], strict=True):
        for b, other in zip(parts, [*seen, out], strict=True):
            shared = expm1(2.0 * level**2 * min(a, b) * h)
            wanted = exp(-2.0 * start - (1.0 + level**2) * (a + b) * h) * shared
            alphas = [exp(-0.5 * log1p(exp(-2.0 * (start + part * h)))) for part in (a, b)]
            assert float((one * other).sum()) == pytest.approx(prod(alphas) * wanted, abs=1e-12)


@pytest.mark.parametrize("method", [Method.ETDRK4, Method.HOCHBRUCK_OSTERMANN], ids=str)
def test_with_noise_the_weak_order_is_two(method):
    """The law is exact for a Gaussian."""
    reverse = ReverseSDE(SDE, gaussian_score(SDE), 1.0)
    start, end = (marginal_law(gaussian(), SDE, t) for t in SPAN)

    def error(steps):
        onto = OnGrid(ExpRK(method), LogSNR(steps))
        law = exact_spectrum(lambda x, run: onto.integrate(reverse, x, *SPAN, run), start)
        return float(relative_error(law, end).norm())

    assert log2(error(16) / error(32)) == pytest.approx(2.0, abs=0.2)


def test_the_named_ones_are_rows():
    assert ExpMidpoint().tableau is ExpRK("res-2s").tableau
    assert ExpHeun().tableau is ExpRK("etdrk2").tableau
    assert ExpRK3().tableau is ExpRK().tableau is ExpRK("seeds-3").tableau
    assert [ExpRK(each).claims.evaluations for each in ALL] == [2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 2, 4]


# Published updates


def seeds(x, level, r, weigh, noise):
    """SEEDS as programs have it (arXiv 2305.14267, in data prediction), eta the square of l.

    Each stage is a step down to a part r of the log-SNR, and the noise is made of that of the stage
    before; ``weigh`` says how the values are combined, from expm1 alone.
    """
    (t, s), eta = SPAN, level**2
    first, last = (0.5 * SDE.at(time).log_snr for time in SPAN)
    h = last - first

    def data(x, time):
        now = SDE.at(time)
        return (x + now.sigma**2 * bent(x, x.new_full((len(x),), time))) / now.alpha

    start, known, total, done = x, [data(x, t)], 0.0, 0.0
    for part, row in zip([*r, 1.0], weigh, strict=True):
        place = torch.tensor(2.0 * (first + part * h), dtype=torch.float64)
        time = s if part == 1.0 else float(SDE.time_at(place))
        now = SDE.at(time)
        decayed = exp(-(part - done) * h * eta)
        if part > done:
            fresh = noise.pop(0) * sqrt(-expm1(-2.0 * (part - done) * h * eta))
            total, done = total * decayed + fresh, part
        combined = sum(w * d for w, d in zip(row(-part * h * (eta + 1.0)), known, strict=True))
        x = now.sigma / SDE.at(t).sigma * exp(-part * h * eta) * start - now.alpha * combined
        x = x + now.sigma * total
        if len(known) < len(weigh):
            known.append(data(x, time))
    return x


def euler(z):
    return (expm1(z),)


def second(z):
    """z times phi_2(z)."""
    return (expm1(z) - z) / z


SEEDS = {
    "seeds_2": (ExpRK("seeds-2"), (0.5,), (euler, lambda z: (0.0, expm1(z)))),
    "seeds_2, phi_2": (
        ExpMidpoint(),
        (0.5,),
        (euler, lambda z: (expm1(z) - 2.0 * second(z), 2.0 * second(z))),
    ),
    "seeds_3": (
        ExpRK3(),
        (1 / 3, 2 / 3),
        (
            euler,
            lambda z: (expm1(z) - 2.0 * second(z), 2.0 * second(z)),
            lambda z: (expm1(z) - 1.5 * second(z), 0.0, 1.5 * second(z)),
        ),
    ),
    "exp_heun_2_x0_sde": (
        ExpHeun(),
        (1.0,),
        (euler, lambda z: (expm1(z) - second(z), second(z))),
    ),
}


@pytest.mark.parametrize("level", [1.0, 0.6, 0.0])
@pytest.mark.parametrize("name", SEEDS)
def test_seeds_is_the_published_update_for_the_same_noise(name, level):
    """Without noise that of exp_heun_2_x0, and of DPM-Solver-2 and -3."""
    by, r, weigh = SEEDS[name]
    noise, x = [normal(4, 3, seed=k) for k in (1, 2, 3)], normal(4, 3)
    run = Run(Listed(*noise) if level else Silence())
    ours = by.integrate(ReverseSDE(SDE, bent, level), x, *SPAN, run)
    close(ours, seeds(x, level, r, weigh, noise), rtol=1e-11, atol=1e-11)
