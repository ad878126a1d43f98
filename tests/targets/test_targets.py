"""Targets: every answer against dense linear algebra that shares no code with them."""

from __future__ import annotations

import pytest
import torch
from common import divergence
from hypothesis import given, settings
from hypothesis import strategies as st
from targets.cases import KINDS, SDES, case, error, kinds, sdes, states, times_of

from sdeplug.noise import SharedNoise
from sdeplug.sde import EDMSDE, VESDE, VPSDE, LinearSDE
from sdeplug.targets import (
    Empirical,
    GaussianMixture,
    Target,
)

# --- score and density --------------------------------------------------------------------------


@kinds
@sdes
def test_score_is_the_gradient_of_log_prob_at_another_time_in_each_row(
    kind: str, sde: LinearSDE
) -> None:
    target = case(kind).target
    t = times_of(sde, 7)
    x = states(target, sde, t)
    slopes = []
    for row, time in zip(x, t.tolist(), strict=True):
        point = row[None].clone().requires_grad_()
        slopes += torch.autograd.grad(target.log_prob(point, time, sde).sum(), point)
    score = target.score(sde)(x, t)
    assert score.shape == x.shape
    assert error(score, torch.cat(slopes)) < 1e-8


@kinds
@sdes
def test_score_density_denoiser_and_labels_against_dense_covariances(
    kind: str, sde: LinearSDE
) -> None:
    each = case(kind)
    for t in times_of(sde, 4).tolist():
        at = sde.at(t)
        x = each.target.sample(5, noise=SharedNoise(2), t=t, sde=sde, dtype=torch.float64)
        joint = each.joint(x, at.alpha, at.sigma)
        rounding = 1e-8 + 1e-14 / at.sigma**2  # of a squared length, here and in the reference
        torch.testing.assert_close(
            each.target.log_prob(x, t, sde), joint.logsumexp(1), rtol=1e-8, atol=rounding
        )
        share = joint.softmax(1)
        torch.testing.assert_close(
            each.target.responsibilities(x, t, sde), share, rtol=1e-7, atol=rounding
        )
        score = each.target.score(sde)(x, torch.tensor(t, dtype=torch.float64))
        assert error(score, each.score(x, at.alpha, at.sigma)) < 1e-7
        means, covariances = each.law(at.alpha, at.sigma)
        apart = x.flatten(1)[:, None] - means
        gain = at.alpha * each.covariances @ torch.linalg.inv(covariances)
        wanted = (share[..., None] * (each.means + torch.einsum("kij,bkj->bki", gain, apart))).sum(
            1
        )
        rows = torch.ones(5, dtype=torch.float64)
        denoised = each.target.denoised(x, at.alpha * rows, at.sigma * rows)
        torch.testing.assert_close(denoised.flatten(1), wanted, rtol=1e-6, atol=1e-8)


@kinds
@pytest.mark.parametrize("together", [True, False], ids=["one time", "a time for each row"])
def test_the_divergence_is_the_trace_of_the_jacobian(kind: str, together: bool) -> None:
    """Between the components, where their scores differ, as well as on one of them."""
    for sde in (VPSDE(), VESDE()):
        score = case(kind).target.score(sde)
        t = times_of(sde, 5)
        x = states(score.target, sde, t)
        x[-1] = score.target.means[:2].mean(0)
        t = torch.full_like(t, 0.3) if together else t
        found = score.with_divergence(x, t)
        assert torch.equal(found[0], score(x, t))
        torch.testing.assert_close(found[1], divergence(score, x, t), rtol=1e-7, atol=1e-7)


