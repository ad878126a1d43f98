"""Exact laws of strangers: hand-written loops, torchsde and torchdiffeq."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise

import pytest
import torch

from sdeplug import VPSDE, LogSNR, OnGrid, PairingError, ReverseSDE, Run, SharedNoise, Uniform
from sdeplug.testing import CheckFailed, exact_law, foreign_law, marginal_law, relative_error
from sdeplug.testing.bench import carried, gaussian, gaussian_score
from sdeplug.testing.exact import Arrays, intercepted
from sdeplug.testing.exact.intercept import demand_noise_for_rows
from sdeplug_ode import Euler
from sdeplug_song import EulerMaruyama

SDE = VPSDE()
REVERSE = ReverseSDE(SDE, gaussian_score(SDE))
START = marginal_law(gaussian(), SDE, SDE.T)
TIMES = LogSNR(24).times(SDE.T, SDE.eps, SDE)
OWN = torch.Generator()


def loop(draw):
    """A stranger's Euler-Maruyama loop."""

    def sampler(x):
        for t, s in pairwise(TIMES):
            step = math.sqrt(t - s) * REVERSE.diffusion(t)
            x = x - (t - s) * REVERSE.drift(x, t) + step * draw(x)
        return x

    return sampler


DRAWS = {
    "randn": lambda x: torch.randn(x.shape, dtype=x.dtype),
    "randn_like": torch.randn_like,
    "generator": lambda x: torch.randn(x.shape, generator=OWN, dtype=x.dtype),
    "normal_": lambda x: torch.empty_like(x).normal_(1.0, 2.0).sub(1.0).div(2.0),
    "normal": lambda x: torch.normal(torch.zeros_like(x), torch.ones_like(x)),
    "normal size": lambda x: torch.normal(0.0, 1.0, x.shape, dtype=x.dtype),
    "normal std": lambda x: torch.normal(0.0, torch.ones_like(x)),
    "normal mean": lambda x: torch.normal(torch.zeros_like(x), 1.0),
}


def ours(by):
    return exact_law(partial(carried, by, REVERSE, SDE.eps), START)


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("name", DRAWS)
def test_a_loop_has_the_law_of_the_plugin(name, apart):
    found = foreign_law(loop(DRAWS[name]), START, apart=apart)
    assert found.draws == len(TIMES) - 1
    assert found.affine
    assert found.residual < 1e-12
    wanted = ours(OnGrid(EulerMaruyama(), LogSNR(24)))
    assert float(relative_error(found.law, wanted).abs().max()) < 1e-10


def test_single_precision():
    found = foreign_law(loop(torch.randn_like), START, dtype=torch.float32)
    assert found.affine
    assert 1e-9 < found.residual < 1e-5
    wanted = ours(OnGrid(EulerMaruyama(), LogSNR(24)))
    assert float(relative_error(found.law, wanted).abs().max()) < 1e-5


def test_noise_that_is_drawn_again_adds_up():
    def same(x):
        return torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=x.dtype)

    found = foreign_law(loop(same), START)
    assert found.draws == 1
    wanted = marginal_law(gaussian(), SDE, SDE.eps)
    assert float(relative_error(found.law, wanted).abs().max()) > 1.0
    twice = foreign_law(lambda x: x + same(x) + same(x), START)
    added = (twice.law.covariance - START.covariance).diagonal()
    torch.testing.assert_close(added, torch.full_like(added, 4.0))


def test_the_generators_go_on():
    torch.manual_seed(3)
    torch.randn(10, 5)
    wanted = torch.random.get_rng_state()
    torch.manual_seed(3)
    drawn = []

    def sampler(x):
        drawn.append(len(x))
        return x + torch.randn(10, 5, dtype=torch.float32)[: len(x)].to(x)

    with pytest.raises(PairingError, match="rows share"):
        foreign_law(sampler, START)
    assert drawn == [2]
    assert torch.equal(torch.random.get_rng_state(), wanted)


def test_strangers_that_are_not_affine_are_told():
    for sampler in (
        lambda x: x + torch.rand_like(x),
        lambda x: x * torch.randn_like(x),
        lambda x: x + torch.randn_like(x).square(),
        torch.tanh,
    ):
        found = foreign_law(sampler, START)
        assert not found.affine
        assert found.residual > 1e-3
    with pytest.raises(PairingError, match="rows share"):
        foreign_law(lambda x: x + torch.randn(1, 5), START)


