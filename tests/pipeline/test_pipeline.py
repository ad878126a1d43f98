"""Pipelines from end to end, and everything that they refuse."""

from __future__ import annotations

import gc
import math
import pickle
import weakref
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
import torch
from common import GaussianScore, normal
from hypothesis import given
from hypothesis import strategies as st

import sdeplug
from sdeplug import (
    At,
    Claims,
    Corrected,
    Counted,
    Denoise,
    Integrator,
    Leg,
    LogSNR,
    NonFiniteError,
    OnGrid,
    PairingError,
    PerSampleNoise,
    Pipeline,
    ReverseSDE,
    Run,
    ScoreModelError,
    SharedNoise,
    SolverError,
    Trajectory,
    Uniform,
    solver,
)
from sdeplug.errors import ArgumentError
from sdeplug.sde import EDMSDE, VESDE, VPSDE

SDE = VPSDE()
REVERSE = ReverseSDE(SDE, GaussianScore(SDE))
EM = solver("song/euler-maruyama")
PC = Corrected(solver("song/reverse-diffusion"), solver("song/langevin"))
LEGS = (
    Leg(0.5, OnGrid(PC, Uniform(5))),
    Leg(0.01, OnGrid(solver("ode/heun"), LogSNR(4)), stochasticity=0.0),
    Leg(0.0, Denoise()),
)
PIPELINE = Pipeline(REVERSE, LEGS)


@dataclass(frozen=True)
class Returns(Integrator):
    """Returns what a function makes of x."""

    make: object

    def integrate(self, reverse, x, t, s, run):
        return self.make(x)


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


# What is refused when the pipeline is built.


