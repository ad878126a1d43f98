"""Langevin correctors: p_t stays as it is, rows keep to themselves, and a test that can fail."""

from __future__ import annotations

import math

import pytest
import torch
from common import FALSE_ALARM, GaussianScore, normal
from probing import Script
from scipy import stats

from sdeplug import (
    EDMSDE,
    VESDE,
    VPSDE,
    Corrector,
    PerSampleNoise,
    ReverseSDE,
    Run,
    SharedNoise,
    SubVPSDE,
)
from sdeplug.targets import Gaussian, eight_gaussians
from sdeplug_song import AnnealedLangevin, Langevin

TARGETS = {
    "eight": eight_gaussians(),
    "d=2": Gaussian(torch.linspace(-1.0, 1.0, 2), std=0.3),
    "d=8": Gaussian(torch.linspace(-1.0, 1.0, 8), std=0.3),
    "d=64": Gaussian(torch.linspace(-1.0, 1.0, 64), std=0.3),
}
WHERE = [(VPSDE(), 0.01), (VPSDE(), 0.3), (VESDE(), 0.6), (SubVPSDE(), 1.0)]
SWEEPS = 100


class NormPerRow(Corrector):
    """The naive rule: each row's step from the norm of its own score alone."""

    def correct(self, reverse, x, t, run):
        score, z = reverse.score(x, t), run.noise.normal(x)
        length = 2.0 * (0.16 * z.norm(dim=1) / score.norm(dim=1)).square()[:, None]
        return x + length * score + (2.0 * length).sqrt() * z


def drift(corrector, target, sde, t, rows=2048, seed=0):
    """How far the spread within a mode is from right after some sweeps, beyond all doubt.

    Started at p_t, a row in units of its component is standard normal, so that the sum of all
    squares is chi-square.  The error returned is the distance from the interval that this law is
    in with probability 1 - FALSE_ALARM: 0 for a corrector without a bias.
    """
    noise = SharedNoise(seed)
    reverse = ReverseSDE(sde, target.score(sde))
    x = target.sample(rows, noise=noise, t=t, sde=sde, dtype=torch.float64)
    for _ in range(SWEEPS):
        x = corrector.correct(reverse, x, t, Run(noise))
    component = torch.multinomial(
        target.responsibilities(x, t, sde), 1, generator=torch.Generator().manual_seed(seed)
    )[:, 0]
    squares = float(target.whitened(x, component, t, sde).square().sum())
    low, high = (
        math.sqrt(squares / stats.chi2(x.numel()).ppf(tail)) - 1.0
        for tail in (1.0 - 0.5 * FALSE_ALARM, 0.5 * FALSE_ALARM)
    )
    return max(low, -high, 0.0)


@pytest.mark.parametrize(("sde", "t"), WHERE)
@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize(
    "corrector",
    [
        Langevin(),
        pytest.param(AnnealedLangevin(), marks=pytest.mark.thorough),
        pytest.param(Langevin(batch_mean=True), marks=pytest.mark.thorough),
    ],
)
def test_p_t_is_left_as_it_is(corrector, name, sde, t):
    rows = 512 if name == "d=64" else 2048
    # With ``batch_mean`` nothing is promised, since the data might be uneven: these are not.
    floor = min(corrector.claims.floor, Langevin().claims.floor)
    assert drift(corrector, TARGETS[name], sde, t, rows) < floor


@pytest.mark.parametrize(
    "snr",
    [0.1, 0.6, *(pytest.param(snr, marks=pytest.mark.thorough) for snr in (0.03, 0.3, 0.9))],
)
@pytest.mark.parametrize("rule", [Langevin, AnnealedLangevin])
def test_the_floor_bounds_the_stationary_bias(rule, snr):
    """Without noise: the stationary law on the line, from the transition kernel on a fine mesh."""
    corrector, sde = rule(snr), EDMSDE()
    x = torch.linspace(-8.0, 8.0, 801, dtype=torch.float64)[:, None] * (1.0 if snr < 0.5 else 2.0)
    reverse = ReverseSDE(sde, lambda x, t: -x)  # p_t of a point mass at 0, at t = sigma = 1
    mean, moved = (
        corrector.correct(reverse, x, 1.0, Run(Script([z]))) for z in (0.0 * x, 1.0 + 0.0 * x)
    )
    kernel = torch.softmax(-0.5 * ((x.T - mean) / (moved - mean)).square(), dim=1)
    law = torch.linalg.matrix_power(kernel, 2**13)[400]
    bias = float((law @ x.square()).sqrt()) - 1.0
    # On this law both rules have the same step; Langevin's floor is for any law.
    tight = AnnealedLangevin(snr).claims.floor
    assert 0.4 * tight < bias < corrector.claims.floor * (1.0 + 1e-4)


