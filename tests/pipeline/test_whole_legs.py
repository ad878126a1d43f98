"""A solver of single steps as a whole leg gets a grid, the same one everywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch

import sdeplug
from sdeplug import (
    VPSDE,
    Claims,
    Corrected,
    Denoise,
    ForwardSDE,
    Integrator,
    Karras,
    Leg,
    LogSNR,
    OnGrid,
    PairingError,
    Pipeline,
    ReverseSDE,
    Uniform,
    solver,
)
from sdeplug.cli.work.aim import Exact
from sdeplug.cli.work.sample import Parts
from sdeplug.pipeline import last_time
from sdeplug.registry import registry
from sdeplug.sde import BUILTIN_SDES
from sdeplug.targets import eight_gaussians

SDE = VPSDE()
DATA, AIM = eight_gaussians(), Exact("core/eight-gaussians")
REVERSE = ReverseSDE(SDE, DATA.score(SDE))
STEP = solver("ode/heun")
PC = Corrected(STEP, solver("song/langevin"))


@dataclass(frozen=True)
class Brownian(ForwardSDE):
    """dx = dw, which is not declared linear."""

    def drift(self, x, t):
        return torch.zeros_like(x)

    def diffusion(self, t):
        return torch.ones_like(t)

    def prior(self, shape, noise, dtype=torch.float32, device="cpu"):
        return noise.normal(torch.empty(tuple(shape), dtype=dtype, device=device))

    def prior_log_prob(self, x):
        return torch.zeros(len(x))


@pytest.mark.parametrize("by", [STEP, PC, solver("exponential/adams"), solver("torchsde/srk")])
def test_a_step_as_a_whole_leg_runs_on_a_grid(by):
    assert by.needs_grid
    assert Pipeline(REVERSE, Leg(SDE.eps, by)).legs == (Leg(SDE.eps, OnGrid(by, LogSNR(100))),)


@pytest.mark.parametrize(
    "by",
    [
        OnGrid(STEP, Uniform(1)),
        OnGrid(PC, Uniform(1)),
        Corrected(OnGrid(STEP, Uniform(3)), solver("song/langevin")),
        solver("auto"),
        solver("row-tsit5"),
        solver("torchdiffeq/fixed-rk4", steps=10),
        solver("torchsde/sde-euler", steps=10),
    ],
)
def test_what_makes_its_own_steps_is_left_alone(by):
    assert not by.needs_grid
    assert Pipeline(REVERSE, Leg(SDE.eps, by)).legs == (Leg(SDE.eps, by),)


def test_every_bundled_solver_with_an_order_needs_a_grid_unless_it_has_steps_of_its_own():
    for name in registry().solvers():
        by = solver(name)
        if isinstance(by, Integrator):
            ordered = by.claims.order is not None
            assert by.needs_grid == (ordered and by.claims.steps is None), name


def test_a_bundled_solver_with_a_grid_of_its_own_is_put_on_no_other():
    own = [by for name in registry().solvers() if (by := solver(name)).claims.steps is not None]
    assert len(own) >= 5
    for by in own:
        for put in (by, Corrected(by, solver("song/langevin"))):
            with pytest.raises(PairingError, match=f"brings its own.*its option {by.claims.steps}"):
                Leg(SDE.eps, OnGrid(put, Uniform(3)))
    for by in (solver("torchdiffeq/fixed-midpoint", steps=4), solver("row-tsit5")):
        Leg(SDE.eps, OnGrid(by, Uniform(3)))


def test_samples_of_a_bare_step_are_samples():
    """They were noise, at up to 26."""
    out = sdeplug.sample(REVERSE, (500, 2), STEP)
    assert out.nfe == 201
    assert float((out.x.norm(dim=1) - 1.0).abs().max()) < 0.5


def test_the_command_line_and_the_library_give_the_same_grid():
    for name in ("ode/heun", "row-tsit5", "torchdiffeq/explicit-adams"):
        parts = Parts(solver=name).pipeline(AIM)
        library = Pipeline(REVERSE, (Leg(SDE.eps, solver(name)), Leg(0.0, Denoise())))
        assert parts.legs == library.legs


def test_the_grid_fits_the_span():
    down = Pipeline(REVERSE, Leg(0.0, solver("song/ancestral")))
    assert down.legs[0].by.grid == Karras(100)
    assert math.isfinite(float(down.sample((4, 2)).x.sum()))
    brownian = Brownian()
    other = Pipeline(ReverseSDE(brownian, lambda x, t: -x), Leg(0.5, solver("ode/euler")))
    assert other.legs[0].by.grid == Uniform(100)
    assert other.sample((2, 2)).nfe == 100
    assert last_time(brownian) == brownian.eps


def test_a_solver_may_say_that_it_needs_none():
    @dataclass(frozen=True)
    class Halves(Integrator):
        claims = Claims(order=1, stochastic=False, evaluations=2)
        needs_grid = False

        def integrate(self, reverse, x, t, s, run):
            return x

    assert Pipeline(REVERSE, Leg(0.5, Halves())).legs == (Leg(0.5, Halves()),)


@pytest.mark.parametrize("cls", BUILTIN_SDES.values(), ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("by", [None, STEP])
def test_eps_may_be_zero(cls, by):
    """The score of one point at 1 is exact, so that whatever is left over is noise."""
    sde = cls(eps=0.0)

    def score(x, t):
        a, s = sde.log_alpha(t).exp()[:, None], sde.sigma(t)[:, None]
        return (a - x) / (s * s)

    out = sdeplug.sample(ReverseSDE(sde, score), (64, 2), by)
    assert out.t == 0.0
    left = 2.0 * sde.at(0.0).sigma * 4.0  # VE keeps noise there
    assert float((out.x - 1.0).abs().max()) <= left + 1e-3
    end = last_time(sde)
    assert end == 0.0 if left else sde.at(end).sigma / sde.at(end).alpha == pytest.approx(0.002)


def test_the_command_line_takes_eps_zero():
    assert [leg.to for leg in Parts(sde="ve:eps=0").pipeline(AIM).legs] == [0.0]
    to = last_time(VPSDE(eps=0.0))
    assert [leg.to for leg in Parts(sde="vp:eps=0").pipeline(AIM).legs] == [to, 0.0]
    assert [leg.to for leg in Parts(sde="vp:eps=0", denoise=False).pipeline(AIM).legs] == [to]
    assert [leg.to for leg in Parts(sde="vp").pipeline(AIM).legs] == [SDE.eps, 0.0]
