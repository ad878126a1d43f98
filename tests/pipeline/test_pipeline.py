"""Pipelines from end to end, and everything that they refuse."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
import torch
from common import GaussianScore, normal
from hypothesis import given
from hypothesis import strategies as st
from pipeline.legs import EM, LEGS, PC, PIPELINE, REVERSE, SDE

import sdeplug
from sdeplug import (
    Corrected,
    Counted,
    Denoise,
    Integrator,
    Leg,
    LogSNR,
    OnGrid,
    PerSampleNoise,
    Pipeline,
    ReverseSDE,
    Run,
    SharedNoise,
    Trajectory,
    Uniform,
    solver,
)


def test_a_pipeline_is_its_legs_one_after_the_other():
    run = Run(SharedNoise(7))
    x = SDE.prior((6, 2), run.noise, torch.float64)
    t = 1.0
    for leg in LEGS:
        x, t = leg.by.integrate(REVERSE, x, t, leg.to, run), leg.to
    out = PIPELINE.sample((6, 2), seed=7, dtype=torch.float64)
    assert torch.equal(out.x, x)
    assert (out.t, out.nfe) == (0.0, 5 * 2 + 4 * 2 + 1)
    assert out.seconds > 0.0


def test_a_leg_has_its_own_stochasticity():
    levels = []

    @dataclass(frozen=True)
    class Look(Integrator):
        def integrate(self, reverse, x, t, s, run):
            levels.append(reverse.level(t))
            return x

    reverse = ReverseSDE(SDE, GaussianScore(SDE), 0.7)
    legs = (Leg(0.6, Look()), Leg(0.3, Look(), 0.0), Leg(0.1, Look(), stochasticity=2))
    Pipeline(reverse, legs).sample((2, 2))
    assert levels == [0.7, 0.0, 2]


@pytest.mark.parametrize("seed", [3, [3, 1, 4, 1]])
def test_the_same_seed_gives_the_same_samples(seed):
    before = torch.random.get_rng_state()
    first, again, other = (
        PIPELINE.sample((4, 2), seed=each).x for each in (seed, seed, [9, 9, 9, 9])
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_sample_with_its_own_seed_is_the_same_alone():
    whole = PIPELINE.sample((4, 3), seed=[3, 1, 4, 1], dtype=torch.float64).x
    assert torch.equal(whole[1], whole[3])
    for i, seed in enumerate([3, 1, 4]):
        alone = PIPELINE.sample((1, 3), seed=[seed], dtype=torch.float64).x
        torch.testing.assert_close(alone[0], whole[i], rtol=1e-10, atol=1e-10)
    back = PIPELINE.sample((3, 3), seed=range(4, 1, -1), dtype=torch.float64).x
    torch.testing.assert_close(back[:2], whole[[2, 0]], rtol=1e-10, atol=1e-10)
    wide = PIPELINE.sample((4, 3), seed=[3, 1, 4, 1]).x.double()
    torch.testing.assert_close(wide, whole, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("seed", [3, [3, 1, 4]])
def test_the_defaults_of_torch_do_not_matter(any_sde, seed):
    @dataclass(frozen=True)
    class Path(Integrator):
        def integrate(self, reverse, x, t, s, run):
            return x + run.noise.brownian(x, t, s).increment(s, t)

    def sample():
        sde = replace(any_sde)  # with an empty memo
        legs = (Leg(0.5, OnGrid(PC, LogSNR(3))), Leg(0.1, Path()), Leg(0.0, Denoise()))
        return Pipeline(ReverseSDE(sde, GaussianScore(sde)), legs).sample((3, 2), seed=seed).x

    wanted = sample()
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.equal(sample(), wanted)
    finally:
        torch.set_default_dtype(torch.float32)
    with torch.device("meta"):
        assert torch.equal(sample(), wanted)


def test_noise_may_come_from_elsewhere():
    assert torch.equal(
        PIPELINE.sample((2, 2), noise=PerSampleNoise(0, [5, 6])).x,
        PIPELINE.sample((2, 2), seed=[5, 6]).x,
    )


@pytest.mark.parametrize(
    "shape", [(1, 1), (3, 2), (2, 3, 2), (2, 1, 4, 4), torch.Size((2, 2)), [2, 2]]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shapes_and_dtypes_are_kept(any_sde, shape, dtype):
    legs = (Leg(0.5, OnGrid(PC, Uniform(3))), Leg(0.0, Denoise()))
    for seed in (0, range(shape[0])):
        out = Pipeline(ReverseSDE(any_sde, GaussianScore(any_sde)), legs).sample(
            shape, seed=seed, dtype=dtype
        )
        assert (out.x.shape, out.x.dtype) == (tuple(shape), dtype)
        assert bool(out.x.isfinite().all())


@given(st.integers(1, 6), st.integers(0, 3), st.integers(1, 4))
def test_evaluations_are_counted_where_the_score_is_called(steps, sweeps, rows):
    counted = Counted(GaussianScore(SDE))
    pc = Corrected(EM, solver("song/annealed-langevin", steps=2), sweeps)
    legs = (
        Leg(0.4, OnGrid(pc, Uniform(steps))),
        Leg(0.1, OnGrid(solver("ode/rk4"), Uniform(1))),
        Leg(0.0, Denoise()),
    )
    trace = []
    out = Pipeline(ReverseSDE(SDE, counted), legs).sample(
        (rows, 2), observers=(lambda event: trace.append(event.nfe),)
    )
    assert out.nfe == counted.nfe == steps * (1 + 2 * sweeps) + 4 + 1
    assert out.nfe == sum(leg.by.claims.evaluations for leg in legs)
    assert counted.rows == rows * out.nfe
    assert trace == [*((1 + 2 * sweeps) * k for k in range(steps + 1)), out.nfe - 1, out.nfe]


def test_events_are_one_for_each_time():
    log, watch = [], Trajectory()
    out = PIPELINE.sample((2, 2), observers=(watch, lambda e: log.append((e.t, e.leg, e.x))))
    grid = [LogSNR(4).times(0.5, 0.01, SDE)[k] for k in range(1, 5)]
    assert watch.times == pytest.approx([1.0, 0.9, 0.8, 0.7, 0.6, 0.5, *grid, 0.0])
    assert all(late > early for late, early in pairwise(watch.times))
    assert [leg for _, leg, _ in log] == [0] * 6 + [1] * 4 + [2]
    assert log[-1][2] is out.x


def test_a_run_may_start_elsewhere():
    x = normal(3, 2)
    before = x.clone()
    legs = (Leg(0.1, OnGrid(EM, Uniform(4))),)
    noise = SharedNoise(2)
    out = Pipeline(REVERSE, legs).sample((3, 2), x=x, t=0.6, noise=noise)
    assert torch.equal(out.x, legs[0].by.integrate(REVERSE, x, 0.6, 0.1, Run(SharedNoise(2))))
    assert torch.equal(x, before)
    assert out.x.dtype == torch.float64  # that of x, not the default of dtype
    whole = Pipeline(REVERSE, legs).sample(x=x, noise=SharedNoise(2))
    assert torch.equal(whole.x, legs[0].by.integrate(REVERSE, x, 1.0, 0.1, Run(SharedNoise(2))))


def test_sampling_keeps_no_graph_but_solvers_are_differentiable():
    x = normal(2, 2).requires_grad_()
    weight = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    reverse = ReverseSDE(SDE, lambda x, t: -weight * x)
    by = OnGrid(PC, Uniform(3))
    assert not Pipeline(reverse, (Leg(0.1, by),)).sample((2, 2), x=x).x.requires_grad
    out = by.integrate(reverse, x, 1.0, 0.1, Run(SharedNoise(0)))
    slopes = torch.autograd.grad(out.sum(), (x, weight))

    def value(weight: float) -> float:
        shifted = ReverseSDE(SDE, lambda x, t: -weight * x)
        return float(by.integrate(shifted, x.detach(), 1.0, 0.1, Run(SharedNoise(0))).sum())

    assert slopes[0].abs().sum() > 0.0
    difference = (value(0.5 + 1e-6) - value(0.5 - 1e-6)) / 2e-6
    assert float(slopes[1]) == pytest.approx(difference, rel=1e-6)


def test_sample_in_one_line():
    by = OnGrid(solver("ode/heun"), LogSNR(8))
    out = sdeplug.sample(REVERSE, (4, 2), by, seed=[1, 2, 3, 4], dtype=torch.float64)
    long = Pipeline(REVERSE, (Leg(SDE.eps, by), Leg(0.0, Denoise())))
    assert torch.equal(out.x, long.sample((4, 2), seed=[1, 2, 3, 4], dtype=torch.float64).x)
    assert (out.t, out.nfe) == (0.0, 17)


def test_sample_picks_a_solver_when_nobody_does():
    out = sdeplug.sample(REVERSE, (4, 2), seed=3)
    by = solver("auto")
    assert torch.equal(out.x, sdeplug.sample(REVERSE, (4, 2), by, seed=3).x)
    assert out.nfe == by.nfe + 1


def tensors_alive() -> int:
    gc.collect()
    return sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects())


@pytest.mark.parametrize("steps", [10, 1000])
@pytest.mark.thorough
def test_memory_does_not_grow_with_the_steps(steps):
    alive: list[weakref.ref] = []
    most = []

    def watch(event) -> None:
        alive[:] = [each for each in alive if each() is not None]
        alive.append(weakref.ref(event.x))
        most.append(len(alive))

    legs = (Leg(0.1, OnGrid(PC, Uniform(steps))),)
    before = tensors_alive()
    out = Pipeline(REVERSE, legs).sample((2, 2), observers=(watch,))
    assert tensors_alive() == before + 2  # out.x, out.nfe_by_row
    assert out.nfe == 2 * steps
    assert out.nfe_by_row.tolist() == [2 * steps] * 2
    assert len(most) == steps + 1
    assert max(most) <= 3  # the last one, the guard's, and that of the step at work