def test_a_few_narrow_directions_among_many_are_not_overshot():
    """With K = 256 at any D, the bias of these was 13 %: the wide ones lengthen the step."""
    sde, t, narrow = VPSDE(), 0.02, 205
    variance = torch.full((4096,), 4.0 * sde.at(t).alpha ** 2, dtype=torch.float64)
    variance[:narrow] = 0.0
    variance += sde.at(t).sigma ** 2
    x = SharedNoise(0).normal(torch.empty(98, 4096, dtype=torch.float64)) * variance.sqrt()
    reverse, run = ReverseSDE(sde, lambda x, t: -x / variance), Run(SharedNoise(1))
    for _ in range(60):
        x = Langevin().correct(reverse, x, t, run)
    bias = float((x[:, :narrow].square().mean() / variance[0]).sqrt()) - 1.0
    assert 0.0 < bias < Langevin().claims.floor


def test_the_test_sees_the_naive_rule():
    for sde, t in WHERE:
        assert drift(NormPerRow(), TARGETS["d=2"], sde, t) > 0.2


def test_the_floor_is_the_stationary_bias_of_the_discretisation():
    """x' = (1 - e) x + sqrt(2 e) z has variance 1 / (1 - e / 2), e = 2 snr^2."""
    e = 2.0 * 0.3**2
    variance = 1.0
    for _ in range(1000):
        variance = (1.0 - e) ** 2 * variance + 2.0 * e
    assert AnnealedLangevin(0.3).claims.floor == pytest.approx(math.sqrt(variance) - 1.0, rel=1e-9)
    assert Langevin(0.3).claims.floor > AnnealedLangevin(0.3).claims.floor
    assert AnnealedLangevin(1.0).claims.floor == Langevin(1.5).claims.floor == math.inf


def correct(corrector, x, run, score=None, t=0.4, sde=None):
    sde = sde or VPSDE()
    return corrector.correct(ReverseSDE(sde, score or GaussianScore(sde)), x, t, run)


@pytest.mark.parametrize("corrector", [Langevin(steps=3), AnnealedLangevin(steps=3)])
def test_a_row_depends_on_nobody_else(corrector):
    x = normal(7, 5)
    whole = correct(corrector, x, Run(PerSampleNoise(0, range(7))))
    for row in (0, 3, 6):
        alone = correct(corrector, x[row : row + 1], Run(PerSampleNoise(0, [row])))
        torch.testing.assert_close(alone[0], whole[row], rtol=1e-13, atol=1e-13)


def test_the_rule_of_the_paper_couples_the_rows():
    x = normal(7, 5)
    for batch_mean in (False, True):
        corrector = Langevin(batch_mean=batch_mean)
        assert corrector.claims.couples_batch == batch_mean
        far = torch.cat((x[:6], 100.0 * x[6:]))
        one, other = (
            correct(corrector, each, Run(PerSampleNoise(0, range(7)))) for each in (x, far)
        )
        assert torch.equal(one[:6], other[:6]) != batch_mean


def test_the_step_per_row_in_closed_form():
    """2 r^2 over the mean square of the row's score and of 256 numbers of size 1 / sigma."""
    sde, x, z = VPSDE(), normal(4, 2, 3), normal(4, 2, 3, seed=1)
    sigma = sde.at(0.4).sigma
    got = correct(Langevin(0.2), x, Run(Script([z])), lambda x, t: -3.0 * x)
    for row in range(4):
        mean = (9.0 * float(x[row].square().sum()) + 256 / sigma**2) / (6 + 256)
        length = 2.0 * 0.2**2 / mean
        wanted = x[row] - length * 3.0 * x[row] + math.sqrt(2.0 * length) * z[row]
        torch.testing.assert_close(got[row], wanted, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("corrector", [Langevin(), Langevin(batch_mean=True), AnnealedLangevin()])
def test_steps_are_sweeps(corrector, steps):
    """Several steps are several applications: the score is asked for anew in each."""
    x = normal(5, 3)
    many = correct(type(corrector)(**vars(corrector) | {"steps": steps}), x, Run(SharedNoise(0)))
    run = Run(SharedNoise(0))
    for _ in range(steps):
        x = correct(corrector, x, run)
    torch.testing.assert_close(many, x, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [0.0, 1e-30, 1e30])
@pytest.mark.parametrize("corrector", [Langevin(), Langevin(batch_mean=True)])
def test_an_extreme_score_gives_no_nan(corrector, size, dtype):
    """A network with a last layer of zeros, as many start, or one that has gone astray."""
    x = normal(3, 4, dtype=dtype)
    out = correct(corrector, x, Run(SharedNoise(0)), lambda x, t: size * x)
    assert not out.isnan().any()
    if size == 0.0:
        assert out.isfinite().all()
