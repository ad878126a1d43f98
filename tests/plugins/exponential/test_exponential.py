"""The exponential multistep family: published updates, memory, stochasticity, precision."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from common import GaussianScore, normal

from sdeplug import (
    VESDE,
    VPSDE,
    ArgumentError,
    At,
    Corrected,
    Corrector,
    Counted,
    FromNoise,
    LogSNR,
    NoiseSource,
    OnGrid,
    ReverseSDE,
    Run,
    SharedNoise,
    Silence,
    solver,
)
from sdeplug.registry import named, registry
from sdeplug.targets import Empirical, Gaussian
from sdeplug.testing import exact_spectrum, marginal_law, relative_error
from sdeplug.testing.bench import alternating, gaussian_score
from sdeplug_exponential import (
    DDIM,
    DEIS,
    ERSDE,
    SDEDPM,
    Adams,
    DPMpp2M,
    DPMpp2MSDE,
    DPMpp3M,
    ERStochasticity,
    ExpHeun,
    ExpMidpoint,
    ExpRK3,
    SASolver,
    UniPC,
)
from sdeplug_exponential.multistep import mean_square_level

close = torch.testing.assert_close
QUIET = Run(Silence())
NOISY = [
    Adams(1, 0),
    Adams(),
    DPMpp2MSDE(),
    SASolver(),
    ERSDE(),
    ExpMidpoint(),
    ExpHeun(),
    ExpRK3(),
]
FLOWS = [DDIM(), DEIS(), DPMpp2M(), DPMpp3M(), UniPC(2), UniPC(3)]
PRECISE = [
    Adams(4, 4, knee=0.04),
    Adams(2, 2, mean_slope=True),
    Adams(2, 2, noise_prediction=True),
    UniPC(3),
    ERSDE(),
    ExpRK3(),
]


class Listed(NoiseSource):
    """Numbers that are known beforehand, one after the other."""

    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def normal(self, like):
        return self.numbers.pop(0).to(like.dtype)


def bent(x, t):
    """A score that is not affine."""
    return -x - 0.3 * torch.sin(2.0 * x + t[:, None])


class Levels:
    """alpha, sigma, lambda and the model's prediction of the data at the times of a grid."""

    def __init__(self, steps=9, level=0.0):
        self.sde = VPSDE()
        grid = alternating(steps, self.sde.T, 0.01, self.sde)
        self.times = list(grid.times(self.sde.T, 0.01, self.sde))
        self.at = [self.sde.at(t) for t in self.times]
        self.alpha, self.sigma = ([getattr(a, n) for a in self.at] for n in ("alpha", "sigma"))
        self.lam = [math.log(a / s) for a, s in zip(self.alpha, self.sigma, strict=True)]
        self.level, self.x = level, normal(4, 3)
        self.noise = [normal(4, 3, seed=k) for k in range(1, steps + 1)]

    def model(self, x, n):
        t = x.new_full((len(x),), self.times[n])
        return (x + self.sigma[n] ** 2 * bent(x, t)) / self.alpha[n]

    def ours(self, by, score=bent):
        onto = OnGrid(by, At(tuple(self.times[1:-1])))
        reverse = ReverseSDE(self.sde, score, self.level)
        run = Run(Listed(*self.noise) if self.level else Silence())
        return onto.integrate(reverse, self.x, self.times[0], self.times[-1], run)


def dpm_2m(levels: Levels, zeta: float = 0.0):
    """DPM-Solver++ 2M as published (arXiv 2211.01095, algorithm 2), or its SDE variant."""
    x, old = levels.x, None
    for n in range(len(levels.times) - 1):
        h = levels.lam[n + 1] - levels.lam[n]
        data = levels.model(x, n)
        d = data
        if old is not None:
            r = (levels.lam[n] - levels.lam[n - 1]) / h
            d = (1.0 + 1.0 / (2.0 * r)) * data - 1.0 / (2.0 * r) * old
        ratio = levels.sigma[n + 1] / levels.sigma[n]
        kept = math.exp(-(1.0 + zeta) * h)
        x = ratio * math.exp(-zeta * h) * x + levels.alpha[n + 1] * (1.0 - kept) * d
        if zeta:
            spread = math.sqrt(1.0 - math.exp(-2.0 * zeta * h))
            x = x + levels.sigma[n + 1] * spread * levels.noise[n]
        old = data
    return x


