"""torchsde as a back end: parity, cost, orders, adjoint, and what it says when it cannot go on."""

from __future__ import annotations

import gc
import math
import re
import subprocess
import sys
import weakref
from itertools import pairwise

import pytest
import torch
import torchsde
from bundled import BRIEF, SHARED, checks_of
from common import Cubic, GaussianScore, normal
from probing import MEANS, VARIANCES, Script, errors, law_of

import sdeplug as sp
from sdeplug import (
    EDMSDE,
    VESDE,
    VPSDE,
    ArgumentError,
    Corrected,
    Counted,
    FromNoise,
    Leg,
    LogSNR,
    NonFiniteError,
    OnGrid,
    PerSampleNoise,
    Pipeline,
    ReverseSDE,
    Run,
    SharedNoise,
    Silence,
    StepError,
    Trajectory,
    Uniform,
    solver,
)
from sdeplug.testing import (
    exact_law,
    paired_laws,
    parametrize_with_checks,
    relative_error,
    weak_error,
)
from sdeplug_song import Langevin
from sdeplug_torchsde import (
    SRK,
    AdaptiveHeun,
    AdaptiveSRK,
    Euler,
    Heun,
    LogODE,
    Midpoint,
    Milstein,
    ReversibleHeun,
)
from sdeplug_torchsde.adaptive import _Adaptive
from sdeplug_torchsde.clock import Clock
from sdeplug_torchsde.memory import Memory
from sdeplug_torchsde.problem import Multiple

close = torch.testing.assert_close
FIXED = [Euler, Milstein, SRK, Heun, Midpoint, LogODE, ReversibleHeun]
WITH_ADJOINT = [Heun, Midpoint, LogODE, ReversibleHeun]
ADAPTIVE = [AdaptiveSRK, AdaptiveHeun]
SDE = VPSDE()
REVERSE = ReverseSDE(SDE, GaussianScore(SDE))
T, S = 0.9, 0.2


def names(each):
    return each.__name__ if isinstance(each, type) else None


def run(seed=0):
    return Run(SharedNoise(seed))


# Conformance. milstein and log-ode are bit for bit the methods before them, as tested below.


@pytest.mark.slow
@parametrize_with_checks([SRK()], fast=True)
def test_conformance(check):
    check()


@pytest.mark.slow
@checks_of([Euler(steps=3), Heun(), Midpoint(), ReversibleHeun()], kept=BRIEF)
def test_conformance_of_the_others(check):
    check()


@pytest.mark.slow
@checks_of(
    [AdaptiveSRK(5e-4, 5e-4, first_step=0.2), OnGrid(Corrected(SRK(), Langevin()), LogSNR(5))],
    kept=BRIEF,
)
def test_conformance_of_many_steps(check):
    check()


@pytest.mark.slow
@checks_of([AdaptiveHeun(0.01, 0.01)], kept=BRIEF, shared=SHARED)
def test_conformance_of_another_tableau_of_many_steps(check):
    check()


# Parity


class ByHand:
    """The reverse SDE as one writes it for torchsde, with its own noise type."""

    def __init__(self, noise, calculus):
        self.noise_type, self.sde_type = noise, calculus

    def f(self, tau, y):
        return -REVERSE.drift(y, T - float(tau))

    def g(self, tau, y):
        g = torch.full_like(y, REVERSE.diffusion(T - float(tau)))
        return g.diag_embed() if self.noise_type == "additive" else g


class Replayed:
    """Increments made of given normals, step by step."""

    def __init__(self, draws, area, like):
        self.draws, self.levy_area_approximation = list(draws), area
        self.shape, self.dtype, self.device = like.shape, like.dtype, like.device

    def size(self):
        return self.shape

    def __call__(self, ta, tb, return_U=False, return_A=False):
        h = float(tb - ta)
        increment = math.sqrt(h) * self.draws.pop(0)
        if return_U:
            return increment, h * (0.5 * increment + math.sqrt(h / 12.0) * self.draws.pop(0))
        if return_A:
            return increment, increment.new_zeros(*increment.shape, increment.shape[-1])
        return increment


