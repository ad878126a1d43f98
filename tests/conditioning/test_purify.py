"""Purification: to a time and back, with one seed for both ways, and gradients."""

from __future__ import annotations

import pytest
import torch
from common import Cubic, normal

import sdeplug as sp
from sdeplug import Denoise, Leg, LogSNR, OnGrid, Pipeline, ReverseSDE, SharedNoise, solver
from sdeplug.conditioning import purify
from sdeplug.errors import ArgumentError, PairingError
from sdeplug.targets import Empirical, Gaussian, GaussianMixture

SDE = sp.VPSDE()


def pipeline(target, level=1.0):
    by = OnGrid(solver("song/ancestral"), LogSNR(12))
    legs = (Leg(SDE.eps, by), Leg(0.0, Denoise()))
    return Pipeline(ReverseSDE(SDE, target.score(SDE), level), legs)


def test_a_little_noise_takes_away_a_little_and_leaves_the_datum():
    points = 3.0 * normal(5, 4)
    spoiled = points + 0.1 * normal(5, 4, seed=1)
    torch.testing.assert_close(
        purify(pipeline(Empirical(points)), spoiled, 0.1), points, rtol=0.0, atol=1e-3
    )


def test_it_is_the_pipeline_from_the_diffused_state_and_draws_nothing_twice():
    data, x = Gaussian(torch.zeros(3, dtype=torch.float64), std=0.5), normal(4, 3)
    times = torch.full((4,), 0.4, dtype=torch.float64)
    diffused = SDE.perturb(x, times, SharedNoise(7))
    wanted = pipeline(data).sample(x=diffused, t=0.4, seed=7).x
    assert torch.equal(purify(pipeline(data), x, 0.4, seed=7), wanted)
    alone = purify(pipeline(data), x[2:3], 0.4, seed=[12])
    torch.testing.assert_close(purify(pipeline(data), x, 0.4, seed=[10, 11, 12, 13])[2:3], alone)
    assert not purify(pipeline(data), x.requires_grad_(), 0.4).requires_grad


def test_gradients_are_those_of_the_affine_map():
    """For a Gaussian the result is affine in x: any difference tells the derivative."""
    data, x = Gaussian(torch.zeros(2, dtype=torch.float64), std=0.5), normal(3, 2)
    by = pipeline(data)
    first = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(purify(by, first, 0.3, grad=True).sum(), first)
    far = purify(by, x + 10.0, 0.3) - purify(by, x, 0.3)
    torch.testing.assert_close(10.0 * slope, far)
    assert 0.0 < float(slope.min()) < 1.0


def test_the_adjoint_of_a_solver_gives_the_gradient_of_its_steps():
    pytest.importorskip("torchsde")
    data, x = GaussianMixture((0.5, 0.5), ((-1.0,), (1.0,)), std=0.3), normal(3, 1)
    slopes = []
    for adjoint in (False, True):
        by = solver("torchsde/reversible-heun", steps=12, adjoint=adjoint)
        lone = Pipeline(ReverseSDE(SDE, data.score(SDE)), (Leg(SDE.eps, by),))
        start = x.clone().requires_grad_()
        pure = purify(lone, start, 0.3, grad=True)
        slopes += torch.autograd.grad(pure.square().sum(), start)
    assert float(slopes[0].abs().min()) > 0.0
    torch.testing.assert_close(slopes[1], slopes[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"t": 0.0}, "t = 0.0: must be a time above 0.001"),
        ({"t": 1.5}, "to T = 1.0"),
        ({"t": "late"}, "t = 'late'"),
        ({"x": torch.ones(3, 2, dtype=torch.int64)}, "x = .*a floating tensor"),
        ({"x": [1.0]}, "x = 'list'"),
        ({"seed": [1]}, "seed = .*3: one for each sample"),
        ({"pipeline": 3}, "pipeline = 3"),
    ],
)
def test_bad_input(change, words):
    given = {"pipeline": pipeline(Gaussian((0.0, 0.0), std=1.0)), "x": normal(3, 2), "t": 0.3}
    given |= change
    with pytest.raises(ArgumentError, match=words):
        purify(given.pop("pipeline"), given.pop("x"), given.pop("t"), **given)


def test_a_forward_sde_that_is_not_linear():
    legs = (Leg(0.1, OnGrid(solver("song/euler-maruyama"), sp.Uniform(3))),)
    by = Pipeline(ReverseSDE(Cubic(), lambda x, t: -x), legs)
    with pytest.raises(PairingError, match="must be a LinearSDE"):
        purify(by, normal(3, 2), 0.5)