def test_a_target_that_has_no_formula_has_no_divergence() -> None:
    class Other(GaussianMixture):
        score_and_divergence = Target.score_and_divergence

    score = Other(None, [[0.0, 1.0]], std=1.0).score(VPSDE())
    assert score.with_divergence(torch.zeros(3, 2), torch.ones(3)) is None


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    kind=st.sampled_from(KINDS),
    count=st.integers(1, 6),
    dim=st.integers(1, 7),
    rank=st.integers(1, 9),
    seed=st.integers(0, 2**31),
    sde=st.sampled_from(SDES),
    fraction=st.floats(0.05, 1.0),
)
def test_any_mixture_in_any_dimension(
    kind: str, count: int, dim: int, rank: int, seed: int, sde: LinearSDE, fraction: float
) -> None:
    each = case(kind, count, dim, rank, seed)
    t = fraction * sde.T
    at = sde.at(t)
    x = each.target.sample(3, noise=SharedNoise(seed), t=t, sde=sde, dtype=torch.float64)
    wanted = each.joint(x, at.alpha, at.sigma).logsumexp(1)
    torch.testing.assert_close(each.target.log_prob(x, t, sde), wanted, rtol=1e-8, atol=1e-8)
    score = each.target.score(sde)(x, torch.full((3,), t, dtype=torch.float64))
    wanted = each.score(x, at.alpha, at.sigma)
    torch.testing.assert_close(score, wanted, rtol=1e-7, atol=1e-8 / at.sigma)


@pytest.mark.parametrize("t", [None, 1e-3, 0.2, 1.0])
def test_density_of_one_dimension_integrates_to_one(t: float | None) -> None:
    mixture = GaussianMixture((1, 3), ((-1.0,), (2.0,)), (((0.04,),), ((0.5,),)))
    points = Empirical(((-1.0,), (0.5,), (0.75,)))
    x = torch.linspace(-12.0, 12.0, 200_001, dtype=torch.float64)[:, None]
    for target in (mixture,) if t is None else (mixture, points):
        density = target.log_prob(x, *(() if t is None else (t, VPSDE()))).exp()
        assert float(torch.trapezoid(density, x[:, 0])) == pytest.approx(1.0, abs=1e-9)


def test_the_data_law_has_a_density_where_it_is_not_singular() -> None:
    each = case("full+std")
    x = each.target.sample(9, noise=SharedNoise(0), dtype=torch.float64)
    wanted = each.joint(x, 1.0, 0.0).logsumexp(1)
    torch.testing.assert_close(each.target.log_prob(x), wanted, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(each.target.log_prob(x, 0.0, VPSDE()), wanted)


def test_score_of_a_smooth_law_keeps_its_digits_where_sigma_is_tiny() -> None:
    # (alpha D - x) / sigma^2 would lose all of them here.
    for kind in ("full", "round", "gaussian", "low-rank+std"):
        each = case(kind)
        x = each.target.sample(4, noise=SharedNoise(3), dtype=torch.float64)
        score = each.target.score(EDMSDE())(x, torch.full((4,), 1e-8, dtype=torch.float64))
        assert error(score, each.score(x, 1.0, 1e-8)) < 1e-9


def test_score_does_not_feel_where_the_origin_is() -> None:
    g = torch.Generator().manual_seed(4)
    data = torch.randn(40, 3, generator=g, dtype=torch.float64) * 0.05
    sde, t = VESDE(), torch.full((16,), 1e-5, dtype=torch.float64)
    x = Empirical(data).sample(16, noise=SharedNoise(0), t=1e-5, sde=sde, dtype=torch.float64)
    score, far = Empirical(data).score(sde)(x, t), Empirical(data + 1e4).score(sde)(x + 1e4, t)
    assert error(far, score) < 1e-6


@pytest.mark.parametrize("sde", [VPSDE(), VESDE()])
@kinds
def test_single_precision_near_eps_is_worked_out_in_double(kind: str, sde: LinearSDE) -> None:
    target = case(kind).target
    x = target.sample(8, noise=SharedNoise(5), t=sde.eps, sde=sde)
    assert x.dtype == torch.float32
    t = torch.full((8,), sde.eps)
    score = target.score(sde)(x, t)
    assert score.dtype == torch.float32
    exact = target.score(sde)(x.double(), torch.full((8,), sde.eps, dtype=torch.float64))
    assert error(score.double(), exact) < 1e-5
    assert target.score(sde)(x.half(), t).dtype == torch.float16
    assert target.log_prob(x.half(), 0.5, sde).dtype == torch.float32
