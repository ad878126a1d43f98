"""Combinators against loops written by hand, bit by bit."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
import torch
from common import GaussianScore, normal

from sdeplug import (
    At,
    Corrected,
    Corrector,
    Denoise,
    Integrator,
    Karras,
    LogSNR,
    OnGrid,
    ReverseSDE,
    Run,
    SharedNoise,
    Silence,
    Uniform,
    solver,
)
from sdeplug.errors import ArgumentError
from sdeplug.sde import VPSDE

EM = solver("song/euler-maruyama")
ANNEALED = solver("song/annealed-langevin")
SDE = VPSDE()
REVERSE = ReverseSDE(SDE, GaussianScore(SDE))
X = normal(4, 2)


def run(seed: int = 3) -> Run:
    return Run(SharedNoise(seed))


@dataclass(frozen=True)
class Step(Integrator):
    """Writes down what it is asked to do."""

    log: list = field(default_factory=list)

    def integrate(self, reverse, x, t, s, run):
        self.log.append(("step", t, s))
        return x + 1.0


@dataclass(frozen=True)
class Sweep(Corrector):
    log: list = field(default_factory=list)

    def correct(self, reverse, x, t, run):
        self.log.append(("sweep", t))
        return 2.0 * x


@dataclass(frozen=True)
class Memory(Integrator):
    """A noisy two-step method: its state is lost if it is begun anew, or asked twice."""

    def integrate(self, reverse, x, t, s, run):
        return self.begin(reverse, run)(x, t, s)

    def begin(self, reverse, run):
        last = [0.0]

        def advance(x, t, s):
            last[0] = 0.5 * last[0] + reverse.score(x, t)
            return x + (t - s) * last[0] + math.sqrt(t - s) * run.noise.normal(x)

        return advance


class Watch:
    def __init__(self) -> None:
        self.events = []

    def __call__(self, event):
        self.events.append(event)


@pytest.mark.parametrize(
    "grid", [Uniform(7), Karras(5), LogSNR(3), At((0.5, 0.3)), Uniform(1)], ids=repr
)
@pytest.mark.parametrize("by", [EM, Memory(), solver("ode/heun")], ids=repr)
def test_on_grid_is_the_loop(by, grid):
    times = list(grid.times(1.0, 0.1, SDE))
    noisy, x = run(), X
    advance = by.begin(REVERSE, noisy)
    for t, s in pairwise(times):
        x = advance(x, t, s)
    watch = Watch()
    seen = Run(SharedNoise(3), (watch,), leg=2)
    assert torch.equal(OnGrid(by, grid).integrate(REVERSE, X, 1.0, 0.1, seen), x)
    assert [event.t for event in watch.events] == times[1:-1]
    assert all(event.leg == 2 for event in watch.events)


def test_on_grid_leaves_a_method_its_memory():
    by, x, advance = OnGrid(Memory(), Uniform(4)), X, run()
    for t, s in pairwise([1.0, 0.75, 0.5, 0.25, 0.0]):
        x = Memory().integrate(REVERSE, x, t, s, advance)
    assert not torch.equal(by.integrate(REVERSE, X, 1.0, 0.0, run()), x)


def test_nested_grids_are_one_grid():
    nested = OnGrid(OnGrid(EM, Uniform(2)), Uniform(4))
    flat = OnGrid(EM, Uniform(8))
    out = [by.integrate(REVERSE, X, 1.0, 0.0, run()) for by in (nested, flat)]
    assert torch.equal(*out)
    assert nested.claims == flat.claims
    watch = Watch()
    nested.integrate(REVERSE, X, 1.0, 0.0, Run(SharedNoise(3), (watch,)))
    assert [event.t for event in watch.events] == [1 - k / 8 for k in range(1, 8)]


@pytest.mark.parametrize(("t", "s"), [(0.5, 0.5), (0.5, 0.6), (1.1, 0.5)])
def test_on_grid_runs_down(t, s):
    with pytest.raises(ArgumentError, match="0 <= s < t <= T"):
        OnGrid(EM, Uniform(3)).integrate(REVERSE, X, t, s, run())


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("sweeps", [0, 1, 3])
def test_corrected_calls_its_parts_in_order(before, sweeps):
    log: list = []
    by = Corrected(Step(log), Sweep(log), sweeps, before)
    out = by.integrate(REVERSE, X, 0.8, 0.6, run())
    step, swept = [("step", 0.8, 0.6)], [("sweep", 0.8 if before else 0.6)] * sweeps
    assert log == (swept + step if before else step + swept)
    assert torch.equal(out, X * 2**sweeps + 1 if before else (X + 1) * 2**sweeps)


@pytest.mark.parametrize("before", [False, True])
def test_predictor_corrector_on_a_grid_is_algorithm_1(before):
    noisy, x = run(), X
    advance = Memory().begin(REVERSE, noisy)  # begun once: its memory outlives the corrector
    for t, s in pairwise([1.0, 0.7, 0.4, 0.2, 0.1]):
        if before:
            x = ANNEALED.correct(REVERSE, x, t, noisy)
        x = advance(x, t, s)
        if not before:
            x = ANNEALED.correct(REVERSE, x, s, noisy)
    by = OnGrid(Corrected(Memory(), ANNEALED, before=before), At((0.7, 0.4, 0.2)))
    assert torch.equal(by.integrate(REVERSE, X, 1.0, 0.1, run()), x)


@pytest.mark.parametrize("predictor", [EM, Memory()], ids=repr)
@pytest.mark.parametrize("sweeps", [0, 2])
@pytest.mark.parametrize("before", [False, True])
def test_noiseless_last_silences_the_predictor_in_the_last_step_alone(predictor, sweeps, before):
    class Switch(SharedNoise):
        """Silent while told so: the loop tells it, in place of the combinator."""

        silent = False

        def normal(self, like):
            return torch.zeros_like(like) if self.silent else super().normal(like)

    noise, x = Switch(3), X
    loud = Run(noise)
    advance = predictor.begin(REVERSE, loud)
    for t, s in pairwise([1.0, 0.7, 0.4, 0.2, 0.1]):
        for _ in range(sweeps if before else 0):
            x = ANNEALED.correct(REVERSE, x, t, loud)
        noise.silent = s == 0.1
        x = advance(x, t, s)
        noise.silent = False
        for _ in range(0 if before else sweeps):
            x = ANNEALED.correct(REVERSE, x, s, loud)
    by = OnGrid(
        Corrected(predictor, ANNEALED, sweeps, before), At((0.7, 0.4, 0.2)), noiseless_last=True
    )
    assert torch.equal(by.integrate(REVERSE, X, 1.0, 0.1, run()), x)


def test_noiseless_last_returns_the_mean_of_the_last_step():
    noisy = run()
    x = EM.integrate(REVERSE, X, 1.0, 0.4, noisy)
    mean = x - 0.3 * REVERSE.drift(x, 0.4)
    by = OnGrid(EM, At((0.4,)), noiseless_last=True)
    torch.testing.assert_close(
        by.integrate(REVERSE, X, 1.0, 0.1, run()), mean, rtol=1e-14, atol=0.0
    )
    one = OnGrid(EM, Uniform(1), noiseless_last=True).integrate(REVERSE, X, 1.0, 0.1, run())
    assert torch.equal(one, EM.integrate(REVERSE, X, 1.0, 0.1, Run(Silence())))


def test_noiseless_last_silences_brownian_paths_too():
    @dataclass(frozen=True)
    class Path(Integrator):
        def integrate(self, reverse, x, t, s, run):
            return x + run.noise.brownian(x, t, s).increment(s, t)

    noisy = SharedNoise(3)
    x = X + noisy.brownian(X, 1.0, 0.5).increment(0.5, 1.0)
    by = OnGrid(Path(), Uniform(2), noiseless_last=True)
    assert torch.equal(by.integrate(REVERSE, X, 1.0, 0.0, run()), x)


def test_noiseless_last_keeps_the_memory_of_a_multistep_method():
    plain, silent = (
        OnGrid(solver("ode/adams-bashforth", order=3), Uniform(6), last) for last in (False, True)
    )
    outputs = [by.integrate(REVERSE, X, 1.0, 0.1, run()) for by in (plain, silent)]
    assert torch.equal(*outputs)


def test_denoise_is_the_posterior_mean(any_sde):
    for fraction in (0.05, 0.5, 1.0):
        t = fraction * any_sde.T
        now = any_sde.at(t)
        reverse = ReverseSDE(any_sde, GaussianScore(any_sde))
        x = now.alpha * 0.4 + now.sigma * X
        excess = (x - now.alpha * 0.4) / (now.alpha**2 * 0.25 + now.sigma**2)
        out = Denoise().integrate(reverse, x, t, 0.0, run())
        scale = 1e-10 * (1 + now.sigma) / now.alpha
        torch.testing.assert_close(out, 0.4 + now.alpha * 0.25 * excess, rtol=1e-10, atol=scale)


@pytest.mark.parametrize("s", [0.1, 1e-12])
def test_denoise_goes_to_the_data_only(s):
    with pytest.raises(ArgumentError, match=r"jumps to the data: write Leg\(0\.0"):
        Denoise().integrate(REVERSE, X, 0.5, s, run())