def test_noise_of_another_width():
    mix = torch.randn(3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = foreign_law(lambda x: x + torch.randn(len(x), 3, dtype=x.dtype) @ mix, START)
    torch.testing.assert_close(found.law.covariance, START.covariance + mix.T @ mix)


class Reversed(torch.nn.Module):
    """The reverse SDE as torchsde takes it: time runs up."""

    noise_type, sde_type = "diagonal", "ito"

    def f(self, u, y):
        return -REVERSE.drift(y, SDE.T - float(u))

    def g(self, u, y):
        return torch.full_like(y, REVERSE.diffusion(SDE.T - float(u)))


@pytest.mark.parametrize("path", ["default", "interval"])
def test_torchsde(path):
    torchsde = pytest.importorskip("torchsde")
    steps, length = 32, SDE.T - SDE.eps

    def sampler(x):
        ends = torch.tensor([0.0, length], dtype=x.dtype)
        bm = None
        if path == "interval":
            bm = torchsde.BrownianInterval(
                0.0, length, size=x.shape, dtype=x.dtype, entropy=1, dt=length / steps
            )
        return torchsde.sdeint(Reversed(), x, ends, bm=bm, method="euler", dt=length / steps)[-1]

    found = foreign_law(sampler, START)
    assert found.residual < 1e-12
    wanted = ours(OnGrid(EulerMaruyama(), Uniform(steps)))
    assert float(relative_error(found.law, wanted).abs().max()) < 1e-8


def test_torchdiffeq():
    torchdiffeq = pytest.importorskip("torchdiffeq")

    def sampler(x):
        times = torch.linspace(SDE.T, SDE.eps, 33, dtype=x.dtype)
        return torchdiffeq.odeint(lambda t, y: REVERSE.flow(y, float(t)), x, times, method="euler")[
            -1
        ]

    found = foreign_law(sampler, START)
    assert found.draws == 0
    assert found.residual < 1e-12
    wanted = ours(OnGrid(Euler(), Uniform(32)))
    assert float(relative_error(found.law, wanted).abs().max()) < 1e-8


@pytest.mark.parametrize(
    ("draw", "mean", "spread"),
    [
        (lambda x: torch.rand_like(x), 0.5, math.sqrt(1.0 / 12.0)),
        (lambda x: torch.rand(x.shape), 0.5, math.sqrt(1.0 / 12.0)),
        (lambda x: torch.empty_like(x).uniform_(-1.0, 3.0), 1.0, math.sqrt(16.0 / 12.0)),
        (lambda x: torch.randint(2, x.shape), 0.5, 0.5),
        (lambda x: torch.randint(1, 4, x.shape), 2.0, math.sqrt(2.0 / 3.0)),
        (lambda x: torch.bernoulli(torch.full_like(x, 0.25)), 0.25, math.sqrt(3.0 / 16.0)),
        (lambda x: torch.empty_like(x).bernoulli_(0.25), 0.25, math.sqrt(3.0 / 16.0)),
        (lambda x: torch.normal(x, 2.0), 0.0, 2.0),
    ],
)
def test_what_is_drawn_is_made_of_normal_numbers(draw, mean, spread):
    """Of a column of an orthogonal array, whose moments are those of a normal number."""
    x = torch.zeros(128**2, 1, dtype=torch.float64)
    y = intercepted(draw)(x, Run(Arrays(128)))
    assert float(y.mean()) == pytest.approx(mean, abs=0.01)
    assert float(y.std(correction=0)) == pytest.approx(spread, rel=0.02)


def test_noise_that_rows_share_is_refused_and_other_numbers_are_not():
    def shared(x):
        return x + torch.rand(()) + torch.rand(1, 2)

    x = torch.zeros(4, 2, dtype=torch.float64)
    assert intercepted(shared)(x, Run(SharedNoise(0))).shape == x.shape
    noisy = lambda x: x + torch.randn(2)  # noqa: E731
    with pytest.raises(PairingError, match="rows share it"):
        intercepted(noisy)(x, Run(SharedNoise(0)))
    assert intercepted(noisy, strict=False)(x, Run(SharedNoise(0))).shape == x.shape


def test_noise_of_some_rows_is_none_that_all_share():
    def some(x):
        noise = torch.zeros_like(x)
        noise[x[:, 0] > 0.0] = torch.randn_like(x[x[:, 0] > 0.0])
        return x + noise

    x = torch.linspace(-1.0, 1.0, 20, dtype=torch.float64).reshape(10, 2)
    demand_noise_for_rows(some, x)
    demand_noise_for_rows(lambda x: x + torch.randn_like(x), x)
    for shape in ((), (2,), (1, 2)):
        with pytest.raises(CheckFailed, match="rows share it"):
            demand_noise_for_rows(lambda x, shape=shape: x + torch.randn(shape), x)


def test_one_number_for_each_row_is_a_column():
    found = foreign_law(lambda x: x + torch.randn(len(x), dtype=x.dtype)[:, None], START)
    assert found.affine
    assert torch.allclose(found.law.covariance, START.covariance + 1.0)