@pytest.mark.parametrize("cls", FIXED, ids=names)
def test_it_gives_what_torchsde_gives(cls):
    """torchsde called by hand with the noise type of images, on the same noise."""
    steps, method, x = 7, cls.method, normal(4, 3)
    draws = [normal(4, 3, seed=k) for k in range(2 * steps)]
    noise = "additive" if cls is SRK else "diagonal"
    wanted = torchsde.sdeint(
        ByHand(noise, method.calculus),
        x,
        torch.tensor([0.0, T - S], dtype=torch.float64),
        bm=Replayed(draws, method.area, x),
        method=method.name,
        dt=(T - S) / steps * (1.0 + 1e-12),
    )[-1]
    close(cls(steps).integrate(REVERSE, x, T, S, Run(Script(draws))), wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("cls", FIXED, ids=names)
@pytest.mark.parametrize("noiseless_last", [False, True])
def test_steps_of_a_grid_are_calls_of_torchsde_one_by_one(cls, noiseless_last, monkeypatch):
    """To the bit, and without the calls, which cost more than the steps."""
    grid, x = Uniform(4), normal(4, 3)
    times, noise = grid.times(T, S, SDE), SharedNoise(0)
    wanted = x
    for t, s in pairwise(times):
        silent = noiseless_last and s == S
        wanted = cls().integrate(REVERSE, wanted, t, s, Run(Silence() if silent else noise))
    monkeypatch.setattr(torchsde, "sdeint", None)
    out = OnGrid(cls(), grid, noiseless_last).integrate(REVERSE, x, T, S, run())
    assert torch.equal(out, wanted)


@pytest.mark.parametrize("cls", FIXED, ids=names)
def test_a_sequence_of_steps_takes_states_of_any_shape_and_keeps_gradients(cls):
    noise = SharedNoise(0)
    advance = cls().begin(REVERSE, Run(noise))
    states = [normal(4, 3), normal(2, 3).float(), normal(2, 2, 2)]
    for x in states:
        start = x.clone().requires_grad_()
        out = advance(start, T, S)
        assert (out.shape, out.dtype) == (x.shape, x.dtype)
        out.sum().backward()
        assert start.grad is not None
        assert start.grad.isfinite().all()


@pytest.mark.parametrize(("one", "other"), [(Milstein, Euler), (LogODE, Midpoint)], ids=names)
def test_two_methods_are_others_where_the_noise_is_additive(one, other):
    x = normal(4, 3)
    results = [cls(5).integrate(REVERSE, x, T, S, run()) for cls in (one, other)]
    close(*results, rtol=0.0, atol=0.0)


def test_one_step_of_reversible_heun_is_one_of_heun():
    x = normal(4, 3)
    results = [cls().integrate(REVERSE, x, T, S, run()) for cls in (ReversibleHeun, Heun)]
    close(*results, rtol=1e-12, atol=1e-12)


def test_euler_is_euler_maruyama():
    x = normal(4, 3)
    mine = Euler(5).integrate(REVERSE, x, T, S, run())
    theirs = OnGrid(solver("song/euler-maruyama"), Uniform(5)).integrate(REVERSE, x, T, S, run())
    close(mine, theirs, rtol=1e-12, atol=1e-12)


def test_steps_are_those_of_a_uniform_grid():
    x = normal(4, 3)
    for by in (Euler, SRK, Heun, Midpoint):
        one = by(5).integrate(REVERSE, x, T, S, run())
        many = OnGrid(by(), Uniform(5)).integrate(REVERSE, x, T, S, run())
        close(one, many, rtol=1e-10, atol=1e-10)


# Cost


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


# As a part of something


@pytest.mark.parametrize("by", [SRK(steps=20), AdaptiveHeun()])
def test_it_is_a_leg(by):
    seen = Trajectory()
    legs = (Leg(0.5, by), Leg(0.1, OnGrid(Corrected(by, Langevin(snr=0.1)), Uniform(3))))
    samples = Pipeline(REVERSE, legs).sample((16, 2), seed=0, observers=(seen,))
    assert samples.x.isfinite().all()
    times = seen.times
    assert times == sorted(times, reverse=True)
    assert len(times) == len(set(times)) > 20
    again = Pipeline(REVERSE, legs).sample((16, 2), seed=0)
    close(again.x, samples.x, rtol=0.0, atol=0.0)


def test_an_sde_that_is_not_linear():
    reverse = ReverseSDE(Cubic(), lambda x, t: -x)
    for by in (Heun(8), AdaptiveSRK()):
        assert by.integrate(reverse, 0.3 * normal(4, 3), 0.3, 0.1, run()).isfinite().all()


# Gradients


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner = torch.nn.Linear(3, 16, dtype=torch.float64)
        self.outer = torch.nn.Linear(16, 2, dtype=torch.float64)

    def forward(self, x, t):
        return self.outer(torch.tanh(self.inner(torch.cat([x, t[:, None]], 1))))


def gradients(by, net, x):
    """Of x and of the weights; forward and backward evaluations."""
    with torch.random.fork_rng():
        counted = Counted(FromNoise(net, SDE))
        x = x.clone().requires_grad_()
        y = by.integrate(ReverseSDE(SDE, counted), x, 0.9, 0.5, run())
        forward = counted.nfe
        weights = list(net.parameters())
        grads = torch.autograd.grad(y.square().sum(), [x, *weights])
    return torch.cat([each.flatten() for each in grads]), forward, counted.nfe - forward


@pytest.mark.parametrize("cls", WITH_ADJOINT, ids=names)
def test_the_adjoint_finds_the_gradients(cls):
    with torch.random.fork_rng():
        net = Net()
    x, off = normal(5, 2), []
    for steps in (16, 32):
        plain, forward, none = gradients(cls(steps), net, x)
        adjoint, same, back = gradients(cls(steps, adjoint=True), net, x)
        assert none == 0
        assert same == forward == cls(steps).claims.evaluations
        # Of the first drift, which reversible Heun keeps, the graph is made again.
        assert back == 2 * steps + (cls is ReversibleHeun)
        off.append(float((adjoint - plain).norm() / plain.norm()))
    if cls is ReversibleHeun:
        assert max(off) < 1e-10
    else:
        assert off[1] < 0.45 * off[0]
        assert off[1] < 0.05


class Kept:
    """A tensor that a graph keeps."""

    def __init__(self, tensor):
        self.size = 0 if isinstance(tensor, torch.nn.Parameter) else tensor.numel()


@pytest.mark.parametrize("cls", WITH_ADJOINT, ids=names)
def test_an_adjoint_keeps_no_graph_of_the_network(cls):
    wide, alive = torch.nn.Linear(2, 1000, dtype=torch.float64), weakref.WeakSet()

    def pack(tensor):
        kept = Kept(tensor)
        alive.add(kept)
        return kept

    def score(x, t):
        return -wide(x).tanh().reshape(len(x), 2, -1).mean(-1)

    x = normal(5, 2).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: None):
        y = cls(4, adjoint=True).integrate(ReverseSDE(SDE, score), x, T, S, run())
    assert y.requires_grad
    assert sum(each.size for each in alive) < 1000


