"""The targets with a name, and rows that share a time."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import torch
from scipy import stats
from targets.cases import error, states

from sdeplug.noise import SharedNoise
from sdeplug.sde import VPSDE
from sdeplug.targets import (
    BUILTIN,
    digits,
    eight_gaussians,
    mixture_64,
    two_modes,
)


def test_builtin_targets_are_built_without_the_global_generator() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert set(BUILTIN) == {"eight-gaussians", "two-modes", "mixture-64", "digits"}
    for build in BUILTIN.values():
        target = build()
        assert target == build()
        x = target.sample(4, noise=SharedNoise(0), t=0.5, sde=VPSDE())
        assert x.shape == (4, *target.shape)
        assert bool(target.score(VPSDE())(x, torch.full((4,), 0.5)).isfinite().all())
    assert torch.equal(torch.get_rng_state(), before)


def test_eight_gaussians_lie_on_the_unit_circle() -> None:
    target = eight_gaussians()
    mean, covariance = target.moments()
    torch.testing.assert_close(mean, torch.zeros(2).double())
    torch.testing.assert_close(covariance, (0.5 + 0.01) * torch.eye(2).double())
    top = target.log_prob(torch.tensor([[0.0, -1.0], [0.5**0.5, 0.5**0.5], [0.0, 0.0]]).double())
    assert top[0] == pytest.approx(-math.log(8 * 2 * math.pi * 0.01), abs=1e-9)
    assert top[1] == pytest.approx(float(top[0]), abs=1e-9)
    assert top[2] < -40.0


def test_two_modes_are_those_of_the_paper() -> None:
    x = torch.tensor([[-5.0, -5.0], [5.0, 5.0], [0.0, 1.0]], dtype=torch.float64)
    wanted = 0.2 * stats.multivariate_normal((-5, -5)).pdf(x) + 0.8 * stats.multivariate_normal(
        (5, 5)
    ).pdf(x)
    np.testing.assert_allclose(two_modes().log_prob(x).exp(), wanted, rtol=1e-10)


def test_mixture_64_is_what_its_docstring_says() -> None:
    target = mixture_64()
    torch.testing.assert_close(target.weights, torch.arange(2.0, 12.0).double() / 65.0)
    assert not target.singular
    assert float(target.covariance.trace() / 64.0) ** 0.5 == pytest.approx(0.85, abs=0.01)
    x = target.sample(2000, noise=SharedNoise(0), dtype=torch.float64)
    share = target.responsibilities(x)
    assert float(share.amax(1).mean()) > 0.99
    own = x[share.argmax(1) == 9]
    spectrum = torch.linalg.eigvalsh(own.T.cov())
    assert 0.5 < float(spectrum[-1]) < 2.0
    assert 0.003 < float(spectrum[0]) < 0.02


def test_digits_are_the_images_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    target = digits()
    assert (target.shape, repr(target)) == ((1, 8, 8), "Empirical(points=1797, shape=(1, 8, 8))")
    assert target is digits()
    images = torch.from_numpy(load_digits().data) / 8.0 - 1.0
    assert (float(images.min()), float(images.max())) == (-1.0, 1.0)
    torch.testing.assert_close(target.mean, images.mean(0))
    torch.testing.assert_close(target.covariance, images.T.cov(correction=0))
    sde, t = VPSDE(), torch.full((64,), 1e-3)
    x = target.sample(64, noise=SharedNoise(0), t=1e-3, sde=sde)
    at = sde.at(1e-3)
    nearest = images[torch.cdist(x.double().flatten(1), at.alpha * images).argmin(1)]
    wanted = (at.alpha * nearest.reshape(x.shape) - x) / at.sigma**2
    assert error(target.score(sde)(x, t).double(), wanted) < 1e-4


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r'pip install "sdeplug\[images\]"'):
        digits.__wrapped__()


@pytest.mark.parametrize("name", sorted(BUILTIN))
def test_rows_that_share_a_time_are_scored_as_if_each_had_its_own(name: str) -> None:
    target = BUILTIN[name]()
    x = states(target, VPSDE(), torch.full((40,), 0.3))
    times = torch.full((40,), 0.3, dtype=torch.float64)
    alpha, sigma = VPSDE().log_alpha(times).exp(), VPSDE().sigma(times)
    wide = x.double()
    torch.testing.assert_close(
        target.score(VPSDE())(wide, times), target.score_at(wide, alpha, sigma),
        rtol=1e-9, atol=1e-9,
    )  # fmt: skip
    torch.testing.assert_close(
        target.log_prob(wide, 0.3, VPSDE()), target.log_density(wide, alpha, sigma),
        rtol=1e-9, atol=1e-9,
    )  # fmt: skip


def test_a_gradient_with_respect_to_shared_times_reaches_each_row() -> None:
    times = torch.full((5,), 0.3, dtype=torch.float64, requires_grad=True)
    x = torch.linspace(-1.0, 1.0, 10, dtype=torch.float64).reshape(5, 2)
    eight_gaussians().score(VPSDE())(x, times).square().sum().backward()
    assert times.grad is not None
    assert bool((times.grad != 0.0).all())
