"""Implicit score matching, with the divergence exact and estimated."""

from __future__ import annotations

import pytest
import torch

from sdeplug import VPSDE, FromScore, PairingError, SharedNoise
from sdeplug.training import Exact, ImplicitLoss, Sliced


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
