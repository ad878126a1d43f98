"""Diagonal noise, which differs between coordinates: what takes any SDE takes this one too."""

from __future__ import annotations

import pytest
import torch
from common import normal
from golden import bundled

from sdeplug import (
    Corrector,
    FlowIntegrator,
    ForwardSDE,
    Leg,
    NoiseSource,
    OnGrid,
    PairingError,
    PerSampleNoise,
    Pipeline,
    Quadratic,
    ReverseSDE,
    Run,
    SharedNoise,
    solver,
)
from sdeplug.testing import Law, exact_law, exact_spectrum, relative_error
from sdeplug.testing.bench import DiagonalVP

SDE = DiagonalVP()
MEAN = torch.tensor([-1.0, 0.0, 0.5], dtype=torch.float64)
VARIANCE = torch.tensor([0.04, 0.25, 4.0], dtype=torch.float64)
LEVEL = 0.7
SOLVERS = {name: solver(name) for name in bundled() if not name.startswith("foreign/")}
TAKES_ANY = {name: by for name, by in SOLVERS.items() if by.claims.needs is ForwardSDE}
STEPPED = {name: by for name, by in TAKES_ANY.items() if by.needs_grid}
ADAPTIVE = {name: by for name, by in TAKES_ANY.items() if by.claims.order is None}
FLOWS = [name for name, by in ADAPTIVE.items() if isinstance(by, FlowIntegrator)]
ITERATES = {"torchdiffeq/implicit-adams"}  # so that how far depends on all coordinates
STEADY = {  # adaptive solvers of the reverse SDE, whose tolerance never decides a step
    "adaptive/row-improved-euler": {"rtol": 1e9, "first_step": 0.02, "longest_step": 0.02},
    "torchsde/adaptive-srk": {"rtol": 1e9, "first_step": 0.02},
    "torchsde/adaptive-sde-heun": {"rtol": 1e9, "first_step": 0.02},
}


class Columns(NoiseSource):
    """Some coordinates of one noise."""

    def __init__(self, pick=slice(None)):
        self.pick, self.source = pick, SharedNoise(0)

    def normal(self, like):
        return self.source.normal(torch.empty(len(like), 3, dtype=like.dtype))[:, self.pick]


def reverse(level=LEVEL, pick=slice(None)):
    """The reverse SDE of some coordinates."""
    sde = DiagonalVP(SDE.rates[pick])
    return ReverseSDE(sde, sde.score(MEAN[pick], VARIANCE[pick]), level)


def alone(coordinate, level=LEVEL):
    """That of one coordinate, as the plain SDE which it is by itself."""
    score = reverse(level, slice(coordinate, coordinate + 1)).score_model
    return ReverseSDE(SDE.alone(coordinate), score, level)


def law_at(t, pick=slice(None)):
    mean, variance = SDE.moments(t, MEAN, VARIANCE)
    return Law(mean[pick], torch.diag(variance[pick]))


def over(by, problem):
    """From T to eps."""
    return lambda x, run: by.integrate(problem, x, SDE.T, SDE.eps, run)


def test_the_families_that_take_any_sde():
    families = {name.partition("/")[0] for name in TAKES_ANY}
    assert families == {"song", "ode", "adaptive", "torchdiffeq", "torchsde"}
    assert set(STEADY) < set(ADAPTIVE)


@pytest.mark.parametrize(
    "name", sorted(set(STEPPED) - {"torchdiffeq/implicit-adams"})
)  # it iterates
def test_each_coordinate_has_the_law_that_it_has_alone(name):
    by = OnGrid(STEPPED[name], Quadratic(6))
    together = exact_spectrum(over(by, reverse()), law_at(SDE.T))
    for j in range(3):
        pick = slice(j, j + 1)
        single = exact_law(over(by, alone(j)), law_at(SDE.T, pick))
        torch.testing.assert_close(together.mean[pick], single.mean, rtol=1e-9, atol=1e-12)
        variance = together.covariance.diagonal()[pick]
        torch.testing.assert_close(variance, single.covariance[0], rtol=1e-9, atol=1e-12)


@pytest.mark.thorough
@pytest.mark.parametrize("name", STEPPED)
def test_its_law_is_that_of_the_target(name):
    by = STEPPED[name]
    coarse, fine = (
        relative_error(
            exact_spectrum(over(OnGrid(by, Quadratic(n)), reverse()), law_at(SDE.T)),
            law_at(SDE.eps),
        ).norm()
        for n in (24, 48)
    )
    assert fine < 0.1
    assert coarse / fine > 0.7 * 2**by.claims.order or fine < 1e-4


@pytest.mark.parametrize(
    "name", [n for n, by in ADAPTIVE.items() if isinstance(by, FlowIntegrator)]
)
def test_an_adaptive_flow_ends_where_the_flow_does(name):
    (mean, variance), (m, v) = (SDE.moments(t, MEAN, VARIANCE) for t in (SDE.T, SDE.eps))
    x = mean + normal(5, 3)
    wanted = m + (v / variance).sqrt() * (x - mean)
    out = over(ADAPTIVE[name], reverse())(x, Run(PerSampleNoise(0, range(5))))
    torch.testing.assert_close(out, wanted, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", STEADY)
def test_an_adaptive_method_with_steady_steps_moves_each_coordinate_as_alone(name):
    by, x = solver(name, **STEADY[name]), normal(4, 3)
    together = over(by, reverse())(x, Run(Columns()))
    for j in range(3):
        pick = slice(j, j + 1)
        single = over(by, alone(j))(x[:, pick], Run(Columns(pick)))
        torch.testing.assert_close(together[:, pick], single, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [(n, torch.float32) for n in TAKES_ANY] + [(n, torch.bfloat16) for n in STEPPED],
)
def test_the_state_keeps_its_dtype_and_shape(name, dtype):
    by = TAKES_ANY[name]
    x = normal(3, 2, 3).to(dtype)
    run = Run(PerSampleNoise(0, range(3)))
    out = by.integrate(ReverseSDE(SDE, lambda x, t: -x), x, 0.5, 0.45, run)
    assert (out.dtype, out.shape) == (dtype, x.shape)
    assert out.isfinite().all()


@pytest.mark.parametrize("name", sorted(set(SOLVERS) - set(TAKES_ANY)))
def test_the_others_say_before_they_run_what_they_need(name):
    by = SOLVERS[name]
    if isinstance(by, Corrector):
        return
    with pytest.raises(PairingError, match=r"needs a LinearSDE, not DiagonalVP"):
        Pipeline(reverse(), (Leg(SDE.eps, by),))
