"""Imputation: at the right level, for every operator, and as the reference has it."""

from __future__ import annotations

import math

import pytest
import torch
from common import FALSE_ALARM, normal

from sdeplug.compose import Corrected, Denoise, OnGrid
from sdeplug.conditioning import Downsample, Grey, Mask, Matrix, Measurement, Pair, Replacement
from sdeplug.errors import ArgumentError, PairingError
from sdeplug.grid import At, LogSNR
from sdeplug.noise import SharedNoise
from sdeplug.pipeline import Leg, Pipeline
from sdeplug.registry import solver
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import VESDE, VPSDE
from sdeplug.targets import Gaussian

KNOWN = torch.tensor([True, False, True])
DATA = Gaussian((0.3, -0.2, 0.1), normal(3, 3) @ normal(3, 3).T)
DRAWS = 4000


def replaced(measurement, sde, t, x, seed=0, **options):
    """x once, by the corrector alone."""
    reverse = ReverseSDE(sde, lambda x, t: x)
    return Replacement(measurement, **options).correct(reverse, x, t, Run(SharedNoise(seed)))


def test_known_numbers_are_at_the_level_of_the_state_and_others_are_left(any_sde):
    x, y, level = normal(2, 3), normal(1, 2, seed=1), any_sde.at(0.4)
    z = SharedNoise(5).normal(x)
    found = replaced(Measurement(Mask(KNOWN), y), any_sde, 0.4, x, seed=5)
    assert torch.equal(found[:, ~KNOWN], x[:, ~KNOWN])
    torch.testing.assert_close(found[:, KNOWN], level.alpha * y + level.sigma * z[:, KNOWN])


@pytest.mark.parametrize(
    "operator", [Grey(), Downsample(2), Pair(Grey().forward, Grey().adjoint)], ids=repr
)
def test_what_an_operator_sees_is_known_and_the_rest_is_left(operator):
    x, sde = normal(2, 3, 4, 4), VPSDE()
    y = operator.forward(normal(2, 3, 4, 4, seed=1))
    known, level, z = Measurement(operator, y), sde.at(0.4), SharedNoise(5).normal(x)
    found = replaced(known, sde, 0.4, x, seed=5)
    seen = operator.forward(found)
    torch.testing.assert_close(seen, level.alpha * y + level.sigma * operator.forward(z))
    moved = found - x
    torch.testing.assert_close(operator.inverse(operator.forward(moved)), moved)


def test_colour_is_imputed_as_by_the_orthogonal_decoupling():
    """Song et al., appendix I.3: an orthogonal matrix of channels whose first row is grey."""
    first = torch.cat((torch.ones(3, 1).double(), normal(3, 2)), 1)
    basis = torch.linalg.qr(first).Q
    sde, x, image = VESDE(), normal(2, 3, 4, 4), normal(2, 3, 4, 4, seed=1)
    z, level = SharedNoise(5).normal(x), sde.at(0.5)
    decoupled = [torch.einsum("bchw,cd->bdhw", each, basis) for each in (x, image, z)]
    decoupled[0][:, 0] = level.alpha * decoupled[1][:, 0] + level.sigma * decoupled[2][:, 0]
    wanted = torch.einsum("bdhw,cd->bchw", decoupled[0], basis)
    known = Measurement(Grey(), image.mean(1, keepdim=True))
    torch.testing.assert_close(replaced(known, sde, 0.5, x, seed=5), wanted)


def test_the_noise_of_the_measurement_is_a_part_of_that_of_the_state():
    """Singular values 2, 0.5 and 0: one is known better than x_t, one worse, one not at all."""
    matrix = torch.diag(torch.tensor([2.0, 0.5, 0.0], dtype=torch.float64))
    x0, x, sde = normal(1, 3), normal(DRAWS, 3, seed=1), VPSDE()
    level, noise = sde.at(0.2), 0.6
    assert level.alpha * noise / 2.0 < level.sigma < level.alpha * noise / 0.5
    y = x0 @ matrix + noise * normal(DRAWS, 3, seed=2)
    found = replaced(Measurement(Matrix(matrix), y, noise), sde, 0.2, x)
    assert torch.equal(found[:, 1:], x[:, 1:])
    law = (found[:, 0] - level.alpha * x0[0, 0]) / level.sigma
    alarm = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(1.0 - FALSE_ALARM / 4)).item()
    assert abs(float(law.mean())) < alarm / math.sqrt(DRAWS)
    assert abs(float(law.square().mean()) - 1.0) < 1.1 * alarm * math.sqrt(2.0 / DRAWS)


def test_at_the_data_the_known_part_is_what_was_measured():
    sde, y = VPSDE(), normal(1, 2)
    known = Replacement(Measurement(Mask(KNOWN), y))
    by = OnGrid(Corrected(solver("song/ancestral"), known), LogSNR(10))
    legs = (Leg(sde.eps, by), Leg(0.0, Corrected(Denoise(), known)))
    run = Pipeline(ReverseSDE(sde, DATA.score(sde)), legs).sample((5, 3), dtype=torch.float64)
    torch.testing.assert_close(run.x[:, KNOWN], y.expand(5, 2))
    assert run.nfe == 11


@pytest.mark.parametrize("sde", [VPSDE(eps=1e-3), VESDE(eps=1e-5)], ids=["vp", "ve"])
def test_the_loop_of_the_reference_implementation(sde):
    """A transcript of its inpainting, against ours with its habits on."""
    steps, snr, image = 12, 0.16, normal(4, 3, seed=3)
    score, noise = DATA.score(sde), SharedNoise(7)
    mask = KNOWN.double()
    times = torch.linspace(sde.T, sde.eps, steps, dtype=torch.float64)
    start = sde.prior((4, 3), SharedNoise(1), torch.float64) * (1 - mask) + image * mask

    def known_at(x, t):
        alpha, sigma = sde.alpha(t), sde.sigma(t)
        x = x * (1 - mask) + (alpha * image + sigma * noise.normal(x)) * mask
        return x, x * (1 - mask) + alpha * image * mask

    x, tables = start, {"reference_steps": 50}
    reverse = ReverseSDE(sde, score)
    corrector = solver("song/langevin", snr=snr, batch_mean=True, **tables)
    predictor = solver("song/reverse-diffusion", **tables)
    for t in times.tolist():
        x = corrector.correct(reverse, x, t, Run(noise))
        x, _ = known_at(x, torch.tensor(t))
        x = predictor.integrate(reverse, x, t, 0.0, Run(noise))
        x, mean = known_at(x, torch.tensor(t))

    known = Measurement(Mask(KNOWN), image[:, KNOWN])
    step = Corrected(predictor, Replacement(known, reference_steps=steps))
    step = Corrected(Corrected(step, Replacement(known), before=True), corrector, before=True)
    leg = Leg(0.0, OnGrid(step, At(tuple(times[1:].tolist()))))
    found = Pipeline(reverse, leg).sample(x=start, noise=SharedNoise(7))
    torch.testing.assert_close(found.x, mean, rtol=1e-6, atol=1e-7)


def test_what_it_cannot_do_is_refused():
    noisy = Measurement(Pair(Grey().forward, Grey().adjoint), normal(1, 1, 4, 4), 0.1)
    with pytest.raises(PairingError, match="PiGDM and MomentMatching take any"):
        Replacement(noisy)
    with pytest.raises(ArgumentError, match="measurement = None: must be of type Measurement"):
        Replacement(None)
    with pytest.raises(ArgumentError, match=r"x = .*\(B, 3\)"):
        replaced(Measurement(Mask(KNOWN), normal(1, 2)), VPSDE(), 0.5, normal(2, 4))
