"""Scores of measured samples, against posteriors that are known: those of Gaussians."""

from __future__ import annotations

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

from sdeplug.compose import Corrected, OnGrid
from sdeplug.conditioning import (
    DPS,
    LocalScore,
    Mask,
    Measurement,
    MomentMatching,
    Pair,
    PiGDM,
)
from sdeplug.grid import LogSNR
from sdeplug.pipeline import sample
from sdeplug.registry import solver
from sdeplug.reverse import ReverseSDE
from sdeplug.score import FromNoise, for_rows, sde_of
from sdeplug.sde import VESDE, VPSDE, SubVPSDE
from sdeplug.targets import Gaussian


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
