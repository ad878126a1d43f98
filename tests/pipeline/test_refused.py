"""Pipelines: what is refused, and what goes wrong in a run."""

from __future__ import annotations

import math
import pickle
from dataclasses import dataclass

import pytest
import torch
from common import GaussianScore
from pipeline.legs import EM, LEGS, PIPELINE, REVERSE, SDE

import sdeplug
from sdeplug import (
    At,
    Claims,
    Counted,
    Denoise,
    Integrator,
    Leg,
    NonFiniteError,
    OnGrid,
    PairingError,
    PerSampleNoise,
    Pipeline,
    ReverseSDE,
    ScoreModelError,
    SharedNoise,
    SolverError,
    Trajectory,
    Uniform,
    solver,
)
from sdeplug.errors import ArgumentError
from sdeplug.sde import EDMSDE, VESDE


@dataclass(frozen=True)
class Returns(Integrator):
    """Returns what a function makes of x."""

    make: object

    def integrate(self, reverse, x, t, s, run):
        return self.make(x)


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
        (lambda: Leg(0.5, "ode/heun"), PairingError, r"solver\('ode/heun'\) is the one"),
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


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((SDE, (4, 2)), r"reverse = VPSDE\(.*ReverseSDE\(model.sde, model.score\)"),
        (((4, 2), REVERSE), r"reverse = \(4, 2\): must be a ReverseSDE, and comes first"),
        ((torch.zeros(20, 8), (4, 2)), r"reverse = Tensor\(\.\.\.\): must be"),
        ((REVERSE, (4, 2), 10), r"by = 10: .* solver\('auto', nfe=10\) spends as many"),
        ((REVERSE, (4, 2), "auto"), r"by = 'auto': .* solver\('auto'\) is the one"),
        ((REVERSE, (4, 2), solver("langevin")), r"Corrected\(integrator, corrector\)"),
    ],
)
def test_samples_in_one_line_name_what_is_out_of_place(given, message):
    with pytest.raises(PairingError, match=message):
        sdeplug.sample(*given)


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
