"""torchsde as a back end: evaluations, memory, orders and the noise of rows."""

from __future__ import annotations

import gc
import math
import subprocess
import sys
from itertools import pairwise

import pytest
import torch
from common import GaussianScore, normal
from plugins.torchsde.methods import ADAPTIVE, FIXED, REVERSE, SDE, S, T, names, run
from probing import MEANS, VARIANCES, Script, errors, law_of

import sdeplug as sp
from sdeplug import (
    EDMSDE,
    VESDE,
    VPSDE,
    Counted,
    LogSNR,
    OnGrid,
    PerSampleNoise,
    ReverseSDE,
    Run,
    SharedNoise,
    Silence,
    Trajectory,
    solver,
)
from sdeplug.testing import (
    exact_law,
    paired_laws,
    relative_error,
    weak_error,
)
from sdeplug_torchsde import (
    SRK,
    AdaptiveHeun,
    AdaptiveSRK,
    Euler,
    Heun,
    LogODE,
    Midpoint,
    ReversibleHeun,
)
from sdeplug_torchsde.clock import Clock
from sdeplug_torchsde.memory import Memory
from sdeplug_torchsde.problem import Multiple

close = torch.testing.assert_close


@pytest.mark.parametrize("cls", FIXED, ids=names)
@pytest.mark.parametrize("steps", [1, 49])
def test_no_evaluation_is_hidden(cls, steps):
    counted = Counted(GaussianScore(SDE))
    cls(steps).integrate(ReverseSDE(SDE, counted), normal(4, 3), T, S, run())
    each = {SRK: 2, Heun: 2, Midpoint: 2, LogODE: 2}.get(cls, 1)
    assert counted.nfe == each * steps + (cls is ReversibleHeun)
    assert counted.nfe == cls(steps).claims.evaluations


def test_adaptive_steps_share_what_they_have_in_common():
    """Five evaluations of srk, where torchsde makes nine; one less after a rejection."""
    counted, seen = Counted(GaussianScore(SDE)), Trajectory()
    tried = AdaptiveSRK(first_step=1e-3)
    tried.integrate(ReverseSDE(SDE, counted), normal(64, 3), T, S, Run(SharedNoise(0), (seen,)))
    accepted = len(seen.times) + 1
    assert (counted.nfe - 5 * accepted) % 4 == 0
    assert counted.nfe < 7 * accepted


def test_a_drift_is_known_by_time_and_tensor():
    memory, y, drift = Memory(2), torch.ones(1, 1), torch.zeros(1, 1)
    memory.keep(0.5, y, drift)
    assert memory.find(0.5, y) is drift
    assert memory.find(0.6, y) is None
    assert memory.find(0.5, y.clone()) is None
    assert memory.find(0.5, y.detach()) is None
    for tau in (0.7, 0.8):
        memory.keep(tau, y, drift)
    assert memory.find(0.5, y) is None


def test_no_matrix_is_made():
    product = torch.bmm(Multiple(2.0, 4), torch.ones(4, 1, 1))
    close(product, torch.full((4, 1, 1), 2.0))
    with pytest.raises(TypeError):
        torch.add(Multiple(2.0, 4), 1.0)


@pytest.mark.parametrize("by", [Euler(300), SRK(300), AdaptiveHeun(), AdaptiveSRK()])
def test_memory_does_not_grow_with_the_steps(by):
    """Of the path no more is kept than the steps that are being tried."""
    kept, seen = [], []

    def watched(event):
        seen.append(event.t)
        if len(seen) in (10, 30):
            kept.append(sum(each.numel() == 77 for each in tensors()))

    by.integrate(REVERSE, normal(7, 11), T, S, Run(SharedNoise(0), (watched,)))
    assert len(kept) == 2
    assert kept[1] < kept[0] + 15


def tensors():
    return [each for each in gc.get_objects() if type(each) is torch.Tensor]


