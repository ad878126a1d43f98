"""Restoration step by step, what does not fit, and the cost and likelihood of measured samples."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from common import normal
from conditioning.linear import (
    COVARIANCE,
    KNOWN,
    MATRIX,
    MEAN,
    OPERATOR,
    T,
    X,
    Y,
    close,
    every,
    network,
    posterior,
)

from sdeplug.compose import OnGrid
from sdeplug.conditioning import (
    DDRM,
    DPS,
    Grey,
    LocalScore,
    Mask,
    Matrix,
    Measurement,
    MomentMatching,
    Pair,
    PiGDM,
)
from sdeplug.errors import ArgumentError, PairingError, ScoreModelError
from sdeplug.grid import LogSNR
from sdeplug.likelihood import log_likelihood
from sdeplug.noise import SharedNoise, Silence
from sdeplug.pipeline import sample
from sdeplug.registry import solver
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.score import FromNoise, FromScore
from sdeplug.sde import VPSDE, expand
from sdeplug.targets import Gaussian


def ddrm_step(operator, y, noise, x, source, **options):
    reverse = ReverseSDE(VPSDE(), Gaussian(MEAN, COVARIANCE).score(VPSDE()))
    return DDRM(Measurement(operator, y, noise), **options).integrate(
        reverse, x, 0.5, 0.2, Run(source)
    )


@pytest.mark.parametrize("noise", [0.0, 0.4])
def test_restoration_makes_the_step_of_the_paper_along_each_singular_value(noise):
    """Singular values 2, 0.3 and 0, so that each of the three rules has a direction."""
    values = torch.tensor([2.0, 0.3, 0.0, 0.0], dtype=torch.float64)
    basis, eta, eta_b = torch.linalg.qr(normal(4, 4, seed=6)).Q, 0.6, 0.8
    operator, y, z = Matrix(values[:2, None] * basis[:2]), normal(5, 2, seed=7), SharedNoise(3)
    found = ddrm_step(operator, y, noise, X, z, eta=eta, eta_b=eta_b) @ basis.T
    sde, score = VPSDE(), Gaussian(MEAN, COVARIANCE).score(VPSDE())
    late, early = sde.at(0.5), sde.at(0.2)
    times = torch.full((5,), 0.5, dtype=torch.float64)
    denoised = (X + late.sigma**2 * score(X, times)) / late.alpha @ basis.T
    state, z = X / late.alpha @ basis.T, SharedNoise(3).normal(X) @ basis.T
    tau, after = late.sigma / late.alpha, early.sigma / early.alpha
    for k, value in enumerate(values.tolist()):
        if value == 0.0:
            mean = denoised[:, k] + (1 - eta**2) ** 0.5 * after * (state - denoised)[:, k] / tau
            std = eta * after
        elif after < noise / value:
            gap = y[:, k] / value - denoised[:, k]
            mean = denoised[:, k] + (1 - eta**2) ** 0.5 * after * gap / (noise / value)
            std = eta * after
        else:
            mean = (1 - eta_b) * denoised[:, k] + eta_b * y[:, k] / value
            std = (after**2 - (eta_b * noise / value) ** 2) ** 0.5
        close(found[:, k], early.alpha * (mean + std * z[:, k]))
    assert noise == 0.0 or noise / 2.0 < after < noise / 0.3


def test_restoration_is_a_solver_of_single_steps():
    known = Measurement(Mask(KNOWN), normal(3, 3), 0.1)
    reverse = ReverseSDE(VPSDE(), FromNoise(network, VPSDE()), 0.0)
    assert sample(reverse, (3, 4), DDRM(known)).nfe == 101
    run = sample(reverse, (3, 4), OnGrid(DDRM(known), LogSNR(7)), dtype=torch.float64)
    assert run.nfe == 8
    still = ddrm_step(Mask(KNOWN), normal(1, 3), 0.0, X, Silence())
    torch.testing.assert_close(still[:, KNOWN] / VPSDE().at(0.2).alpha, normal(1, 3).expand(5, 3))


SCORE, NOISY = FromScore(network, VPSDE()), Measurement(OPERATOR, Y, 0.5)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: PiGDM(network, NOISY), PairingError, r"FromScore\(score, sde\)"),
        (lambda: PiGDM(SCORE, Y), ArgumentError, "measurement = .* of type Measurement"),
        (lambda: PiGDM(SCORE, NOISY, data_std=0.0), ArgumentError, "data_std = 0.0"),
        (lambda: DPS(SCORE, NOISY, -1.0), ArgumentError, "scale = -1.0"),
        (lambda: DPS(SCORE, Measurement(OPERATOR, Y)), ArgumentError, "noise_std = 0.0: .* DPS"),
        (lambda: MomentMatching(SCORE, NOISY, iterations=0), ArgumentError, "iterations = 0"),
        (lambda: DDRM(NOISY, eta=1.5), ArgumentError, "eta = 1.5"),
        (
            lambda: DDRM(Measurement(Pair(Grey().forward, Grey().adjoint), normal(1, 1, 2))),
            PairingError,
            "take any",
        ),
        (lambda: LocalScore(SCORE, NOISY)(X[:, :3], T), ArgumentError, r"of shape \(B, 4\)"),
        (
            lambda: PiGDM(FromScore(lambda x, t: x.detach(), VPSDE()), NOISY)(X, T),
            ScoreModelError,
            "no_grad",
        ),
        (
            lambda: PiGDM(SCORE, Measurement(OPERATOR, normal(2, 2), 0.5))(X, T),
            ArgumentError,
            "y = '2 rows'",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(make, error, words):
    with pytest.raises(error, match=words):
        make()


@dataclass(frozen=True)
class Slow:
    """Counts how often it is asked."""

    asked: list

    def __call__(self, x, t):
        self.asked.append(len(x))
        return -x


@every()
def test_one_evaluation_asks_the_score_once(method):
    slow = Slow([])
    method(FromScore(slow, VPSDE()), NOISY)(X, T)
    assert slow.asked == [5]
    assert expand(T, X).shape == (5, 1)


def test_the_likelihood_of_measured_samples_is_that_of_the_posterior():
    """The divergence asks for second derivatives of the score, through conjugate gradients."""
    sde = VPSDE()
    guided = MomentMatching(
        Gaussian(MEAN, COVARIANCE).score(sde), Measurement(OPERATOR, Y, 0.4), tolerance=1e-9
    )
    exact = posterior(MATRIX, Y, 0.4)
    x = exact.sample(2, noise=SharedNoise(0), t=sde.eps, sde=sde, dtype=torch.float64)
    by = solver("adaptive/row-dopri5", rtol=1e-6, atol=1e-6)
    found, wanted = (
        log_likelihood(ReverseSDE(sde, each), x, by).log_prob for each in (guided, exact.score(sde))
    )
    torch.testing.assert_close(found, wanted, rtol=0.0, atol=1e-4)
