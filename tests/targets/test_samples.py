"""Targets: what is drawn has the law, and pieces give what the whole gives."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from targets.cases import KINDS, case, kinds, states, times_of
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from sdeplug.noise import NoiseSource, PerSampleNoise, SharedNoise
from sdeplug.sde import VPSDE
from sdeplug.targets import (
    Empirical,
    GaussianMixture,
    Target,
    components,
)

FALSE_ALARM = 1e-6  # of each statistical assertion, were its seed drawn afresh
SINGULAR = ("low-rank", "points", "gaussian-low-rank")


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
