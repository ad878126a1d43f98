"""Networks in other units give the exact score of a Gaussian."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from common import GaussianScore, normal
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sdeplug.score import (
    Counted,
    FromDenoiser,
    FromFlow,
    FromNoise,
    FromVelocity,
    InDtype,
    ScoreModel,
)
from sdeplug.sde import VPSDE, LinearSDE, expand

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
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
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


def test_the_network_gets_what_the_solver_gave():
    seen = []
    x, t = normal(3, 2, dtype=torch.float32), torch.tensor([0.1, 0.2, 0.3])

    def network(x: Tensor, t: Tensor) -> Tensor:
        seen.append((x, t))
        return x

    FromNoise(network, VPSDE())(x, t)
    assert seen[0][0] is x
    assert seen[0][1] is t


def test_in_dtype_changes_x_alone():
    seen = []

    def model(x: Tensor, t: Tensor) -> Tensor:
        seen.append((x.dtype, t.dtype))
        return 3 * x

    x = normal(3, 2)
    out = InDtype(model, torch.float16)(x, torch.zeros(3, dtype=torch.float64))
    assert seen == [(torch.float16, torch.float64)]
    assert torch.equal(out, (3 * x.half()).double())


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
