"""torchsde as a back end: parity, cost, orders, adjoint, and what it says when it cannot go on."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
import torchsde
from bundled import BRIEF, SHARED, checks_of
from common import normal
from plugins.torchsde.methods import FIXED, REVERSE, SDE, S, T, names, run
from probing import Script

from sdeplug import (
    Corrected,
    LogSNR,
    OnGrid,
    Run,
    SharedNoise,
    Silence,
    Uniform,
    solver,
)
from sdeplug.testing import (
    parametrize_with_checks,
)
from sdeplug.testing.weak import check_mixture_leaks
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

close = torch.testing.assert_close


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


@pytest.mark.parametrize("by", [AdaptiveHeun(), AdaptiveSRK()], ids=repr)
def test_what_follows_a_tolerance_leaks_nothing_on_a_mixture(by):
    """From a first step as long as the span: beginning with a hundredth of it, it draws 48 times
    and more."""
    assert check_mixture_leaks(by).text.endswith("at 3 places")


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