@pytest.mark.parametrize(
    ("legs", "message"),
    [
        ((), r"legs = \(\): must be at least one Leg"),
        ((Leg(1.0, EM),), r"legs\[0\]\.to = 1\.0: must be below 1\.0"),
        ((Leg(2.0, EM),), r"legs\[0\]\.to = 2\.0"),
        ((Leg(0.5, EM), Leg(0.5, EM)), r"legs\[1\]\.to = 0\.5: must be below 0\.5"),
        ((Leg(0.5, EM), Leg(0.6, EM)), r"legs\[1\]\.to = 0\.6.*runs down from T = 1\.0 to 0"),
        ((Leg(0.0005, EM),), r"0 or at least eps = 0\.001.*A smaller eps is an option of the SDE"),
    ],
)
def test_times_of_legs_fall_inside_the_time_of_the_sde(legs, message):
    with pytest.raises(ArgumentError, match=message):
        Pipeline(REVERSE, legs)


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: Leg(-0.1, EM), ArgumentError, "to = -0.1"),
        (lambda: Leg(math.nan, EM), ArgumentError, "to = nan"),
        (lambda: Leg(math.inf, EM), ArgumentError, "to = inf"),
        (lambda: Leg(True, EM), ArgumentError, "to = True"),
        (lambda: Leg("0.5", EM), ArgumentError, r"The order is Leg\(to, by\)"),
        (lambda: Leg(EM, 0.5), PairingError, "by = 0.5: must be an Integrator"),
        (lambda: Leg(0.5, type(EM)), PairingError, "must be an Integrator"),
        (lambda: Leg(0.5, solver("langevin")), PairingError, r"Corrected\(integrator, corrector\)"),
        (lambda: Leg(0.5, EM, -1.0), ArgumentError, "stochasticity = -1.0"),
        (lambda: Leg(0.5, EM, math.nan), ArgumentError, "stochasticity = nan"),
        (lambda: Leg(0.5, EM, True), ArgumentError, "stochasticity = True"),
        (lambda: Leg(0.5, EM, "high"), ArgumentError, "stochasticity = 'high'"),
    ],
)
def test_a_leg_is_a_time_and_an_integrator(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


def test_parts_in_the_wrong_places_are_refused():
    with pytest.raises(PairingError, match="must be a ReverseSDE"):
        Pipeline(SDE, LEGS)
    with pytest.raises(PairingError, match=r"legs\[1\] = .*: must be a Leg"):
        Pipeline(REVERSE, (LEGS[0], EM))
    assert Pipeline(REVERSE, list(LEGS)) == PIPELINE


def test_a_solver_for_another_sde_is_refused():
    class OnlyVE(Returns):
        claims = sdeplug.Claims(needs=VESDE)

    with pytest.raises(PairingError, match=r"legs\[1\]\.by = .* needs a VESDE, not VPSDE"):
        Pipeline(REVERSE, (LEGS[0], Leg(0.1, OnGrid(OnlyVE(None), Uniform(3)))))


# What is refused before anything is computed.


@pytest.mark.parametrize(
    ("shape", "keywords", "message"),
    [
        ((2,), {}, "shape"),
        (2, {}, "shape"),
        ((0, 2), {}, "shape"),
        ((2, -1), {}, "shape"),
        ((2, 2.0), {}, "shape"),
        ((True, 2), {}, "shape"),
        ((2, 2), {"seed": -1}, "seed"),
        ((2, 2), {"seed": 1.5}, "seed"),
        ((2, 2), {"seed": [1, -2]}, r"seed\[1\] = -2"),
        ((2, 2), {"seed": [1, 2, 3]}, r"seed = '3 numbers': must be one number, or 2"),
        ((2, 2), {"seed": []}, "seed = '0 numbers'"),
        ((2, 2), {"seed": 1, "noise": SharedNoise(0)}, "left out when noise is given"),
        ((2, 2), {"noise": PerSampleNoise(0, [1])}, "ids"),
        ((2, 2), {"dtype": torch.int64}, "a floating-point dtype"),
        ((2, 2), {"t": 0.7}, r"a state at t = 0\.7.*The prior is a state at T"),
        ((2, 2), {"x": torch.zeros(2, 3)}, r"x = '\(2, 3\) torch\.float32'"),
        ((2, 2), {"x": torch.zeros(2, 2, dtype=torch.int64)}, "x = .*int64"),
        ((2, 2), {"x": [[0.0, 0.0], [0.0, 0.0]]}, "x = "),
        ((2, 2), {"x": torch.zeros(2, 2), "t": 1.5}, r"t = 1\.5"),
        ((2, 2), {"x": torch.zeros(2, 2), "t": 0.5}, r"0\.5 \(first leg\) < t <= T = 1\.0"),
        ((2, 2), {"x": torch.zeros(2, 2), "t": math.nan}, "t = nan"),
    ],
)
def test_arguments_are_checked_before_anything_is_computed(shape, keywords, message):
    counted = Counted(GaussianScore(SDE))
    with pytest.raises(ArgumentError, match=message):
        Pipeline(ReverseSDE(SDE, counted), LEGS).sample(shape, **keywords)
    assert counted.nfe == 0


def test_noise_is_a_noise_source():
    with pytest.raises(PairingError, match="must be a NoiseSource"):
        PIPELINE.sample((2, 2), noise=torch.Generator())


# What goes wrong in a run.


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: x[:1], r"shape \(1, 2\)"),
        (lambda x: x.double(), r"torch\.float64"),
        (lambda x: x.tolist(), "returned list"),
        (lambda x: None, "returned NoneType"),
        (lambda x: x.sum(), r"shape \(\)"),
    ],
)
def test_a_solver_that_returns_no_state_is_named(make, message):
    with pytest.raises(SolverError, match=rf"Returns.*{message}"):
        Pipeline(REVERSE, (Leg(0.1, Returns(make)),)).sample((2, 2))


def test_a_model_that_returns_no_score_is_named():
    with pytest.raises(ScoreModelError, match=r"returned shape \(2, 1\)"):
        Pipeline(ReverseSDE(SDE, lambda x, t: x[:, :1]), LEGS).sample((2, 2))


def test_a_start_that_is_not_finite_is_refused():
    counted = Counted(GaussianScore(SDE))
    x = torch.zeros(3, 2)
    x[1, 0] = math.nan
    with pytest.raises(NonFiniteError, match=r"row 1 .* t = 1, at the start") as caught:
        Pipeline(ReverseSDE(SDE, counted), LEGS).sample((3, 2), x=x)
    assert (caught.value.row, caught.value.t, caught.value.last) == (1, 1.0, None)
    assert counted.nfe == 0


def lost_below(time: float):
    def score(x, t):
        out = -x
        out[1] = torch.where(t[1] < time, math.nan, out[1])
        return out

    return score