def test_2m_is_the_published_update():
    levels = Levels()
    close(levels.ours(DPMpp2M()), dpm_2m(levels), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("level", [1.0, 0.5])
def test_2m_sde_is_the_published_update_for_the_same_noise(level):
    levels = Levels(level=level)
    close(levels.ours(DPMpp2MSDE()), dpm_2m(levels, level**2), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("level", [0.0, 1.0, 0.5])
def test_with_two_values_it_is_res_multistep_and_2m_sde_heun(level):
    """RES with the value of the step before as a stage at c < 0 (arXiv 2308.02157, equation 5.3 of
    Hochbruck & Ostermann 2005); with noise what k-diffusion calls dpmpp_2m_sde with ``heun``."""
    levels, zeta = Levels(level=level), level**2
    x, old = levels.x, None
    for n in range(len(levels.times) - 1):
        h = levels.lam[n + 1] - levels.lam[n]
        z, data = (1.0 + zeta) * h, levels.model(x, n)
        whole = -math.expm1(-z)
        grown = whole * data
        if old is not None:
            c = (levels.lam[n - 1] - levels.lam[n]) / h
            grown = grown + (1.0 - whole / z) / c * (old - data)
        ratio = levels.sigma[n + 1] / levels.sigma[n] * math.exp(-zeta * h)
        spread = math.sqrt(-math.expm1(-2.0 * zeta * h))
        x = ratio * x + levels.alpha[n + 1] * grown + levels.sigma[n + 1] * spread * levels.noise[n]
        old = data
    close(levels.ours(Adams(2, 0)), x, rtol=1e-11, atol=1e-11)


def unipc(levels: Levels, order: int):
    """UniPC with B(h) = exp(h) - 1 as published (arXiv 2302.04867, algorithms 1 and 2).

    Data prediction: phi_1 = exp(-h) - 1 there; rho solves R rho = b, and is 1/2 for one unknown.
    """
    x, known, base = levels.x, [], None

    def system(hh, rks):
        phi = math.expm1(hh)
        r, b, term, factorial = [], [], phi / hh - 1.0, 1.0
        for i in range(1, len(rks) + 1):
            r.append([rk ** (i - 1) for rk in rks])
            b.append(term * factorial / phi)
            factorial *= i + 1
            term = term / hh - 1.0 / factorial
        return torch.tensor(r, dtype=torch.float64), torch.tensor(b, dtype=torch.float64)

    for n in range(len(levels.times)):
        if n == len(levels.times) - 1:
            return x  # the last state is the predicted one
        data = levels.model(x, n)
        if n > 0:  # correct the step that led here
            hh, rks, ds, held = base
            used = [*rks, 1.0]
            r, b = system(hh, used)
            rho = torch.tensor([0.5]) if len(used) == 1 else torch.linalg.solve(r, b)
            first = known[-1]
            total = sum(p * d for p, d in zip(rho, [*ds, data - first], strict=True))
            x = held - levels.alpha[n] * math.expm1(hh) * total
        known.append(data)
        now = min(order, n + 1)
        h = levels.lam[n + 1] - levels.lam[n]
        rks = [(levels.lam[n - k] - levels.lam[n]) / h for k in range(1, now)]
        ds = [(known[n - k] - data) / rk for k, rk in enumerate(rks, 1)]
        phi = math.expm1(-h)
        held = levels.sigma[n + 1] / levels.sigma[n] * x - levels.alpha[n + 1] * phi * data
        x = held
        if ds:
            r, b = system(-h, rks)
            rho = torch.tensor([0.5]) if now == 2 else torch.linalg.solve(r, b)
            total = sum(p * d for p, d in zip(rho, ds, strict=True))
            x = held - levels.alpha[n + 1] * phi * total
        base = (-h, rks, ds, held)
    raise AssertionError


@pytest.mark.parametrize("order", [1, 2, 3])
def test_unipc_is_the_published_update(order):
    levels = Levels()
    close(levels.ours(UniPC(order)), unipc(levels, order), rtol=1e-10, atol=1e-10)


def sa_solver(levels: Levels, predictor: int, corrector: int, changed=True, pece=False):
    """SA-Solver as published (arXiv 2309.05019, equations 14 and 17), with the change for two
    points that is in its code; integrals of exp((1 + tau^2) u) times a Lagrange polynomial.
    Without the change it is that of ComfyUI, which with ``pece`` asks at corrected states too."""
    x, held, known = levels.x, levels.x, []

    def kappa_of(n):
        """Of the step from the n-th time."""
        middle = 0.5 * (levels.times[n] + levels.times[n + 1])
        return 1.0 + (levels.level(middle) if callable(levels.level) else levels.level) ** 2

    def coefficients(points, start, end, kappa):
        """By the coefficients of the polynomials, u measured from the end of the step."""
        shifted = torch.tensor([p - end for p in points], dtype=torch.float64)
        table = torch.linalg.inv(torch.stack([shifted**k for k in range(len(points))], 1))
        h, found = end - start, []
        for power in range(len(points)):
            # Integration by parts of int_{-h}^0 exp(kappa u) u^power du
            low = math.exp(-kappa * h) * (-h) ** power / kappa
            lower = power / kappa * found[-1] if power else 0.0
            found.append((1.0 / kappa if power == 0 else 0.0) - low - lower)
        weights = torch.tensor(found, dtype=torch.float64) @ table
        if len(points) == 2 and changed:
            gap = points[0] - points[1]
            exact = (kappa * h - 1.0 + math.exp(-kappa * h)) / kappa**2
            change = (h**2 / 2.0 - exact) / gap
            weights = weights + change * torch.tensor([1.0, -1.0], dtype=torch.float64)
        return kappa * weights

    for n in range(len(levels.times) - 1):
        data = levels.model(x, n)
        if n > 0 and corrector:
            count = min(corrector, n + 1)
            points = [levels.lam[n - k] for k in range(count)]
            weights = coefficients(points, levels.lam[n - 1], levels.lam[n], kappa_of(n - 1))
            values = [data, *reversed(known)][:count]
            x = held + levels.alpha[n] * sum(w * v for w, v in zip(weights, values, strict=True))
            data = levels.model(x, n) if pece else data
        known.append(data)
        count, h = min(predictor, n + 1), levels.lam[n + 1] - levels.lam[n]
        points = [levels.lam[n - k] for k in range(count)]
        kappa = kappa_of(n)
        weights = coefficients(points, levels.lam[n], levels.lam[n + 1], kappa)
        kept = math.exp(-(kappa - 1.0) * h) * levels.sigma[n + 1] / levels.sigma[n]
        spread = levels.sigma[n + 1] * math.sqrt(1.0 - math.exp(-2.0 * (kappa - 1.0) * h))
        held = kept * x + spread * levels.noise[n]
        values = [*reversed(known)][:count]
        x = held + levels.alpha[n + 1] * sum(w * v for w, v in zip(weights, values, strict=True))
    return x


@pytest.mark.parametrize("orders", [(2, 0), (2, 2), (2, 4), (3, 3), (3, 4)])
@pytest.mark.parametrize("level", [1.0, 0.6, "of the step"])
def test_sa_solver_is_the_published_update_for_the_same_noise(orders, level):
    levels = Levels(level=1.0 if level == "of the step" else level)
    if level == "of the step":  # constant in each of the steps, as the paper has it
        levels.level = lambda t: 0.3 + 0.2 * sum(t < end for end in levels.times[1:-1])
    close(levels.ours(SASolver(*orders)), sa_solver(levels, *orders), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("pece", [False, True])
@pytest.mark.parametrize("level", [1.0, 0.6, 0.0])
def test_names_of_comfyui_for_sa_solver_mean_its_updates_for_the_same_noise(level, pece):
    alias = registry().aliases()["exponential/sa_solver_pece" if pece else "exponential/sa_solver"]
    by = named("solvers", alias.obj.written)
    levels = Levels(level=level)
    wanted = sa_solver(levels, 3, 4, changed=False, pece=pece)
    close(levels.ours(by), wanted, rtol=1e-9, atol=1e-9)


def test_asking_again_costs_an_evaluation_in_each_step_but_the_first():
    levels = Levels(level=0.0)
    counted = Counted(bent)
    levels.ours(Adams(3, 4, pece=True), counted)
    assert counted.nfe == 2 * (len(levels.times) - 1) - 1
    with pytest.raises(ArgumentError, match="corrector = 0: must be from 2 to 5 with pece"):
        Adams(3, 0, pece=True)


@pytest.mark.parametrize("level", [0.0, 0.7, 1.0])
def test_with_one_value_it_is_ancestral_sampling(level):
    levels = Levels(level=level)
    close(levels.ours(Adams(1, 0)), levels.ours(solver("song/ancestral")), rtol=1e-12, atol=1e-12)
    if level == 0.0:
        close(levels.ours(DDIM()), levels.ours(Adams(1, 0)), rtol=0.0, atol=0.0)


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


# Stochasticity


def waved(t):
    return 0.7 + 0.6 * math.sin(5.0 * t)


@pytest.mark.parametrize("by", NOISY)
@pytest.mark.parametrize("level", [1.0, 0.4, waved])
@pytest.mark.parametrize("sde", [VPSDE(), VESDE()])
def test_for_a_point_of_data_the_law_is_exact_in_a_few_steps(by, level, sde):
    """D is constant there: what is left is the noise, and its weights must be exact."""
    point = Empirical(torch.tensor([[0.3, -1.2]], dtype=torch.float64))
    reverse = ReverseSDE(sde, point.score(sde), level)

    def sampler(x, run):
        return OnGrid(by, LogSNR(5)).integrate(reverse, x, sde.T, sde.eps, run)

    law = exact_spectrum(sampler, marginal_law(point, sde, sde.T))
    error = relative_error(law, marginal_law(point, sde, sde.eps))
    assert float(error.abs().max()) < 1e-9


def test_a_function_that_is_constant_is_a_number():
    sde, x = VPSDE(), normal(3, 2)
    one, other = (
        OnGrid(Adams(), LogSNR(9)).integrate(
            ReverseSDE(sde, GaussianScore(sde), level), x, 1.0, 1e-3, Run(SharedNoise(0))
        )
        for level in (0.6, lambda t: 0.6)
    )
    close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("sde", [VPSDE(), VESDE()])
def test_the_mean_square_of_a_stochasticity(sde):
    """Against a fine sum over log(alpha / sigma)."""
    times = list(LogSNR(20).times(sde.T, sde.eps, sde))
    reverse = ReverseSDE(sde, lambda x, t: -x, waved)
    for t, s in pairwise(times):
        fine = torch.linspace(t, s, 2001, dtype=torch.float64)
        lam = 0.5 * sde.log_snr(fine)
        squares = torch.tensor([waved(float(u)) ** 2 for u in fine], dtype=torch.float64)
        wanted = float(torch.trapezoid(squares, lam) / (lam[-1] - lam[0]))
        assert mean_square_level(reverse, t, s) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("by", [Adams(), SASolver(), ERSDE(2), ExpMidpoint()])
def test_order_two_with_a_stochasticity_that_varies(by):
    sde, target = VPSDE(), Gaussian(torch.tensor([0.5, -1.0]), torch.diag(torch.tensor([0.1, 2.0])))
    reverse = ReverseSDE(sde, target.score(sde), waved)
    start, end = (marginal_law(target, sde, t) for t in (sde.T, sde.eps))
    errors = []
    for steps in (128, 256):

        def sampler(x, run, steps=steps):
            return OnGrid(by, LogSNR(steps)).integrate(reverse, x, sde.T, sde.eps, run)

        errors.append(float(relative_error(exact_spectrum(sampler, start), end).norm()))
    assert math.log2(errors[0] / errors[1]) > 1.8


# ER-SDE


@pytest.mark.parametrize("level", [1.0, math.sqrt(0.5)])
def test_er_sde_is_the_published_update_for_the_same_noise(level):
    """arXiv 2309.06169 with its noise functions q^2 and q^1.5, integrated in closed form."""
    levels, power = Levels(level=level), 1.0 + level**2
    x, known, q = levels.x, [], [math.exp(-lam) for lam in levels.lam]

    def primitive(u, k):
        return math.log(u) if k == -1.0 else u ** (k + 1.0) / (k + 1.0)

    for n in range(len(q) - 1):
        known.append(levels.model(x, n))
        r = (q[n + 1] / q[n]) ** power
        y = r * x / levels.alpha[n] + (1.0 - r) * known[-1]
        first, second = (
            q[n + 1] ** power * (primitive(q[n], k - power) - primitive(q[n + 1], k - power))
            for k in (0.0, 1.0)
        )
        if n > 0:
            d0 = (known[-1] - known[-2]) / (q[n] - q[n - 1])
            y = y + (q[n + 1] - q[n] + first) * d0
        if n > 1:
            d1 = (known[-2] - known[-3]) / (q[n - 1] - q[n - 2])
            curve = 2.0 * (d0 - d1) / (q[n] - q[n - 2])
            y = y + ((q[n + 1] - q[n]) ** 2 / 2.0 + second - q[n] * first) * curve
        y = y + math.sqrt(q[n + 1] ** 2 - r**2 * q[n] ** 2) * levels.noise[n]
        x = levels.alpha[n + 1] * y
    close(levels.ours(ERSDE(3)), x, rtol=1e-9, atol=1e-9)


def phi(q):
    return q * (torch.exp(q**0.3) + 10.0)


def test_the_stochasticity_of_er_sde_is_that_of_its_noise_function():
    sde = VPSDE()
    level = ERStochasticity(sde)
    for t in (1e-3, 0.1, 0.5, 1.0):
        q = torch.tensor(
            math.exp(-0.5 * sde.at(t).log_snr), dtype=torch.float64, requires_grad=True
        )
        (slope,) = torch.autograd.grad(phi(q).log(), q)
        assert level(t) ** 2 == pytest.approx(float(slope * q.detach()) - 1.0, rel=1e-9)


# Precision


@pytest.mark.parametrize("sde", [VPSDE(), VESDE()])
@pytest.mark.parametrize("by", PRECISE)
def test_float32_and_half_precision_lose_no_more_than_rounding(sde, by):
    """Data of standard deviation 0.5 with a state in float32 or a model in half precision."""
    exact = GaussianScore(sde)

    def half(x, t):
        """A network that predicts the noise in half precision."""
        sigma = sde.sigma(t.double())[:, None]
        return (-sigma * exact.in_float64(x, t)).half().to(x.dtype)

    x = sde.prior((256, 2), SharedNoise(0), torch.float64)
    onto = OnGrid(by, LogSNR(40, 0.8))
    runs = {}
    for name, score, dtype in (
        ("double", exact, torch.float64),
        ("single", exact, torch.float32),
        ("half", FromNoise(half, sde), torch.float32),
    ):
        reverse = ReverseSDE(sde, score, 0.0)
        runs[name] = onto.integrate(reverse, x.to(dtype), sde.T, sde.eps, QUIET).double()
    assert float((runs["single"] - runs["double"]).abs().max()) < 4e-6
    # Half precision rounds the noise by 2^-12, in units of the noise: few of these at the scale
    # of the data.
    assert float((runs["half"] - runs["double"]).abs().max()) < 4e-3
    assert float((runs["half"] - runs["double"]).square().mean().sqrt()) < 8e-4


@pytest.mark.parametrize("sde", [VPSDE(), VESDE()])
@pytest.mark.parametrize("by", PRECISE)
def test_near_eps_no_more_than_rounding_is_lost(sde, by):
    """Data of standard deviation 0.01 around -1, 0 and 1, which end as narrow as sigma is there.

    A state or data prediction in half precision anywhere would be off by 2^-12 of 1; a noise
    prediction in half precision is off by 2^-12 of the width.
    """
    exact = gaussian_score(sde, (1e-4, 1e-4, 1e-4))

    def half(x, t):
        sigma = sde.sigma(t.double())[:, None]
        return (-sigma * exact(x.double(), t)).half().to(x.dtype)

    x = sde.prior((256, 3), SharedNoise(0), torch.float64)
    onto = OnGrid(by, LogSNR(40, 0.8))
    runs = {}
    for name, score, dtype in (
        ("double", exact, torch.float64),
        ("single", exact, torch.float32),
        ("half", FromNoise(half, sde), torch.float32),
    ):
        reverse = ReverseSDE(sde, score, 0.0)
        runs[name] = onto.integrate(reverse, x.to(dtype), sde.T, sde.eps, QUIET).double()
    width = runs["double"].std(0).mean()
    assert 0.005 < width < 0.03
    assert float((runs["single"] - runs["double"]).abs().max()) < 16 * 2.0**-24
    assert float((runs["half"] - runs["double"]).square().mean().sqrt()) < 2.0**-11 * width
