"""Traces: exact, and right on the average over all signs."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from training.quadrature import Scripted

from sdeplug import VPSDE, FromScore, PairingError, SharedNoise
from sdeplug.training import Exact, ImplicitLoss, Sliced

MATRIX = torch.tensor([[0.5, -2.0, 1.0], [0.3, 1.5, 0.0], [0.7, 0.2, -0.4]], dtype=torch.float64)


def curved(x):
    return torch.sin(x.flatten(1) @ MATRIX.T).reshape(x.shape)


def diagonal(x):
    return torch.stack(
        [torch.autograd.functional.jacobian(curved, row[None]).reshape(3, 3).trace() for row in x]
    )


def test_the_exact_trace_is_that_of_the_jacobian():
    x = torch.randn(4, 3, 1, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    assert torch.allclose(Exact().of(curved(x), x, SharedNoise(0)), diagonal(x.detach()))


def test_the_mean_over_all_signs_is_exact():
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    signs = [torch.tensor(each).double().expand(4, 3) for each in product((1.0, -1.0), repeat=3)]
    one = [Sliced().of(curved(x), x, Scripted(each)) for each in signs]
    assert torch.stack(one).std(0).min() > 0.1
    assert torch.allclose(torch.stack(one).mean(0), diagonal(x.detach()))
    assert torch.allclose(Sliced(8).of(curved(x), x, Scripted(*signs)), diagonal(x.detach()))


@pytest.mark.parametrize("trace", [Exact(), Sliced(2)], ids=repr)
def test_its_gradient_reaches_the_parameters(trace):
    """tr(d(a x)/dx) + |a x|^2 / 2 is least at a = -1 / E[x^2]: the score of a Gaussian."""
    by = torch.tensor(-1.0, dtype=torch.float64, requires_grad=True)
    loss = ImplicitLoss(VPSDE(), FromScore, trace=trace)
    data = torch.randn(512, 2, generator=torch.Generator().manual_seed(0)).double()
    rows = loss(lambda x, t: by * x, data, SharedNoise(1))
    (slope,) = torch.autograd.grad(rows.mean(), by)
    assert rows.shape == (512,)
    assert abs(float(slope)) < 0.1  # four standard errors of the sum of 1024 squares, weighted


def test_without_gradients_it_is_a_number():
    with torch.no_grad():
        rows = ImplicitLoss(VPSDE(), FromScore)(lambda x, t: -x, torch.zeros(3, 2), SharedNoise(0))
    assert not rows.requires_grad


@pytest.mark.parametrize(
    "network", [lambda x, t: x.detach(), lambda x, t: torch.zeros_like(x).requires_grad_()]
)
@pytest.mark.parametrize("trace", [Exact(), Sliced()], ids=repr)
def test_a_network_that_hides_its_derivative_is_refused(trace, network):
    with pytest.raises(PairingError, match="does not depend on x"):
        ImplicitLoss(VPSDE(), FromScore, trace=trace)(network, torch.zeros(3, 2), SharedNoise(0))
