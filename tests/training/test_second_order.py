"""The second head learns the variance of the noise, which is the diagonal of the Jacobian."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from training.quadrature import PLAIN, UNITS, US, Exact, Nodes

from sdeplug import (
    VESDE,
    VPSDE,
    FromDenoiser,
    FromNoise,
    FromScore,
    FromVelocity,
    PairingError,
    SharedNoise,
)
from sdeplug.sde import expand
from sdeplug.training import SecondOrderLoss, UniformTimes, jacobian_diagonal

FORMS = [FromScore, FromNoise, FromDenoiser, FromVelocity]


def network_of(loss: SecondOrderLoss, first: Tensor, second: Tensor):
    """Exact in both heads, but for what is added."""
    exact = Exact(loss.sde)

    def network(x: Tensor, t: Tensor) -> Tensor:
        score = exact.score(x, t) + first / expand(loss.sde.sigma(t), x)
        variance = exact.left(x, t) + second[0] + second[1] * x
        return torch.cat((UNITS[loss.parametrisation](exact, score, x, t), variance), 1)

    return network


@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
@pytest.mark.parametrize("sde", [VPSDE(), VESDE()], ids=repr)
def test_its_excess_is_the_distance_from_the_variance(sde, form, mean):
    loss = SecondOrderLoss(sde, form, times=PLAIN, second=0.7, mean=mean)
    nodes = Nodes.of(US, dim=2, order=5)
    none = torch.zeros(2, dtype=torch.float64)
    off = torch.tensor([0.2, -0.1], dtype=torch.float64, requires_grad=True)
    t = PLAIN.at(sde, nodes.u).t
    x = sde.alpha(t)[:, None] * nodes.x0 + sde.sigma(t)[:, None] * nodes.epsilon
    squared = (off[0] + off[1] * x) ** 2
    wanted = 0.7 * nodes.average(squared.mean(1) if mean else 0.5 * squared.sum(1))
    least = nodes.mean(loss, network_of(loss, none[0], none))
    excess = nodes.mean(loss, network_of(loss, none[0], off)) - least
    assert torch.allclose(excess, wanted, rtol=1e-8)
    found, slope = (torch.autograd.grad(each, off)[0] for each in (excess, wanted))
    assert torch.allclose(found, slope, rtol=1e-7)


def test_a_prediction_that_is_off_by_d_moves_the_minimum_by_its_square():
    loss = SecondOrderLoss(VPSDE(), times=PLAIN)
    nodes = Nodes.of(US, dim=1, order=5)
    off = torch.tensor([0.3**2, 0.0], dtype=torch.float64, requires_grad=True)
    value = nodes.mean(loss, network_of(loss, torch.tensor(0.3, dtype=torch.float64), off))
    (slope,) = torch.autograd.grad(value, off)
    assert float(slope.abs().max()) < 1e-12


def test_the_second_head_does_not_teach_the_first():
    """The gradient of the prediction is that of the first-order loss alone."""
    x0 = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    slopes = []
    for second in (0.0, 5.0):
        by = torch.tensor(0.1, requires_grad=True)
        loss = SecondOrderLoss(VPSDE(), second=second)
        rows = loss(lambda x, t, by=by: torch.cat((by * x, 0.0 * x + 0.3), 1), x0, SharedNoise(0))
        slopes.append(torch.autograd.grad(rows.sum(), by)[0])
    assert torch.equal(*slopes)


def test_the_diagonal_is_that_of_the_jacobian(any_sde):
    exact = Exact(any_sde)
    t = torch.linspace(0.05, 1.0, 6, dtype=torch.float64) * any_sde.T
    x = torch.linspace(-1.0, 1.0, 6, dtype=torch.float64)[:, None].requires_grad_()
    (wanted,) = torch.autograd.grad(exact.score(x, t).sum(), x)
    found = jacobian_diagonal(any_sde, exact.left(x.detach(), t), t)
    assert torch.allclose(found, wanted, rtol=1e-6)


def test_a_network_of_one_head_is_refused():
    loss = SecondOrderLoss(VPSDE(), times=UniformTimes())
    with pytest.raises(
        PairingError, match=r"returned \(4, 2\).*\(4, 4\), twice the channels: .*variance"
    ):
        loss(lambda x, t: x, torch.zeros(4, 2), SharedNoise(0))
    with pytest.raises(PairingError, match=r"returned tuple"):
        loss(lambda x, t: (x, x), torch.zeros(4, 2), SharedNoise(0))
    with pytest.raises(PairingError, match=r"\(B, 2 C, ...\)"):
        loss(lambda x, t: x, torch.zeros(4), SharedNoise(0))
