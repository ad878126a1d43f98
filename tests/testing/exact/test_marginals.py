"""The exact tier: right solvers pass and wrong ones fail."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
from testing.exact.usual import ONE
from wrong import Claiming, Wrong

from sdeplug import (
    Claims,
    Corrected,
    Corrector,
    Integrator,
    Karras,
    LogSNR,
    OnGrid,
    Run,
    Uniform,
)
from sdeplug.noise import Silence
from sdeplug.testing import (
    CheckFailed,
)
from sdeplug.testing.exact import (
    check_affinity,
    check_constant,
    check_corrector_bias,
    check_corrector_invariance,
    check_floor,
    check_marginals,
    check_rotation,
)
from sdeplug.testing.exact.convergence import STEPS
from sdeplug_ode import AdamsBashforth, Euler, Heun
from sdeplug_song import (
    Ancestral,
    AnnealedLangevin,
    EulerMaruyama,
    ReverseDiffusion,
)

RIGHT = [
    EulerMaruyama(),
    Ancestral(large_variance=True),
    Heun(),
    AdamsBashforth(3),
]


@pytest.mark.parametrize("solver", RIGHT, ids=repr)
def test_right_solvers_pass(solver):
    finding = check_marginals(solver)
    assert len(finding.curves) >= 7
    assert len({curve.label for curve in finding.curves}) >= 5  # SDEs
    assert f"{solver.claims.order:g} claimed" in finding.text
    assert "variance 0.0001" in finding.text
    check_rotation(solver)
    assert check_affinity(solver).text == "affine"
    if solver.claims.stochastic:
        check_constant(solver)


@pytest.mark.parametrize(
    "solver", [OnGrid(Heun(), Karras(10)), OnGrid(EulerMaruyama(), LogSNR(10))], ids=repr
)
def test_a_grid_of_its_own_is_refined(solver):
    finding = check_marginals(solver)
    assert {curve.steps[:3] for curve in finding.curves} == {STEPS}


@pytest.mark.parametrize("corrector", [AnnealedLangevin(), AnnealedLangevin(0.05, steps=2)])
@pytest.mark.thorough
def test_predictor_correctors_stay_within_their_floor(corrector):
    check_floor(Corrected(ReverseDiffusion(), corrector))
    check_floor(Corrected(Ancestral(), corrector, before=True))
    check_corrector_invariance(corrector)
    check_corrector_bias(corrector)


@pytest.mark.thorough
@pytest.mark.slow
def test_composites_within_composites():
    inner = OnGrid(EulerMaruyama(), Uniform(2))
    check_floor(Corrected(inner, AnnealedLangevin()))
    check_floor(OnGrid(Corrected(Ancestral(), AnnealedLangevin()), Karras(10)))


# --- wrong solvers fail ----------------------------------------------------------------------


def test_the_mutant_is_right_without_its_faults():
    check_marginals(Wrong())
    check_constant(Wrong())


@pytest.mark.parametrize(
    "wrong",
    [Wrong(drift=0.5), Wrong(noise=1.01), Wrong(noise=1.001), Wrong(noise=0.999), Wrong(score=0.5)],
    ids=repr,
)
def test_a_wrong_limit_fails(wrong):
    with pytest.raises(CheckFailed, match=r"limit|order") as failure:
        check_marginals(wrong)
    assert failure.value.curves


def test_a_score_of_the_step_before_fails_by_its_constant():
    check_marginals(Wrong(late=True))  # it is consistent, and of order 1
    with pytest.raises(CheckFailed, match="earlier or later step"):
        check_constant(Wrong(late=True))


@dataclass(frozen=True)
class Loud(Integrator):
    """A right solver whose noise is a little too loud."""

    solver: Integrator
    factor: float = 1.001
    claims = ONE

    def integrate(self, reverse, x, t, s, run):
        mean = self.solver.integrate(reverse, x, t, s, Run(Silence()))
        return mean + self.factor * (self.solver.integrate(reverse, x, t, s, run) - mean)


@pytest.mark.parametrize("solver", [Ancestral(), ReverseDiffusion()])
def test_noise_that_is_too_loud_fails(solver):
    with pytest.raises(CheckFailed, match=r"limit|order"):
        check_marginals(Loud(solver))


@pytest.mark.parametrize(
    "wrong",
    [
        Claiming(Euler(), Claims(order=2)),
        Claiming(Heun(), Claims(order=3)),
        Claiming(AdamsBashforth(3), Claims(order=4)),
        Claiming(EulerMaruyama(), Claims(order=2)),
    ],
    ids=repr,
)
def test_an_order_that_is_not_there_fails(wrong):
    with pytest.raises(CheckFailed):
        check_marginals(wrong)


@pytest.mark.parametrize("snr", [0.05, 0.16])
def test_a_hidden_corrector_is_seen(snr):
    wrong = Claiming(Corrected(ReverseDiffusion(), AnnealedLangevin(snr)), ONE)
    with pytest.raises(CheckFailed):
        check_marginals(wrong)


def test_a_floor_that_is_too_low_fails():
    inner = Corrected(ReverseDiffusion(), AnnealedLangevin())
    with pytest.raises(CheckFailed, match="its floor"):
        check_floor(Claiming(inner, replace(inner.claims, floor=0.5 * inner.claims.floor)))


@dataclass(frozen=True)
class WrongLangevin(Corrector):
    """Langevin steps whose noise has a wrong size."""

    snr: float = 0.16
    noise: float = math.sqrt(2.0)
    claims = AnnealedLangevin().claims

    def correct(self, reverse, x, t, run):
        length = 2.0 * (self.snr * reverse.forward.at(t).sigma) ** 2
        step = self.noise * math.sqrt(length)
        return x + length * reverse.score(x, t) + step * run.noise.normal(x)


def test_a_corrector_that_moves_p_t_fails():
    check_corrector_invariance(WrongLangevin())
    check_corrector_bias(WrongLangevin())
    for noise in (1.0, 1.01 * math.sqrt(2.0)):
        with pytest.raises(CheckFailed, match="over its floor"):
            check_corrector_invariance(WrongLangevin(noise=noise))
        with pytest.raises(CheckFailed, match="not to a quarter"):
            check_corrector_bias(WrongLangevin(noise=noise))
