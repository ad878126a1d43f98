"""Networks in other units give the exact score of a Gaussian."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from common import GaussianScore, normal
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sdeplug.errors import PairingError, ScoreModelError
from sdeplug.reverse import ReverseSDE
from sdeplug.score import (
    Counted,
    FromDenoiser,
    FromFlow,
    FromNoise,
    FromScore,
    FromVelocity,
    ScoreModel,
)
from sdeplug.sde import VPSDE, LinearSDE, derivative, expand

FORMS = {FromNoise: "noise", FromDenoiser: "data", FromVelocity: "velocity", FromFlow: "flow"}


@dataclass(frozen=True)
class Network:
    """What a perfect network would predict, from regressions on (x_0, epsilon) written by hand."""

    exact: GaussianScore
    predicts: str

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        sde = self.exact.sde
        alpha, sigma = (expand(each, x) for each in self.exact.levels(t))
        m, v = self.exact.mean, self.exact.variance
        excess = (x.double() - alpha * m) / (alpha**2 * v + sigma**2)
        data, noise = m + alpha * v * excess, sigma * excess
        a, g = (expand(each, x) for each in (sde.drift_rate(t.double()), sde.diffusion(t.double())))
        flow = a * x + 0.5 * g**2 * excess
        output = {
            "data": data,
            "noise": noise,
            "velocity": alpha * noise - sigma * data,
            "flow": flow,
        }
        return output[self.predicts].to(x.dtype)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "dtype",
    [torch.float64, torch.bfloat16, pytest.param(torch.float32, marks=pytest.mark.thorough)],
)
@settings(max_examples=20)
@given(st.lists(st.floats(0.02, 1.0), min_size=1, max_size=4), st.integers(0, 2))
def test_every_form_gives_the_exact_score(any_sde, form, dtype, fractions, rank):
    exact = GaussianScore(any_sde)
    t = torch.tensor(fractions, dtype=torch.float64) * any_sde.T
    t = t.to(torch.promote_types(dtype, torch.float32))
    alpha, sigma = (expand(each, normal(len(t), *(2,) * rank)) for each in exact.levels(t))
    spread = (alpha**2 * exact.variance + sigma**2).sqrt()
    x = (alpha * exact.mean + spread * normal(len(t), *(2,) * rank)).to(dtype)
    score = form(Network(exact, FORMS[form]), any_sde)(x, t)
    assert (score.shape, score.dtype) == (x.shape, dtype)
    # Rounding of x and of the network's output is divided by sigma^2 at the worst.
    errors = (score.double() - exact.in_float64(x, t)) * sigma**2 / (spread + alpha * exact.mean)
    assert float(errors.abs().max()) < 20 * torch.finfo(dtype).eps


IMAGES = normal(4, 3, 5, 5)
NOT_LIKE_X = {
    "one channel for three": (lambda x, t: x[:, :1], r"shape \(4, 1, 5, 5\)"),
    "the first row only": (lambda x, t: x[:1], r"shape \(1, 3, 5, 5\)"),
    "one number a row": (lambda x, t: x.mean((1, 2, 3)), r"shape \(4,\)"),
    "no batch": (lambda x, t: x[0], r"shape \(3, 5, 5\)"),
    "whole numbers": (lambda x, t: x.long(), r"torch\.int64"),
    "learned variances": (lambda x, t: torch.cat((x, x), 1), r"network\(x, t\)\[:, :3\]"),
    "an object with .sample": (
        lambda x, t: SimpleNamespace(sample=x),
        r"returned SimpleNamespace: .* network\(x, t\)\.sample",
    ),
    "a tuple": (lambda x, t: (x, t), r"returned tuple: .* network\(x, t\)\[0\]"),
    "a dictionary": (lambda x, t: {"eps": x}, r"returned dict: .* network\(x, t\)\['eps'\]"),
    "a law with a method sample": (lambda x, t: torch.distributions.Normal(x, 1.0), "Normal: "),
    "nothing": (lambda x, t: None, "returned NoneType: must be a tensor like x"),
}


@pytest.mark.parametrize(("network", "message"), NOT_LIKE_X.values(), ids=NOT_LIKE_X)
@pytest.mark.parametrize("form", FORMS)
def test_what_a_network_returns_is_checked_before_it_is_used(form, network, message):
    with pytest.raises(ScoreModelError, match=message) as caught:
        form(network, VPSDE())(IMAGES, torch.full((4,), 0.5))
    assert str(caught.value).startswith(f"the network of {form.__name__} returned ")


@pytest.mark.parametrize(("network", "message"), NOT_LIKE_X.values(), ids=NOT_LIKE_X)
def test_a_bare_score_gets_the_same_message(network, message):
    with pytest.raises(ScoreModelError, match=message.replace("network", "score_model")) as caught:
        ReverseSDE(VPSDE(), network).score(IMAGES, 0.5)
    assert str(caught.value).startswith("the score model returned ")


def test_the_cure_that_is_named_works():
    """What the message writes, put in its place."""
    sde, t = VPSDE(), torch.full((4,), 0.5)
    for name, (network, _) in NOT_LIKE_X.items():
        with pytest.raises(ScoreModelError) as caught:
            FromNoise(network, sde)(IMAGES, t)
        cure = re.search(r"FromNoise\(.*, sde\)", str(caught.value))
        assert (cure is None) == (name not in CURED)
        if cure:
            fixed = eval(cure.group(), {"FromNoise": FromNoise, "network": network, "sde": sde})
            assert torch.equal(fixed(IMAGES, t), FromNoise(lambda x, t: x, sde)(IMAGES, t))


CURED = ("learned variances", "an object with .sample", "a tuple", "a dictionary")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("returned", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_score_has_the_dtype_of_x_whatever_that_of_the_network(form, returned, dtype):
    x = IMAGES.to(dtype)
    score = form(lambda x, t: x.to(returned), VPSDE())(x, torch.full((4,), 0.5))
    assert (score.shape, score.dtype) == (x.shape, dtype)


@pytest.mark.parametrize("form", FORMS)
def test_parts_in_the_wrong_places_are_refused_at_once(form):
    order = rf"The order is {form.__name__}\(network, sde\)"
    with pytest.raises(PairingError, match=order):
        form(VPSDE(), lambda x, t: x)
    with pytest.raises(PairingError, match="sde = 'vp': must be a LinearSDE.*" + order):
        form(lambda x, t: x, "vp")
    with pytest.raises(PairingError, match="network = None.*" + order):
        form(None, VPSDE())


def test_the_network_gets_what_the_solver_gave():
    seen = []
    x, t = normal(3, 2, dtype=torch.float32), torch.tensor([0.1, 0.2, 0.3])

    def network(x: Tensor, t: Tensor) -> Tensor:
        seen.append((x, t))
        return x

    FromNoise(network, VPSDE())(x, t)
    assert seen[0][0] is x
    assert seen[0][1] is t


def test_counted_counts_calls_and_rows():
    counted = Counted(lambda x, t: -x)
    for rows in (3, 1, 5):
        x = normal(rows, 2)
        assert torch.equal(counted(x, torch.zeros(rows)), -x)
    assert (counted.nfe, counted.rows) == (3, 9)
    assert Counted(lambda x, t: x).nfe == 0
    with pytest.raises(TypeError):
        Counted(lambda x, t: x, 5)


def test_all_are_score_models_and_values():
    sde = VPSDE()
    network = GaussianScore(sde)
    for form in FORMS:
        model = form(network, sde)
        assert isinstance(model, ScoreModel)
        assert model == form(network, VPSDE())
        assert model != form(network, VPSDE(beta_max=10.0))
    assert isinstance(sde, LinearSDE)


def test_counted_counts_each_row_apart():
    counted = Counted(lambda x, t: -x)
    x, t = torch.zeros(4, 2), torch.zeros(4)
    counted(x, t)
    rows = torch.tensor([0, 2])
    counted.select(rows, 4)
    counted(x[rows], t[rows])
    counted(x[rows], t[rows])
    counted.select(torch.tensor([2]), 4)
    counted(x[:1], t[:1])
    assert counted.by_row(4).tolist() == [3, 1, 4, 1]
    counted(x, t)
    assert counted.by_row(4).tolist() == [4, 2, 5, 2]
    assert (counted.nfe, counted.rows) == (5, 13)


@pytest.mark.parametrize("form", [FromScore, *FORMS])
def test_the_target_is_what_makes_the_score_that_of_the_kernel(any_sde, form):
    """The score of p(x_t | x_0) is -epsilon / sigma, whatever the network is asked for."""
    t = torch.linspace(0.05, 1.0, 7, dtype=torch.float64) * any_sde.T
    x0, epsilon = normal(7, 2, 3), normal(7, 2, 3, seed=1)
    alpha, sigma = (expand(each(t), x0) for each in (any_sde.alpha, any_sde.sigma))
    target = form.target(any_sde, x0, epsilon, t)
    score = form(lambda x, t: target, any_sde)(alpha * x0 + sigma * epsilon, t)
    assert torch.allclose(score, -epsilon / sigma, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_targets_are_those_of_the_papers(any_sde, dtype):
    t = torch.linspace(0.05, 1.0, 7, dtype=torch.float64) * any_sde.T
    x0, epsilon = normal(7, 2, dtype=dtype), normal(7, 2, seed=1, dtype=dtype)
    alpha, sigma = (each(t)[:, None].to(dtype) for each in (any_sde.alpha, any_sde.sigma))
    slopes = (derivative(each, t)[:, None].to(dtype) for each in (any_sde.alpha, any_sde.sigma))
    of_x0, of_epsilon = slopes
    papers = {
        FromScore: -epsilon / sigma,
        FromNoise: epsilon,
        FromDenoiser: x0,
        FromVelocity: alpha * epsilon - sigma * x0,
        FromFlow: of_x0 * x0 + of_epsilon * epsilon,
    }
    for form, wanted in papers.items():
        found = form.target(any_sde, x0, epsilon, t)
        assert found.dtype == dtype
        # Coefficients are of float64: also where sigma is small, only the last digit is lost.
        error = (found - wanted).abs().amax() / wanted.abs().amax()
        assert float(error) < (1e-10 if dtype == torch.float64 else 5e-7)