@pytest.mark.parametrize(
    "by", [OnGrid(EM, Uniform(5)), OnGrid(OnGrid(EM, Uniform(5)), At(()))], ids=repr
)
def test_a_score_that_is_lost_half_way_is_located(by):
    watch = Trajectory()
    legs = (Leg(0.5, OnGrid(EM, Uniform(2))), Leg(0.1, by))
    with pytest.raises(NonFiniteError) as caught:
        Pipeline(ReverseSDE(SDE, lost_below(0.35)), legs).sample((3, 2), observers=(watch,))
    error = caught.value
    assert (error.row, error.leg, error.solver) == (1, 1, repr(by))
    assert (error.t, error.last_t) == pytest.approx((0.26 - 0.04, 0.34 - 0.04), abs=0.05)
    assert error.last_t == watch.times[-1]
    assert torch.equal(error.last, watch.states[-1])
    for part in (repr(by), "leg 1", "row 1", "The score model itself is not finite"):
        assert part in str(error)
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.row, copy.t) == (str(error), error.row, error.t)
    assert torch.equal(copy.last, error.last)


def test_a_solver_that_reports_nothing_is_located_at_the_end_of_its_leg():
    with pytest.raises(NonFiniteError, match=r"Returns.*in leg 0.*Use smaller steps") as caught:
        Pipeline(REVERSE, (Leg(0.1, Returns(lambda x: x / 0.0)),)).sample((2, 2))
    assert (caught.value.t, caught.value.last_t, caught.value.row) == (0.1, 1.0, 0)
    assert torch.equal(caught.value.last, SDE.prior((2, 2), SharedNoise(0)))


def test_divergence_is_told_from_a_bad_score():
    sde = EDMSDE()
    legs = (Leg(0.1, OnGrid(EM, Uniform(300))),)
    reverse = ReverseSDE(sde, lambda x, t: 1e3 * x)
    with pytest.raises(NonFiniteError, match="Use smaller steps, or an adaptive solver") as caught:
        Pipeline(reverse, legs).sample((2, 2))
    assert 0.1 <= caught.value.t < caught.value.last_t <= 80.0
    assert bool(caught.value.last.isfinite().all())


@pytest.mark.parametrize(
    "name", ["torchsde/adaptive-srk", "torchdiffeq/dopri5", "row-adams", "auto", "ode/heun"]
)
def test_a_score_that_is_lost_further_down_is_named(name):
    reverse = ReverseSDE(SDE, lambda x, t: torch.where(t[:, None] < 0.5, torch.nan, -x))
    by = solver(name)
    by = OnGrid(by, Uniform(10)) if by.needs_grid else by
    with pytest.raises(NonFiniteError, match="The score model itself is not finite") as caught:
        Pipeline(reverse, Leg(SDE.eps, by)).sample((4, 2))
    assert "adaptive solver" not in str(caught.value)


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        (Claims(order=1), "Use smaller steps, or an adaptive solver"),
        (Claims(evaluations=3), "Use smaller steps, or an adaptive solver"),
        (Claims(), "where it chooses them itself, a smaller tolerance"),
    ],
)
def test_an_adaptive_solver_is_not_told_to_be_one(claims, told):
    @dataclass(frozen=True)
    class Lost(Integrator):
        def integrate(self, reverse, x, t, s, run):
            return x * math.inf

    Lost.claims = claims
    with pytest.raises(NonFiniteError, match=told):
        Pipeline(REVERSE, Leg(0.1, Lost())).sample((4, 2))


def test_what_is_not_finite_at_time_0_is_told_to_stop_before():
    with pytest.raises(NonFiniteError, match=r"run to eps, and let Denoise\(\) go to 0"):
        Pipeline(REVERSE, Leg(0.0, Returns(lambda x: x / 0.0))).sample((4, 2))


def test_an_error_of_an_observer_passes_through():
    def stop(event):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        PIPELINE.sample((2, 2), observers=(stop,))


def test_a_denoising_that_stops_early_is_refused_when_the_pipeline_is_built():
    with pytest.raises(ArgumentError, match=r"legs\[0\]\.to = 0\.5: must be 0 for Denoise"):
        Pipeline(REVERSE, (Leg(0.5, Denoise()),))