def test_an_adjoint_without_gradients_is_none():
    x = normal(5, 2)
    for by in (Heun(4, adjoint=True), ReversibleHeun(4, adjoint=True)):
        wanted = type(by)(4).integrate(REVERSE, x, T, S, run())
        close(by.integrate(REVERSE, x, T, S, run()), wanted, rtol=0.0, atol=0.0)
        with torch.no_grad():
            close(by.integrate(REVERSE, x, T, S, run()), wanted, rtol=0.0, atol=0.0)


# Bad input


@pytest.mark.parametrize("cls", ADAPTIVE, ids=names)
@pytest.mark.parametrize(
    "options", [{"rtol": 0.0}, {"atol": -1.0}, {"max_steps": 0}, {"dt_min": 0.0}, {"first_step": 0}]
)
def test_bad_options_are_refused(cls, options):
    with pytest.raises(ArgumentError, match=next(iter(options))):
        cls(**options)


def failure(by: _Adaptive, score, error, match):
    legs = (Leg(0.1, by),)
    with pytest.raises(error, match=match) as caught:
        Pipeline(ReverseSDE(SDE, score), legs).sample((6, 2), seed=0)
    found = caught.value
    assert type(by).__name__ in str(found)
    assert found.leg == 0
    assert 0 <= found.row < 6
    assert found.last.isfinite().all()
    assert found.last.shape == (6, 2)
    return found


@pytest.mark.parametrize("cls", ADAPTIVE, ids=names)
def test_a_budget_that_is_too_small(cls):
    found = failure(cls(max_steps=7), GaussianScore(SDE), StepError, "max_steps")
    assert found.t < 1.0
    assert found.last_t < 1.0
    assert found.step > 0.0


@pytest.mark.parametrize("cls", ADAPTIVE, ids=names)
def test_a_step_that_falls_below_the_least(cls):
    found = failure(cls(rtol=1e-9, atol=1e-9, dt_min=1e-4), rough, StepError, "dt_min")
    assert found.step < 1e-4
    assert found.row == 3


@pytest.mark.parametrize("cls", ADAPTIVE, ids=names)
def test_a_span_shorter_than_the_least_step_is_one_step(cls):
    x = normal(4, 3)
    y = cls(dt_min=1e-4).integrate(REVERSE, x, T, T - 1e-6, run())
    assert 0.0 < float((y - x).abs().max()) < 0.1


def rough(x, t):
    """A score that no step resolves, in row 3."""
    score = -x
    score[3] = -1e4 * torch.sin(1e6 * x[3])
    return score


@pytest.mark.parametrize("cls", ADAPTIVE, ids=names)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_score_that_breaks_half_way(cls, value):
    def score(x, t):
        found = -x
        if float(t[0]) < 0.5:
            found[4] = value
        return found

    found = failure(cls(), score, NonFiniteError, "non-finite")
    assert found.row == 4
    assert found.t < 0.5
    assert found.last_t < 0.6
    lost = re.search(r"score model itself .* for t = ([\d.]+)\. ", str(found))
    assert found.last_t < 0.5 or (lost is not None and float(lost[1]) < 0.5)


def test_fixed_steps_are_guarded_on_their_way():
    def score(x, t):
        return -x * (math.nan if float(t[0]) < 0.5 else 1.0)

    found = failure(SRK(steps=50), score, NonFiniteError, "finite")
    assert 0.4 < found.last_t < 0.6


def test_an_assertion_of_the_score_is_its_own():
    def score(x, t):
        raise AssertionError("mine")

    with pytest.raises(AssertionError, match="mine"):
        AdaptiveSRK().integrate(ReverseSDE(SDE, score), normal(4, 3), T, S, run())
