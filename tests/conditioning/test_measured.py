"""Scores of measured samples, against posteriors that are known: those of Gaussians."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from common import normal

from sdeplug.compose import Corrected, OnGrid
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
from sdeplug.score import FromNoise, FromScore, for_rows, sde_of
from sdeplug.sde import VESDE, VPSDE, SubVPSDE, expand
from sdeplug.targets import Gaussian

MEAN, COVARIANCE = normal(4), normal(4, 4, seed=1) @ normal(4, 4, seed=1).T + 0.1 * torch.eye(4)
MATRIX = normal(2, 4, seed=2)
OPERATOR = Matrix(MATRIX)
X, T = normal(5, 4, seed=4), torch.linspace(0.05, 0.95, 5, dtype=torch.float64)
Y = normal(1, 2, seed=3)
KNOWN = torch.tensor([True, False, True, True])


def posterior(matrix, y, noise, covariance=COVARIANCE):
    """N(m, C) given y = A x + noise n, by the textbook."""
    system = matrix @ covariance @ matrix.T + noise**2 * torch.eye(len(matrix)).double()
    gain = covariance @ matrix.T @ torch.linalg.inv(system)
    mean = MEAN + gain @ (y[0] - matrix @ MEAN)
    return Gaussian(mean, covariance - gain @ matrix @ covariance)


def close(found, wanted):
    torch.testing.assert_close(found, wanted, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_moment_matching_is_exact_for_gaussians(any_sde, noise):
    known = Measurement(OPERATOR, Y, noise)
    found = MomentMatching(Gaussian(MEAN, COVARIANCE).score(any_sde), known, tolerance=1e-12)
    close(found(X, T), posterior(MATRIX, Y, noise).score(any_sde)(X, T))
    assert sde_of(found) is any_sde


@pytest.mark.parametrize("noise", [0.0, 0.2])
@pytest.mark.parametrize("operator", [OPERATOR, Mask(KNOWN)], ids=["matrix", "mask"])
def test_pseudo_inverse_guidance_is_exact_for_round_gaussians(any_sde, noise, operator):
    matrix = operator.forward(torch.eye(4).double()).T
    y, round_ = normal(1, len(matrix), seed=3), 0.49 * torch.eye(4).double()
    found = PiGDM(Gaussian(MEAN, round_).score(any_sde), Measurement(operator, y, noise), 0.7)
    close(found(X, T), posterior(matrix, y, noise, round_).score(any_sde)(X, T))


def test_the_local_score_is_exact_where_data_are_spread_far(any_sde):
    wide = 1e9 * torch.eye(4).double()
    found = LocalScore(Gaussian(MEAN, wide).score(any_sde), Measurement(OPERATOR, Y, 0.2))
    wanted = posterior(MATRIX, Y, 0.2, wide).score(any_sde)(X, T)
    torch.testing.assert_close(found(X, T), wanted, rtol=1e-3, atol=1e-4)


def test_dps_takes_the_denoised_state_for_the_data(any_sde):
    """Written out for a Gaussian, whose denoised state is affine in the state."""
    scale, noise = 0.7, 0.3
    found = DPS(Gaussian(MEAN, COVARIANCE).score(any_sde), Measurement(OPERATOR, Y, noise), scale)
    for row, t in enumerate(T.tolist()):
        level = any_sde.at(t)
        total = level.alpha**2 * COVARIANCE + level.sigma**2 * torch.eye(4)
        gain = level.alpha * COVARIANCE @ torch.linalg.inv(total)
        away = X[row] - level.alpha * MEAN
        misfit = Y[0] - MATRIX @ (MEAN + gain @ away)
        pull = scale * gain.T @ MATRIX.T @ misfit / noise**2
        close(found(X, T)[row], pull - torch.linalg.inv(total) @ away)


def test_an_operator_of_two_functions_gives_what_one_of_known_singular_values_gives():
    score, two = Gaussian(MEAN, COVARIANCE).score(VPSDE()), Pair(OPERATOR.forward, OPERATOR.adjoint)
    for method in (LocalScore, PiGDM, MomentMatching):
        one, other = (method(score, Measurement(a, Y, 0.2))(X, T) for a in (OPERATOR, two))
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_scales_multiply_the_term_alone():
    score, known = Gaussian(MEAN, COVARIANCE).score(VPSDE()), Measurement(OPERATOR, Y, 0.2)
    bare = score(X, T)
    for method in (DPS, PiGDM):
        close(method(score, known, scale=0.0)(X, T), bare)
        one, three = (method(score, known, scale=each)(X, T) - bare for each in (1.0, 3.0))
        close(three, 3.0 * one)


def network(x, t):
    """No score of anything: its derivative is not symmetric, and not positive."""
    return torch.tanh(x.flip(1) - 0.3 * x) + t[:, None]


METHODS = {
    "local": LocalScore,
    "dps": lambda score, known: DPS(score, known, 0.05),
    "pigdm": PiGDM,
    "moments": MomentMatching,
}


def every():
    return pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


@every()
@pytest.mark.parametrize(
    "by",
    [
        OnGrid(Corrected(solver("song/reverse-diffusion"), solver("song/langevin")), LogSNR(6)),
        solver("exponential/auto", nfe=8),
        solver("adaptive/row-dopri5", rtol=1e-2),
    ],
    ids=["predictor-corrector", "auto", "rows"],
)
def test_every_method_works_with_every_kind_of_solver_and_with_rows_of_its_own(method, by):
    """Each row is what it is alone, though rows leave one by one, each with its measurement."""
    y, sde = normal(3, 2, seed=5), VPSDE()
    guided = method(Gaussian(MEAN, COVARIANCE).score(sde), Measurement(OPERATOR, y, 0.5))
    level = 0.0 if "Row" in repr(by) else 1.0
    run = sample(ReverseSDE(sde, guided, level), (3, 4), by, seed=[7, 8, 9], dtype=torch.float64)
    assert bool(run.x.isfinite().all())
    one = for_rows(guided, torch.tensor([1]))
    alone = sample(ReverseSDE(sde, one, level), (1, 4), by, seed=[8], dtype=torch.float64)
    torch.testing.assert_close(alone.x[0], run.x[1], rtol=1e-5, atol=1e-6)


@every()
@pytest.mark.parametrize("sde", [VPSDE(), SubVPSDE(), VESDE()], ids=["vp", "sub-vp", "ve"])
def test_the_measurement_pulls_the_samples_towards_it(method, sde):
    """By the flow, which all of them leave finite: nearer to y than without the measurement."""
    score, known = Gaussian(MEAN, COVARIANCE).score(sde), Measurement(OPERATOR, Y + 2.0, 0.5)
    by = OnGrid(solver("ode/heun"), LogSNR(24))
    far, near = (
        known.residual(sample(ReverseSDE(sde, each, 0.0), (16, 4), by, dtype=torch.float64).x)
        for each in (score, method(score, known))
    )
    assert float(near.norm()) < 0.7 * float(far.norm())


@every()
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_nothing_of_a_graph_is_left_where_nobody_asked(method, mode):
    guided = method(FromNoise(network, VPSDE()), Measurement(OPERATOR, Y, 0.5))
    with mode():
        found = guided(X.clone(), T)
    assert not found.requires_grad
    torch.testing.assert_close(found.clone(), guided(X, T).detach())


@every()
def test_scores_of_measured_samples_are_differentiable(method):
    """As a likelihood asks: the whole derivative, that of the weights included."""
    guided = method(FromNoise(network, VPSDE()), Measurement(OPERATOR, Y, 0.5))
    x = X[:2].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: guided(z, T[1:3]), x, atol=1e-4, rtol=1e-3)


@every()
def test_half_precision_stays_so_and_is_computed_in_float32(method):
    guided = method(FromNoise(network, VPSDE()), Measurement(OPERATOR, Y, 0.5))
    x, times = X.bfloat16(), 0.5 * T
    found = guided(x, times)
    assert found.dtype == torch.bfloat16
    wanted = guided(x.double(), times)
    torch.testing.assert_close(found.double(), wanted, rtol=0.1, atol=0.1)


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
