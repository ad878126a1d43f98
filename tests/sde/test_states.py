"""What a forward SDE does with states."""

from __future__ import annotations

import math

import pytest
import torch
from common import FALSE_ALARM, normal
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sdeplug import (
    PerSampleNoise,
    SharedNoise,
)
from sdeplug.sde import EDMSDE, VESDE, expand


def test_perturb_is_alpha_x_plus_sigma_noise(any_sde):
    x = normal(3, 2, 2)
    t = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float32)
    x_t = any_sde.perturb(x, t, PerSampleNoise(0, range(3)))
    noise = PerSampleNoise(0, range(3)).stream("perturb").normal(x)
    for row in range(3):
        now = any_sde.at(float(t[row]))
        torch.testing.assert_close(x_t[row], now.alpha * x[row] + now.sigma * noise[row])
    same = any_sde.perturb(x, torch.tensor(0.5), SharedNoise(0))
    assert torch.equal(same, any_sde.perturb(x, torch.full((3,), 0.5), SharedNoise(0)))
    assert any_sde.perturb(x.float(), t, SharedNoise(0)).dtype == torch.float32


def test_perturb_has_the_moments_of_the_marginal(any_sde):
    n, t = 100_000, 0.4
    x = any_sde.perturb(
        torch.full((n, 1), 2.0, dtype=torch.float64), torch.tensor(t), SharedNoise(0)
    )
    now = any_sde.at(t)
    z = (x - now.alpha * 2.0) / now.sigma
    assert abs(float(z.mean())) * math.sqrt(n) < stats.norm.isf(FALSE_ALARM / 4)
    chi2 = stats.chi2(n)
    assert chi2.ppf(FALSE_ALARM / 4) < float(z.square().sum()) < chi2.isf(FALSE_ALARM / 4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_drift_is_linear_and_rows_have_their_times(any_sde, dtype):
    x, t = normal(3, 2, 2, dtype=dtype), torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    drift = any_sde.drift(x, t)
    assert drift.dtype == dtype
    for row in range(3):
        wanted = any_sde.at(float(t[row])).drift_rate * x[row]
        torch.testing.assert_close(drift[row], wanted)
        torch.testing.assert_close(any_sde.drift_at(x, float(t[row]))[row], wanted)
    assert any_sde.diffusion_at(0.5) == any_sde.at(0.5).diffusion


def test_the_prior(any_sde):
    std = any_sde.prior_std
    largest = max(getattr(any_sde, "sigmas", None) or (1.0,))
    wanted = {VESDE: 50.0, EDMSDE: 80.0}.get(type(any_sde), largest)
    assert std == pytest.approx(wanted, rel=1e-12)
    x = any_sde.prior((3, 2, 2), SharedNoise(0), torch.float64)
    assert torch.equal(x, std * SharedNoise(0).normal(x))
    assert any_sde.prior((3, 2), SharedNoise(0)).dtype == torch.float32
    torch.testing.assert_close(
        any_sde.prior_log_prob(x),
        torch.distributions.Normal(0.0, std).log_prob(x).flatten(1).sum(1),
    )


@given(st.integers(0, 3))
def test_expand_gives_the_rank(rank):
    x = normal(2, *(3,) * rank)
    assert expand(torch.zeros(2), x).shape == (2,) + (1,) * rank
    assert expand(torch.tensor(1.0), x).shape == ()
