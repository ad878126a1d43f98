"""Targets: every answer against dense linear algebra that shares no code with them."""

from __future__ import annotations

import copy
import math
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from common import divergence
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor
from torch.distributions import MultivariateNormal
from torch.utils._python_dispatch import TorchDispatchMode

from sdeplug.errors import ArgumentError, PairingError
from sdeplug.noise import NoiseSource, PerSampleNoise, SharedNoise
from sdeplug.sde import EDMSDE, VESDE, VPSDE, CosineVPSDE, LinearSDE, SubVPSDE
from sdeplug.targets import (
    BUILTIN,
    DiffusedScore,
    Empirical,
    Gaussian,
    GaussianMixture,
    Target,
    components,
    digits,
    eight_gaussians,
    mixture_64,
    two_modes,
)

SDES = (VPSDE(), SubVPSDE(), VESDE(), CosineVPSDE(), EDMSDE())
FALSE_ALARM = 1e-6  # of each statistical assertion, were its seed drawn afresh


@dataclass
class Case:
    """A target, and the same mixture in dense form."""

    target: GaussianMixture
    weights: Tensor
    means: Tensor
    covariances: Tensor

    def law(self, alpha: float, sigma: float) -> tuple[Tensor, Tensor]:
        identity = torch.eye(self.means.shape[1], dtype=torch.float64)
        return alpha * self.means, alpha**2 * self.covariances + sigma**2 * identity

    def joint(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """log(weight x density) of each component, (B, K)."""
        means, covariances = self.law(alpha, sigma)
        law = MultivariateNormal(means, covariances)
        return law.log_prob(x.flatten(1)[:, None]) + self.weights.log()

    def score(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        x = x.clone().requires_grad_()
        (score,) = torch.autograd.grad(self.joint(x, alpha, sigma).logsumexp(1).sum(), x)
        return score


def case(kind: str, count: int = 4, dim: int = 6, rank: int = 2, seed: int = 0) -> Case:
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=g, dtype=torch.float64)

    shape = (1, 2, dim // 2) if dim % 2 == 0 else (dim,)
    count = 1 if kind.startswith("gaussian") else count
    means, weights = normal(count, *shape), normal(count).exp()
    square, thin, std = normal(count, dim, dim), normal(count, dim, rank), 0.3 + normal(count) ** 2
    full = square @ square.mT + 0.05 * torch.eye(dim, dtype=torch.float64)
    low = thin @ thin.mT
    disc = torch.diag_embed(std.square()[:, None].expand(count, dim))
    none = torch.zeros_like(full)
    target, covariances = {
        "full": lambda: (GaussianMixture(weights, means, full), full),
        "low-rank": lambda: (GaussianMixture(weights, means, factors=thin), low),
        "low-rank+std": lambda: (
            GaussianMixture(weights, means, factors=thin, std=std),
            low + disc,
        ),
        "full+std": lambda: (GaussianMixture(weights, means, full, std=std), full + disc),
        "round": lambda: (GaussianMixture(weights, means, std=std), disc),
        "points": lambda: (Empirical(means), none),
        "gaussian": lambda: (Gaussian(means[0], full[0]), full),
        "gaussian-low-rank": lambda: (Gaussian(means[0], factor=thin[0]), low),
        "gaussian-round": lambda: (Gaussian(means[0], std=float(std[0])), disc),
    }[kind]()
    weights = torch.ones_like(weights) if kind == "points" else weights
    return Case(target, weights / weights.sum(), means.flatten(1), covariances)


KINDS = (
    "full",
    "low-rank",
    "low-rank+std",
    "full+std",
    "round",
    "points",
    "gaussian",
    "gaussian-low-rank",
    "gaussian-round",
)
SINGULAR = ("low-rank", "points", "gaussian-low-rank")
kinds = pytest.mark.parametrize("kind", KINDS)
sdes = pytest.mark.parametrize("sde", SDES, ids=lambda sde: type(sde).__name__)


def times_of(sde: LinearSDE, n: int) -> Tensor:
    """From eps to T, evenly in the logarithm."""
    low, high = math.log10(sde.eps), math.log10(0.999 * sde.T)
    return torch.logspace(low, high, n, dtype=torch.float64)


def states(target: Target, sde: LinearSDE, times: Tensor, seed: int = 1) -> Tensor:
    """One row at each time, drawn from p_t."""
    rows = [
        target.sample(1, noise=SharedNoise(seed + i), t=t, sde=sde, dtype=torch.float64)
        for i, t in enumerate(times.tolist())
    ]
    return torch.cat(rows)


def error(got: Tensor, wanted: Tensor) -> float:
    """Largest error of a row, relative to the length of the row."""
    gap = (got - wanted).flatten(1).norm(dim=1)
    return float((gap / wanted.flatten(1).norm(dim=1)).max())


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


# --- samples ------------------------------------------------------------------------------------


def between(statistic: float, law: stats.rv_continuous) -> bool:
    return bool(law.ppf(FALSE_ALARM / 2) < statistic < law.isf(FALSE_ALARM / 2))


@pytest.mark.parametrize(
    ("kind", "t"), [(k, t) for k in KINDS for t in (0.0, 0.05, 0.6) if t or k not in SINGULAR]
)
def test_samples_are_white_in_units_of_a_component_drawn_from_its_posterior(
    kind: str, t: float
) -> None:
    each, n = case(kind, dim=4), 20_000
    sde = None if t == 0.0 else VPSDE()
    assert each.target.singular is (kind in SINGULAR)
    x = each.target.sample(n, noise=SharedNoise(6), t=t, sde=sde, dtype=torch.float64)
    share = each.target.responsibilities(x, t, sde)
    label = share.multinomial(1, generator=torch.Generator().manual_seed(7))[:, 0]
    y = each.target.whitened(x, label, t, sde)
    at = VPSDE().at(t)
    means, covariances = each.law(at.alpha, at.sigma)
    apart = x.flatten(1) - means[label]
    lengths = torch.einsum("bi,bij,bj->b", apart, torch.linalg.inv(covariances)[label], apart)
    torch.testing.assert_close(y.square().sum(1), lengths)
    d, count = y.shape[1], len(each.weights)
    assert between(float(n * y.mean(0).square().sum()), stats.chi2(d))
    assert between(float(y.square().sum()), stats.chi2(n * d))
    mixed = (y.T @ y)[0, 1:] / y[:, 0].norm()  # N(0, 1), given the first coordinate
    assert between(float(mixed.square().sum()), stats.chi2(d - 1))
    if count > 1:
        gap = label.bincount(minlength=count) - n * each.weights
        assert between(float((gap.square() / (n * each.weights)).sum()), stats.chi2(count - 1))


@pytest.mark.parametrize("t", [0.0, 0.3])
@kinds
def test_samples_have_the_exact_moments(kind: str, t: float) -> None:
    each, n = case(kind, dim=4), 20_000
    sde = VPSDE() if t else None
    at = VPSDE().at(t)
    means, covariances = each.law(at.alpha, at.sigma)
    mean = each.weights @ means
    spread = means - mean
    covariance = torch.einsum("k,kij->ij", each.weights, covariances) + torch.einsum(
        "k,ki,kj->ij", each.weights, spread, spread
    )
    got = each.target.moments(t, sde)
    torch.testing.assert_close(got[0], mean, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(got[1], covariance, rtol=1e-12, atol=1e-12)
    x = each.target.sample(n, noise=SharedNoise(8), t=t, sde=sde, dtype=torch.float64).flatten(1)
    products = (x - mean)[:, :, None] * (x - mean)[:, None]
    bound = stats.norm.isf(FALSE_ALARM / 2 / (mean.numel() + covariance.numel()))
    for sample, wanted in ((x, mean), (products, covariance)):
        z = (sample.mean(0) - wanted).abs() / (sample.std(0) / math.sqrt(n)).clamp(min=1e-12)
        assert float(z.max()) < bound


def test_data_are_drawn_as_they_are_and_equally_often() -> None:
    data = torch.arange(24, dtype=torch.float64).reshape(6, 2, 2)
    x = Empirical(data).sample(6000, noise=SharedNoise(9), dtype=torch.float64)
    rows, counts = x.unique(dim=0, return_counts=True)
    torch.testing.assert_close(rows, data, rtol=0.0, atol=1e-13)
    assert between(float(((counts - 1000.0) ** 2 / 1000.0).sum()), stats.chi2(5))


def test_what_is_drawn_does_not_depend_on_dtype_or_on_neighbours() -> None:
    ids, sde = (5, 3, 9, 4), VPSDE()
    for kind in ("full", "low-rank+std", "points"):
        target = case(kind, count=20).target

        def draw(*ids: int, dtype: torch.dtype = torch.float64, target: Target = target) -> Tensor:
            noise = PerSampleNoise(1, ids)
            return target.sample(len(ids), noise=noise, t=0.2, sde=sde, dtype=dtype)

        together = draw(*ids)
        assert len(together.unique(dim=0)) == len(ids)
        alone = torch.cat([draw(each) for each in ids])
        torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(draw(*ids, dtype=torch.float32), together.float())


class Extreme(NoiseSource):
    """Normal numbers far out in the tail."""

    def __init__(self, value: float) -> None:
        self.value = value

    def normal(self, like: Tensor) -> Tensor:
        return torch.full_like(like, self.value)


def test_the_ends_of_the_uniform_number_are_components_too() -> None:
    target = Empirical(torch.arange(7.0)[:, None])
    assert float(target.sample(1, noise=Extreme(40.0))) == pytest.approx(6.0)
    assert float(target.sample(1, noise=Extreme(-40.0))) == pytest.approx(0.0)


# --- memory -------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [1, 50, 1000])
@kinds
def test_pieces_give_what_the_whole_gives(
    kind: str, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, sde = case(kind).target, VPSDE()
    t = times_of(sde, 23)

    def answers() -> list[Tensor]:
        x = states(target, sde, t)
        label = torch.zeros(len(x), dtype=torch.int64)
        return [
            target.sample(23, noise=SharedNoise(0), dtype=torch.float64),
            target.score(sde)(x, t),
            target.log_prob(x, 0.4, sde),
            target.responsibilities(x, 0.4, sde),
            target.whitened(x, label, 0.4, sde),
        ]

    whole = answers()
    monkeypatch.setattr(components, "BUDGET", budget)
    for got, wanted in zip(answers(), whole, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-12)


class Largest(TorchDispatchMode):
    """Size of the largest tensor that any operation makes."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        for each in result if isinstance(result, (list, tuple)) else (result,):
            if isinstance(each, Tensor):
                self.numel = max(self.numel, each.numel())
        return result


def test_no_intermediate_result_is_above_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    g = torch.Generator().manual_seed(0)
    points = Empirical(torch.randn(500, 3, generator=g))
    thin = GaussianMixture(
        None, torch.randn(50, 9, generator=g), factors=torch.randn(50, 9, 2, generator=g)
    )
    monkeypatch.setattr(components, "BUDGET", 4096)
    for target, cap in ((points, 4096), (thin, 4096)):
        x, t = torch.zeros(400, *target.shape), torch.full((400,), 0.3)
        with Largest() as seen:
            target.score(VPSDE())(x, t)
            target.log_prob(x, 0.3, VPSDE())
        assert 0 < seen.numel <= cap
        with Largest() as seen:
            target.sample(400, noise=SharedNoise(0))
        assert 0 < seen.numel <= cap


# --- devices, gradients, values -----------------------------------------------------------------


def test_another_device_is_served_without_a_look_at_its_numbers() -> None:
    # The meta device has shapes and no values: whatever waits for a value fails there.
    for kind in KINDS:
        target = case(kind).target
        mark, size = hash(target), len(pickle.dumps(target))
        x = torch.empty(5, *target.shape, device="meta")
        score = target.score(VPSDE())(x, torch.empty(5, device="meta"))
        assert score.shape == x.shape
        assert (score.device.type, score.dtype) == ("meta", torch.float32)
        assert target.log_prob(x, 0.5, VPSDE()).device.type == "meta"
        assert hash(target) == mark
        assert pickle.loads(pickle.dumps(target)) == target
        assert len(pickle.dumps(target)) == size


def test_score_is_differentiable_whatever_mode_the_target_was_made_in() -> None:
    with torch.inference_mode():
        target = Empirical(torch.eye(3, dtype=torch.float64))
        for device in ("cpu", "meta"):
            blank = torch.zeros(1, 3, device=device)
            target.score(VPSDE())(blank, blank[:, 0] + 0.5)
    sde, x, t = VPSDE(), torch.full((1, 3), 0.2, dtype=torch.float64), torch.full((1,), 0.3)
    slope = torch.autograd.functional.jacobian(lambda x: target.score(sde)(x, t), x)[0, :, 0]
    batched = torch.func.vmap(torch.func.jacrev(lambda x: target.score(sde)(x[None], t)[0]))(x)[0]
    wanted = torch.autograd.functional.hessian(
        lambda x: target.log_prob(x, float(t), sde).sum(), x
    )[0, :, 0]
    torch.testing.assert_close(slope, wanted, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(batched, wanted, rtol=1e-9, atol=1e-9)
    away = torch.zeros(1, 3, device="meta", requires_grad=True)
    target.score(sde)(away, away[:, 0].detach()).sum().backward()
    assert away.grad is not None


def test_time_may_be_one_number_for_all_rows() -> None:
    target, sde = eight_gaussians(), VPSDE()
    x = target.sample(3, noise=SharedNoise(0), t=0.5, sde=sde)
    score = target.score(sde)
    assert torch.equal(score(x, torch.tensor(0.5)), score(x, torch.full((3,), 0.5)))
    assert score(x[:0], torch.empty(0)).shape == (0, 2)


def test_targets_are_values() -> None:
    for kind in KINDS:
        target, twin, other = case(kind).target, case(kind).target, case(kind, seed=1).target
        assert target == twin
        assert hash(target) == hash(twin)
        assert target != other
        assert target != kind
        assert pickle.loads(pickle.dumps(target)) == target
        assert copy.deepcopy(target) == target
        assert target.score(VPSDE()) == twin.score(VPSDE())
        assert pickle.loads(pickle.dumps(target.score(VPSDE()))) == DiffusedScore(target, VPSDE())
    assert GaussianMixture((1, 2), ((0.0,), (1.0,)), std=1.0) == GaussianMixture(
        np.array([10, 20]), torch.tensor([[0.0], [1.0]]), std=(1.0, 1.0)
    )


def test_a_target_does_not_follow_what_it_was_made_from() -> None:
    for data in (torch.zeros(3, 2, dtype=torch.float64), np.zeros((3, 2))):
        target = Empirical(data)
        data += 1.0
        assert torch.equal(target.mean, torch.zeros(2, dtype=torch.float64))


def test_weights_are_shares_in_full_precision() -> None:
    target = GaussianMixture((0.1, 0.3), ((0.1,), (0.7,)), std=0.1)
    torch.testing.assert_close(
        target.weights, torch.tensor([0.25, 0.75], dtype=torch.float64), rtol=1e-15, atol=0.0
    )
    assert float(target.mean) == pytest.approx(0.55, rel=1e-15)


def test_repr_is_short() -> None:
    for kind in KINDS:
        assert len(repr(case(kind, count=50).target)) < 80
    assert repr(eight_gaussians()) == "GaussianMixture(components=8, shape=(2,), rank=0)"
    assert repr(Empirical(torch.zeros(9, 1, 8, 8))) == "Empirical(points=9, shape=(1, 8, 8))"
    assert repr(Gaussian((0.0, 0.0), std=1.0)) == "Gaussian(shape=(2,), rank=0)"


def test_a_new_target_is_the_members_that_are_abstract() -> None:
    class Always(Target):
        """A point mass at 0."""

        shape, singular = (2,), True
        mean, covariance = torch.zeros(2).double(), torch.zeros(2, 2).double()

        def score_at(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
            assert {x.dtype, alpha.dtype, sigma.dtype} == {torch.float64}
            return -x / sigma.square()[:, None]

        def log_density(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
            return -0.5 * (x / sigma[:, None]).square().sum(1) - (2 * math.pi * sigma**2).log()

        def draw(self, n: int, noise: NoiseSource, device: torch.device) -> Tensor:
            return torch.zeros(n, 2, dtype=torch.float64, device=device)

    mine, known, sde = Always(), Empirical(torch.zeros(1, 2)), EDMSDE()
    x = mine.sample(5, noise=SharedNoise(0), t=2.0, sde=sde)
    t = torch.full((5,), 2.0)
    torch.testing.assert_close(mine.score(sde)(x, t), known.score(sde)(x, t))
    torch.testing.assert_close(mine.log_prob(x, 2.0, sde), known.log_prob(x, 2.0, sde))
    one = torch.ones(5, dtype=torch.float64)
    assert float(mine.denoised(x.double(), one, 2 * one).abs().max()) < 1e-15
    assert torch.equal(mine.moments(2.0, sde)[1], 4.0 * torch.eye(2).double())
    assert torch.equal(mine.covariance, torch.zeros(2, 2).double())


# --- errors -------------------------------------------------------------------------------------

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


# --- named targets ------------------------------------------------------------------------------


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
