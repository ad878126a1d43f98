"""Targets: devices, gradients, and that they are values."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from targets.cases import KINDS, case
from torch import Tensor

from sdeplug.noise import NoiseSource, SharedNoise
from sdeplug.sde import EDMSDE, VPSDE
from sdeplug.targets import (
    DiffusedScore,
    Empirical,
    Gaussian,
    GaussianMixture,
    Target,
    eight_gaussians,
)


def test_another_device_is_served_without_a_look_at_its_numbers() -> None:
    # The meta device has shapes and no values: whatever waits for a value fails there.
    for kind in KINDS:
        target = case(kind).target
        mark, size = hash(target), len(pickle.dumps(target))
        x = torch.empty(5, *target.shape, device="meta")
        score = target.score(VPSDE())(x, torch.empty(5, device="meta"))
        assert score.shape == x.shape
        assert (score.device.type, score.dtype) == ("meta", torch.float32)
        assert target.log_prob(x, 0.5, VPSDE()).device.type == "meta"
        assert hash(target) == mark
        assert pickle.loads(pickle.dumps(target)) == target
        assert len(pickle.dumps(target)) == size


def test_score_is_differentiable_whatever_mode_the_target_was_made_in() -> None:
    with torch.inference_mode():
        target = Empirical(torch.eye(3, dtype=torch.float64))
        for device in ("cpu", "meta"):
            blank = torch.zeros(1, 3, device=device)
            target.score(VPSDE())(blank, blank[:, 0] + 0.5)
    sde, x, t = VPSDE(), torch.full((1, 3), 0.2, dtype=torch.float64), torch.full((1,), 0.3)
    slope = torch.autograd.functional.jacobian(lambda x: target.score(sde)(x, t), x)[0, :, 0]
    batched = torch.func.vmap(torch.func.jacrev(lambda x: target.score(sde)(x[None], t)[0]))(x)[0]
    wanted = torch.autograd.functional.hessian(
        lambda x: target.log_prob(x, float(t), sde).sum(), x
    )[0, :, 0]
    torch.testing.assert_close(slope, wanted, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(batched, wanted, rtol=1e-9, atol=1e-9)
    away = torch.zeros(1, 3, device="meta", requires_grad=True)
    target.score(sde)(away, away[:, 0].detach()).sum().backward()
    assert away.grad is not None


def test_time_may_be_one_number_for_all_rows() -> None:
    target, sde = eight_gaussians(), VPSDE()
    x = target.sample(3, noise=SharedNoise(0), t=0.5, sde=sde)
    score = target.score(sde)
    assert torch.equal(score(x, torch.tensor(0.5)), score(x, torch.full((3,), 0.5)))
    assert score(x[:0], torch.empty(0)).shape == (0, 2)


def test_targets_are_values() -> None:
    for kind in KINDS:
        target, twin, other = case(kind).target, case(kind).target, case(kind, seed=1).target
        assert target == twin
        assert hash(target) == hash(twin)
        assert target != other
        assert target != kind
        assert pickle.loads(pickle.dumps(target)) == target
        assert copy.deepcopy(target) == target
        assert target.score(VPSDE()) == twin.score(VPSDE())
        assert pickle.loads(pickle.dumps(target.score(VPSDE()))) == DiffusedScore(target, VPSDE())
    assert GaussianMixture((1, 2), ((0.0,), (1.0,)), std=1.0) == GaussianMixture(
        np.array([10, 20]), torch.tensor([[0.0], [1.0]]), std=(1.0, 1.0)
    )


def test_a_target_does_not_follow_what_it_was_made_from() -> None:
    for data in (torch.zeros(3, 2, dtype=torch.float64), np.zeros((3, 2))):
        target = Empirical(data)
        data += 1.0
        assert torch.equal(target.mean, torch.zeros(2, dtype=torch.float64))


def test_weights_are_shares_in_full_precision() -> None:
    target = GaussianMixture((0.1, 0.3), ((0.1,), (0.7,)), std=0.1)
    torch.testing.assert_close(
        target.weights, torch.tensor([0.25, 0.75], dtype=torch.float64), rtol=1e-15, atol=0.0
    )
    assert float(target.mean) == pytest.approx(0.55, rel=1e-15)


def test_repr_is_short() -> None:
    for kind in KINDS:
        assert len(repr(case(kind, count=50).target)) < 80
    assert repr(eight_gaussians()) == "GaussianMixture(components=8, shape=(2,), rank=0)"
    assert repr(Empirical(torch.zeros(9, 1, 8, 8))) == "Empirical(points=9, shape=(1, 8, 8))"
    assert repr(Gaussian((0.0, 0.0), std=1.0)) == "Gaussian(shape=(2,), rank=0)"


def test_a_new_target_is_the_members_that_are_abstract() -> None:
    class Always(Target):
        """A point mass at 0."""

        shape, singular = (2,), True
        mean, covariance = torch.zeros(2).double(), torch.zeros(2, 2).double()

        def score_at(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
            assert {x.dtype, alpha.dtype, sigma.dtype} == {torch.float64}
            return -x / sigma.square()[:, None]

        def log_density(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
            return -0.5 * (x / sigma[:, None]).square().sum(1) - (2 * math.pi * sigma**2).log()

        def draw(self, n: int, noise: NoiseSource, device: torch.device) -> Tensor:
            return torch.zeros(n, 2, dtype=torch.float64, device=device)

    mine, known, sde = Always(), Empirical(torch.zeros(1, 2)), EDMSDE()
    x = mine.sample(5, noise=SharedNoise(0), t=2.0, sde=sde)
    t = torch.full((5,), 2.0)
    torch.testing.assert_close(mine.score(sde)(x, t), known.score(sde)(x, t))
    torch.testing.assert_close(mine.log_prob(x, 2.0, sde), known.log_prob(x, 2.0, sde))
    one = torch.ones(5, dtype=torch.float64)
    assert float(mine.denoised(x.double(), one, 2 * one).abs().max()) < 1e-15
    assert torch.equal(mine.moments(2.0, sde)[1], 4.0 * torch.eye(2).double())
    assert torch.equal(mine.covariance, torch.zeros(2, 2).double())
