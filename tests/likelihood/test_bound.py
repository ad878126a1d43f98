"""Bounds, against exact values for Gaussian data."""

from __future__ import annotations

import math

import pytest
import torch

from sdeplug import (
    VESDE,
    VPSDE,
    ArgumentError,
    LogSNR,
    NoiseSource,
    PairingError,
    ReverseSDE,
    ScoreModelError,
    SharedNoise,
    Uniform,
)
from sdeplug.likelihood import (
    FixedLarge,
    FixedSmall,
    Learned,
    bits_per_dim,
    continuous_bound,
    log_likelihood,
    truncated,
    variational_bound,
)
from sdeplug.targets import Gaussian
from sdeplug.training import Discretised

S = 0.6


class Signs(NoiseSource):
    """1, -1, 1, -1: with data S, S, -S, -S, means of squares are those over all draws."""

    def normal(self, like):
        return torch.tensor([1.0, -1.0] * (len(like) // 2)).to(like).reshape(-1, 1).expand_as(like)


DATA = torch.tensor([[S], [S], [-S], [-S]], dtype=torch.float64)


def reverse_of(sde, dim=1):
    return ReverseSDE(sde, Gaussian(torch.zeros(dim).double(), std=S).score(sde))


def expected(sde, times, variance):
    """L_0 first, then the other terms, then L_T, from the laws of a chain of normal numbers."""
    terms, before = [], (1.0, 0.0)
    for number, t in enumerate(times):
        alpha, sigma = sde.at(t).alpha, sde.at(t).sigma
        scale = alpha / before[0]
        up = sigma**2 - (scale * before[1]) ** 2
        tilde = up * before[1] ** 2 / sigma**2
        moved = (up / scale) ** 2 * (1.0 / sigma**2 - 1.0 / ((alpha * S) ** 2 + sigma**2))
        if number == 0:
            first = up, scale, moved
            terms.append(0.0)
        else:
            v = tilde if variance == FixedSmall() else up
            ratio = tilde / v
            terms.append(0.5 * (ratio - 1.0 - math.log(ratio) + moved / v))
            if number == 1:
                terms[0] = 0.5 * (math.log(2.0 * math.pi * tilde) + first[2] / tilde)
        before = alpha, sigma
    ratio = (before[1] / sde.prior_std) ** 2
    last = 0.5 * (ratio - 1.0 - math.log(ratio) + (before[0] * S / sde.prior_std) ** 2)
    return [*terms, last]


@pytest.mark.parametrize("variance", [FixedSmall(), FixedLarge()], ids=repr)
@pytest.mark.parametrize(
    ("sde", "grid"), [(VPSDE(), Uniform(6)), (VESDE(), LogSNR(5))], ids=["vp", "ve"]
)
def test_every_term_is_that_of_a_gaussian_chain(sde, grid, variance):
    bound = variational_bound(reverse_of(sde), DATA, grid, variance=variance, noise=Signs())
    times = [t for t in reversed(grid.times(sde.T, 0.0, sde)) if sde.at(t).sigma > 0.0]
    found = torch.cat((bound.data[None], bound.steps, bound.prior[None])).mean(1)
    assert torch.allclose(
        found, torch.tensor(expected(sde, times, variance), dtype=torch.float64), rtol=1e-9
    )
    assert torch.allclose(bound.t, torch.tensor(times[1:], dtype=torch.float64))
    assert bound.nfe == len(times)
    assert bound.bits.mean() * math.log(2.0) == pytest.approx(float(found.sum()))


def test_a_learned_variance_is_between_the_two():
    sde, ends = VPSDE(), {}
    for v in (-1.0, 0.0, 1.0):
        ends[v] = variational_bound(
            reverse_of(sde), DATA, Uniform(6), noise=Signs(),
            variance=Learned(lambda x, t, v=v: torch.full_like(x, v)),
        )  # fmt: skip
    for v, fixed in ((-1.0, FixedSmall()), (1.0, FixedLarge())):
        known = variational_bound(reverse_of(sde), DATA, Uniform(6), variance=fixed, noise=Signs())
        assert torch.allclose(ends[v].steps, known.steps)
    assert not torch.allclose(ends[0.0].steps, ends[1.0].steps)


def test_the_continuous_bound_of_the_exact_score_is_the_entropy():
    """To five standard errors of the mean of 1,500 rows; a score off by a tenth is seen."""
    sde, target = VPSDE(), Gaussian(torch.zeros(2).double(), std=S)
    x = target.sample(1500, noise=SharedNoise(1), dtype=torch.float64)
    gaps = []
    for factor in (1.0, 1.3):
        exact = target.score(sde)
        reverse = ReverseSDE(sde, lambda x, t, by=factor, exact=exact: by * exact(x, t))
        bound = continuous_bound(reverse, x, 12)
        gap = bound.nats + target.log_prob(x)
        gaps.append(float(gap.mean() / (gap.std() / len(gap) ** 0.5)))
        assert bound.steps.shape == (12, 1500)
        assert bound.nfe == 13
    assert abs(gaps[0]) < 5.0
    assert gaps[1] > 5.0


def test_many_steps_come_to_the_integral_of_the_limit():
    """Half the integral of the error of the noise, 1 - Var / sigma^2, over the log-SNR."""
    sde = VESDE()
    high, low = sde.at(0.0).log_snr, sde.at(1.0).log_snr
    log_snr = torch.linspace(low, high, 2001, dtype=torch.float64)
    limit = 0.5 * float(torch.trapezoid(S**2 / (S**2 + torch.exp(-log_snr)), log_snr))
    gaps = []
    for count in (100, 200):
        bound = variational_bound(reverse_of(sde), DATA, LogSNR(count), noise=Signs())
        gaps.append(float(bound.steps.sum(0).mean()) / limit - 1.0)
    assert 0.0 < gaps[1] < 0.55 * gaps[0] < 0.05


@pytest.mark.parametrize("sde", [VPSDE(), VESDE()], ids=repr)
def test_truncation_leads_from_the_density_at_eps_to_that_of_the_data(sde):
    """For a Gaussian the law of x_0 given x_eps is known: the bound is the log-density."""
    target = Gaussian(torch.zeros(2).double(), std=S)
    x = target.sample(8, noise=SharedNoise(1), dtype=torch.float64)
    at, nats = truncated(reverse_of(sde, 2), x)
    exact = target.log_prob(at, sde.eps, sde)
    assert torch.allclose(exact + nats, target.log_prob(x), atol=5e-3)
    likelihood = log_likelihood(reverse_of(sde, 2), at)
    bits = bits_per_dim(likelihood, levels=None, truncation=nats)
    assert torch.allclose(bits.total, -target.log_prob(x) / (2 * math.log(2.0)), atol=1e-2)


def test_levels_can_be_kept_instead_of_dequantised():
    """A level has the probability of its bin, and the ends all that lies beyond them."""
    sde = VPSDE()
    x = torch.linspace(-1.0, 1.0, 9, dtype=torch.float64)[:, None].expand(9, 1)
    _, plain = truncated(reverse_of(sde), x, t=0.5, noise=Signs9())
    _, kept = truncated(reverse_of(sde), x, t=0.5, decoder=Discretised(9), noise=Signs9())
    q = -0.5 * math.log(2.0 * math.pi) - math.log(sde.at(0.5).sigma) - 0.5 * Signs9.EPSILON**2
    sigma, alpha = sde.at(0.5).sigma, sde.at(0.5).alpha
    state = alpha * x + sigma * Signs9.EPSILON
    mean = reverse_of(sde).denoised(state, 0.5)
    law = torch.distributions.Normal(mean, sigma / alpha)
    upper = torch.where(x >= 1.0, 1.0, law.cdf(x + 0.125))
    lower = torch.where(x <= -1.0, 0.0, law.cdf(x - 0.125))
    assert torch.allclose(kept, (upper - lower).log()[:, 0] - q)
    assert torch.allclose(plain, law.log_prob(x)[:, 0] - q)


class Signs9(NoiseSource):
    EPSILON = 0.4

    def normal(self, like):
        return torch.full_like(like, self.EPSILON)


REVERSE = reverse_of(VPSDE())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: variational_bound(VPSDE(), DATA), "must be a ReverseSDE"),
        (lambda: variational_bound(REVERSE, DATA[:, 0]), "samples, then the shape of one"),
        (lambda: variational_bound(REVERSE, DATA, variance="small"), "must be FixedSmall"),
        (lambda: variational_bound(REVERSE, DATA, decoder="levels"), "must be Continuous"),
        (lambda: continuous_bound(REVERSE, DATA, decoder="levels"), "must be Continuous"),
        (lambda: variational_bound(REVERSE, DATA, 10), "grid = 10: must be a TimeGrid"),
        (lambda: variational_bound(REVERSE, DATA, noise=1), "NoiseSource"),
        (lambda: variational_bound(REVERSE, DATA, Uniform(3), variance=Learned(lambda x, t: t)),
         r"place returned \(4,\)"),
        (lambda: continuous_bound(REVERSE, DATA, 0), "points = 0"),
        (lambda: continuous_bound(REVERSE, DATA, t=0.0), "sigma is not 0"),
        (lambda: truncated(REVERSE, DATA, t=1.5), "t = 1.5"),
        (lambda: truncated(REVERSE, DATA, decoder=256), "Discretised"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_a_sentence(call, message):
    with pytest.raises((ArgumentError, PairingError, ScoreModelError), match=message):
        call()
