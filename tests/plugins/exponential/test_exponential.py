"""The exponential multistep family: published updates, memory, stochasticity, precision."""

from __future__ import annotations

import math

import pytest
import torch
from exponential.family import Levels, bent

from sdeplug import (
    ArgumentError,
    Counted,
    solver,
)
from sdeplug.registry import named, registry
from sdeplug_exponential import (
    DDIM,
    Adams,
    DPMpp2M,
    DPMpp2MSDE,
    SASolver,
    UniPC,
)

close = torch.testing.assert_close


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
