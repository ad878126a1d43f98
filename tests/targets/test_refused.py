"""Targets: what is not allowed is named."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from targets.cases import case, sdes

from sdeplug.errors import ArgumentError, PairingError
from sdeplug.noise import SharedNoise
from sdeplug.sde import VESDE, VPSDE, LinearSDE
from sdeplug.targets import (
    DiffusedScore,
    Empirical,
    Gaussian,
    GaussianMixture,
    eight_gaussians,
    two_modes,
)

TWO = ((0.0, 0.0), (1.0, 1.0))
EYES = torch.eye(2).expand(2, 2, 2)
READ_ONLY = np.eye(2)
READ_ONLY.flags.writeable = False


def flat() -> Gaussian:
    """A singular covariance in full, whose zero eigenvalues come out as rounding."""
    thin = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return Gaussian(torch.zeros(6), thin @ thin.T)


WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "weights-count": (lambda: GaussianMixture((1.0,), TWO, std=1.0), "weights = .*2 numbers above"),
    "weights-zero": (lambda: GaussianMixture((1.0, 0.0), TWO, std=1.0), r"weights = \(1.0, 0.0\)"),
    "weights-negative": (lambda: GaussianMixture((2.0, -1.0), TWO, std=1.0), "weights = .*above 0"),
    "weights-nan": (lambda: GaussianMixture((1.0, math.nan), TWO, std=1.0), "weights = .*finite"),
    "weights-text": (lambda: GaussianMixture("ab", TWO, std=1.0), "weights = 'ab': must be real"),
    "means-rank": (lambda: GaussianMixture(None, (0.0, 1.0), std=1.0), r"means = .*\(K, \*shape\)"),
    "means-empty": (lambda: GaussianMixture(None, torch.zeros(0, 2), std=1.0), "means = .*one row"),
    "means-ragged": (lambda: GaussianMixture(None, ((0.0,), (1.0, 2.0)), std=1.0), "means = "),
    "means-inf": (lambda: GaussianMixture(None, ((math.inf,),), std=1.0), "means = .*finite"),
    "means-none": (lambda: GaussianMixture(None, None, std=1.0), "means = None: must be real"),
    "means-complex": (lambda: Gaussian((1j,), std=1.0), "mean = .*real numbers"),
    "tensor-complex": (lambda: Gaussian(torch.ones(2) * 1j, std=1.0), "mean = .*real numbers"),
    "no-spread": (lambda: GaussianMixture(None, TWO), r"std = None: .*std=0\.0 makes point masses"),
    "two-spreads": (lambda: GaussianMixture(None, TWO, EYES, factors=EYES), "factors = .*left out"),
    "covariance-shape": (
        lambda: GaussianMixture(None, TWO, torch.ones(2, 2, 3)),
        r"covariances = 'Tensor of shape \(2, 2, 3\)': must be of shape \(2, 2, 2\)",
    ),
    "covariance-rank": (lambda: GaussianMixture(None, TWO, torch.eye(2)), "covariances = .*to fit"),
    "covariance-tilted": (
        lambda: GaussianMixture(None, TWO, EYES + torch.tensor([[0.0, 0.1], [0.0, 0.0]])),
        "covariances = .*symmetric",
    ),
    "covariance-negative": (
        lambda: GaussianMixture(None, TWO, -EYES),
        "covariances = .*semi-definite. The smallest eigenvalue is -1",
    ),
    "covariance-nan": (lambda: GaussianMixture(None, TWO, EYES * math.nan), "covariances = .*fini"),
    "factors-shape": (
        lambda: GaussianMixture(None, TWO, factors=torch.ones(2, 3, 1)),
        "factors = ",
    ),
    "factors-empty": (
        lambda: GaussianMixture(None, TWO, factors=torch.ones(2, 2, 0)),
        "factors = ",
    ),
    "std-negative": (
        lambda: GaussianMixture(None, TWO, std=-1.0),
        r"std = -1\.0: must be one numb",
    ),
    "std-count": (lambda: GaussianMixture(None, TWO, std=(1.0, 1.0, 1.0)), "std = .*2 of them"),
    "data-rank": (lambda: Empirical(torch.zeros(5)), r"data = 'Tensor of shape \(5,\)'"),
    "data-nan": (lambda: Empirical(torch.full((5, 2), math.nan)), "data = .*missing values"),
    "x-shape": (
        lambda: two_modes().score(VPSDE())(torch.zeros(5, 3), torch.ones(5)),
        r"x = \(\(5, 3\), torch.float32\): must be of shape \(B, 2\)",
    ),
    "x-shape-log-prob": (
        lambda: two_modes().log_prob(torch.zeros(2)),
        r"x = \(\(2,\), torch.float32\): must be of shape \(B, 2\)",
    ),
    "x-dtype": (
        lambda: two_modes().log_prob(torch.zeros(5, 2, dtype=torch.int64)),
        "x = .*floating",
    ),
    "t-shape": (
        lambda: two_modes().score(VPSDE())(torch.zeros(5, 2), torch.ones(4)),
        r"t = \(4,\): must be of shape \(5,\)",
    ),
    "t-outside": (lambda: two_modes().log_prob(torch.zeros(1, 2), 1.5, VPSDE()), r"t = 1\.5"),
    "t-without-sde": (lambda: two_modes().moments(0.5), r"t = 0\.5: must be 0 when no SDE"),
    "t-no-density": (
        lambda: Empirical(TWO).log_prob(torch.zeros(1, 2), 0.0, VPSDE()),
        r"t = 0\.0: must be a time where p_t has a density",
    ),
    "t-no-density-disc": (
        lambda: case("gaussian-low-rank").target.log_prob(torch.zeros(1, 1, 2, 3)),
        r"t = 0\.0: must be a time where p_t has a density",
    ),
    "t-no-density-flat": (
        lambda: flat().log_prob(torch.zeros(1, 6)),
        r"t = 0\.0: must be a time where p_t has a density",
    ),
    "t-no-density-labels": (
        lambda: Empirical(TWO).responsibilities(torch.zeros(1, 2)),
        r"t = 0\.0: must be a time where p_t has a density",
    ),
    "n": (lambda: two_modes().sample(0, noise=SharedNoise(0)), "n = 0: must be a whole number"),
    "n-bool": (lambda: two_modes().sample(True, noise=SharedNoise(0)), "n = True"),
    "noise": (lambda: two_modes().sample(3, noise=0), "noise = 0: must be a NoiseSource, not int"),
}


@pytest.mark.parametrize("which", WRONG)
def test_what_is_not_allowed_is_named(which: str) -> None:
    build, message = WRONG[which]
    with pytest.raises(ArgumentError, match=message) as caught:
        build()
    assert len(str(caught.value)) < 250


@sdes
def test_sigma_of_zero_is_an_error_and_never_a_silent_nan(sde: LinearSDE) -> None:
    t = torch.tensor([0.5, 0.0, 0.5])
    score = eight_gaussians().score(sde)
    if isinstance(sde, VESDE):
        assert bool(score(torch.zeros(3, 2), t).isfinite().all())
    else:
        with pytest.raises(ArgumentError, match=r"t = 0\.0: must be a time where sigma is above 0"):
            score(torch.zeros(3, 2), t)
    if isinstance(sde, VPSDE):
        with pytest.raises(ArgumentError, match="t = nan"):
            score(torch.zeros(3, 2), t * math.nan)


def test_another_thing_than_a_linear_sde_does_not_pair() -> None:
    for use in (
        lambda: two_modes().score("vp"),
        lambda: two_modes().moments(0.5, VPSDE),
        lambda: DiffusedScore(two_modes(), None),
    ):
        with pytest.raises(PairingError, match="must be a LinearSDE"):
            use()


def test_rounding_of_single_precision_is_forgiven() -> None:
    g = torch.Generator().manual_seed(0)
    root = torch.randn(1, 40, 3, generator=g)
    full = root @ root.mT
    target = GaussianMixture(None, torch.zeros(1, 40), full)
    torch.testing.assert_close(target.covariance.float(), full[0], rtol=0.0, atol=1e-5)
    tilted = torch.tensor([[1.0, 2e-7], [0.0, 1.0]], dtype=torch.float64)
    assert float(Gaussian((0.0, 0.0), tilted).covariance[0, 1]) == pytest.approx(1e-7)
    assert Gaussian(np.zeros(2), READ_ONLY).covariance.equal(torch.eye(2).double())