@pytest.mark.thorough
def test_listing_imports_no_back_end():
    program = (
        "import sys, sdeplug.registry as r; names = r.registry().solvers(); "
        "assert 'torchsde/srk' in names; import sdeplug_torchsde; "
        "assert not any(name.split('.')[0] == 'torchsde' for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_short_names_of_others_stay():
    assert solver("heun") == solver("ode/heun")
    assert solver("euler") == solver("ode/euler")
    assert solver("srk") == SRK()


# Time


@pytest.mark.parametrize(("t", "s", "steps"), [(1.0, 1e-3, 1000), (80.0, 2e-3, 7), (0.3, 0.1, 3)])
def test_the_clock_lands_on_the_end(t, s, steps):
    clock = Clock.counting(t, s, steps)
    times = [clock.time(k / 4.0) for k in range(4 * steps + 1)]
    assert times[0] == t
    assert times[-1] == s
    assert all(a >= b for a, b in pairwise(times))
    assert clock.time(clock.end + 1.0) == s


# Orders


@pytest.mark.parametrize(("cls", "order"), [(Euler, 1), (SRK, 2), (Heun, 2), (Midpoint, 2)])
def test_order_of_the_exact_law_of_a_gaussian(cls, order):
    """In one call: the midpoint rule is of order 2 for a drift that is linear."""
    one, other = (errors(OnGrid(cls(steps=4), LogSNR(n)), SDE) for n in (32, 64))
    assert math.log2(float(one.norm() / other.norm())) > order - 0.1


@pytest.mark.parametrize(("cls", "order"), [(SRK, 2), (Heun, 2), (Midpoint, 1)])
def test_weak_order_of_a_mixture(cls, order):
    """Here the drift is bent, and the midpoint rule of order 1."""
    mixture = sp.targets.GaussianMixture(None, [[-1.0], [1.0]], std=0.55)
    reverse = ReverseSDE(SDE, mixture.score(SDE))
    one, other = (weak_error(cls(), reverse, mixture, LogSNR(n)) for n in (32, 64))
    assert order - 0.3 < math.log2(one / other) < order + 0.4


def strong_error(steps):
    """Root mean square distance of srk to the exact solution, over the law of the paths.

    Both are linear in the path: the solution by its kernel, the sampler by that of W and of H,
    which in a step [a, b] is ((b - u) / h - 1 / 2).
    """
    variance, mean = 0.25, 0.4
    score = GaussianScore(SDE, mean, variance)
    times = LogSNR(steps).times(SDE.T, SDE.eps, SDE)
    noise = torch.zeros(2 * steps, 2 * steps + 1, dtype=torch.float64)
    noise[:, 1:] = torch.eye(2 * steps)
    draws = [each.reshape(-1, 1) for each in noise]
    by = OnGrid(SRK(), LogSNR(steps))
    zero = torch.zeros(2 * steps + 1, 1, dtype=torch.float64)
    reverse = ReverseSDE(SDE, score)
    plain = by.integrate(reverse, zero, SDE.T, SDE.eps, Run(Script(draws))).flatten()
    gain = by.integrate(reverse, zero[:1] + 1.0, SDE.T, SDE.eps, Run(Silence())) - plain[0]
    weights = (plain[1:] - plain[0]).reshape(-1, 2)

    def spread(u):
        now = SDE.at(u)
        return now.alpha**2 * variance + now.sigma**2

    def transition(u):
        return spread(SDE.eps) / spread(u) * SDE.at(u).alpha / SDE.at(SDE.eps).alpha

    total = float((gain - transition(SDE.T)) ** 2) * spread(SDE.T)
    # Gauss-Legendre nodes of order 5 on [0, 1] are exact enough for the smooth kernel.
    nodes = (0.04691007703066801, 0.23076534494715845, 0.5, 0.7692346550528415, 0.953089922969332)
    parts = (0.11846344252809454, 0.23931433524968324, 0.28444444444444444)
    parts = (*parts, parts[1], parts[0])
    for (late, early), (of_w, of_h) in zip(pairwise(times), weights.tolist(), strict=True):
        h = late - early
        for node, part in zip(nodes, parts, strict=True):
            u = late - node * h
            kernel = transition(u) * SDE.at(u).diffusion
            own = of_w / math.sqrt(h) + of_h * math.sqrt(12.0 / h) * (0.5 - node)
            total += part * h * (own - kernel) ** 2
    return math.sqrt(total)


def test_strong_order_of_srk():
    one, other = strong_error(64), strong_error(128)
    assert other < 1e-3
    # A bent drift would leave 1.5; W without its integral gives 1.
    assert math.log2(one / other) == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("cls", ADAPTIVE, ids=names)
def test_the_error_falls_with_the_tolerance(cls):
    def off(tolerance):
        by = cls(rtol=tolerance, atol=tolerance)
        laws = paired_laws(
            lambda x, run: by.integrate(reverse, x, sde.T, sde.eps, run), law_of(sde, sde.T), 512
        )
        wanted = law_of(sde, sde.eps)
        return float(torch.stack([relative_error(law, wanted) for law in laws]).mean(0).norm())

    sde = VPSDE(eps=1e-2)
    reverse = ReverseSDE(sde, GaussianScore(sde, MEANS, VARIANCES))
    coarse, fine = off(3e-2), off(3e-3)
    assert fine < 0.4 * coarse
    assert fine < 2e-2


@pytest.mark.parametrize("sde", [VPSDE(), VESDE(), EDMSDE()], ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("cls", [SRK, Heun], ids=names)
def test_stochasticity_zero_follows_the_flow(cls, sde):
    """No noise is drawn, and what is left is a Runge-Kutta method of order 2."""
    reverse = ReverseSDE(sde, GaussianScore(sde), 0.0)
    law = exact_law(
        lambda x, run: OnGrid(cls(), LogSNR(64)).integrate(reverse, x, sde.T, sde.eps, run),
        law_of(sde, sde.T, torch.full((3,), 0.25, dtype=torch.float64)),
    )
    assert law.covariance.isfinite().all()
    x = normal(3, 2)
    close(
        cls(9).integrate(reverse, x, sde.T, 0.5 * sde.T, Run(Script([]))),
        cls(9).integrate(reverse, x, sde.T, 0.5 * sde.T, run(1)),
        rtol=0.0,
        atol=0.0,
    )


# Rows, ranks, seeds


@pytest.mark.parametrize("cls", [Euler, SRK, ReversibleHeun], ids=names)
def test_rows_and_coordinates_have_noise_of_their_own(cls):
    by, x = cls(4), torch.zeros(64, 3, 5, dtype=torch.float32)
    y = by.integrate(REVERSE, x, T, S, run())
    assert y.shape == x.shape
    assert y.dtype == x.dtype
    assert len(y.unique()) == y.numel()
    assert float(torch.corrcoef(y.reshape(64, 15).T).triu(1).abs().max()) < 0.55
    alone = Run(PerSampleNoise(3, [7]))
    together = Run(PerSampleNoise(3, [5, 7]))
    close(
        by.integrate(REVERSE, x[:1], T, S, alone),
        by.integrate(REVERSE, x[:2], T, S, together)[1:],
        rtol=1e-6,
        atol=1e-6,
    )


@pytest.mark.thorough
def test_a_rejected_step_keeps_its_path():
    """However the first step was chosen, the end is near that of many small steps on the path."""
    path = SharedNoise(0).brownian(normal(8, 3), T, S)

    class OnePath(SharedNoise):
        def brownian(self, like, t, s):
            return path

    path.forget = lambda above: None
    fine = Heun(4096).integrate(REVERSE, normal(8, 3), T, S, Run(OnePath(0)))
    for first in (0.5, 1e-4):
        by = AdaptiveHeun(rtol=1e-3, atol=1e-3, first_step=first)
        rough = by.integrate(REVERSE, normal(8, 3), T, S, Run(OnePath(0)))
        close(rough, fine, rtol=0.0, atol=0.02)
