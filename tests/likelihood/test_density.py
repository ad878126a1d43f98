"""Log-densities along the flow, against exact ones."""

from __future__ import annotations

import pytest
import torch
from common import normal
from likelihood.densities import (
    COARSE,
    FINE,
    GAUSSIAN,
    MIXTURE,
    RK4,
    Known,
    numbers,
    reversed_,
    state,
)

from sdeplug import (
    EDMSDE,
    VESDE,
    VPSDE,
    Bound,
    FromNoise,
    FromScore,
    LogSNR,
    OnGrid,
    PerSampleNoise,
    ReverseSDE,
    SubVPSDE,
    solver,
)
from sdeplug.likelihood import Hutchinson, Normal, log_likelihood
from sdeplug.targets import eight_gaussians, mixture_64


def error(found, target, sde, x):
    """In nats per dimension, with the exact p_T in the place of the prior that stands for it."""
    exact = target.log_prob(x, found.t, sde) - target.log_prob(found.latent, sde.T, sde)
    return float((found.flow - exact).detach().abs().max()) / x[0].numel()


@pytest.mark.parametrize(
    "target",
    [
        MIXTURE,
        *(pytest.param(e, marks=pytest.mark.thorough) for e in (eight_gaussians(), GAUSSIAN)),
    ],
    ids=["8", "2", "64"],
)
def test_the_error_is_a_tenth_of_what_is_promised(target, any_sde):
    """The promise: 1e-4 nats per dimension."""
    x = state(target, any_sde, rows=2)
    found = log_likelihood(reversed_(target, any_sde), x)
    assert error(found, target, any_sde, x) < 1e-5
    assert torch.equal(found.log_prob, found.prior + found.flow)
    assert torch.equal(found.prior, any_sde.prior_log_prob(found.latent))


@pytest.mark.parametrize(
    "target",
    [
        MIXTURE,
        *(
            pytest.param(each, marks=pytest.mark.thorough)
            for each in (eight_gaussians(), GAUSSIAN, mixture_64())
        ),
    ],
    ids=["8", "2", "64", "64 modes"],
)
@pytest.mark.parametrize("sde", [
    VPSDE(), VESDE(), *(pytest.param(each, marks=pytest.mark.thorough)
                        for each in (SubVPSDE(), EDMSDE())),
], ids=repr)  # fmt: skip
def test_the_error_falls_with_the_tolerance(target, sde):
    """To a twentieth at a tolerance a hundred times less, where rounding is no part of it."""
    x, errors = state(target, sde, rows=2), []
    for tolerance in (1e-6, 1e-8):
        by = solver("adaptive/row-tsit5", rtol=tolerance, atol=tolerance)
        found = log_likelihood(reversed_(target, sde), x, by)
        errors.append(error(found, target, sde, x))
    assert errors[0] < 1e-5
    assert errors[1] < max(errors[0] / 20, 1e-8)


@pytest.mark.parametrize("t", [None, 0.2])
def test_with_the_prior_it_is_the_density_of_the_sampler(any_sde, t):
    known, x = Known(any_sde), numbers(3, 2, 2)
    found = log_likelihood(known.reverse, x, t=t)
    assert torch.allclose(found.log_prob, known.log_prob(x, found.t).detach(), atol=1e-5)
    assert found.t == (any_sde.eps if t is None else t)
    assert not found.log_prob.requires_grad


def test_beyond_the_horizon_the_flow_is_a_scale():
    known = Known(EDMSDE(T=1e7))
    assert known.sde.horizon < 2e5
    found = log_likelihood(known.reverse, numbers(3, 2))
    assert torch.allclose(found.log_prob, known.log_prob(numbers(3, 2), found.t), atol=1e-4)


class Backward(torch.autograd.Function):
    """Minus x; it counts how often its derivative is asked for."""

    asked = 0

    @staticmethod
    def forward(ctx, x):
        return -x

    @staticmethod
    def backward(ctx, grad):
        Backward.asked += 1
        return -grad


def test_a_product_is_one_pass_back_and_the_look_at_the_network_one_more():
    reverse = ReverseSDE(VPSDE(), lambda x, t: Backward.apply(x))
    Backward.asked = 0
    found = log_likelihood(reverse, numbers(3, 2), COARSE, divergence=Hutchinson(1))
    assert found.products == found.nfe == 48
    assert Backward.asked == found.products + 1


@pytest.mark.parametrize(
    ("by", "within"),
    [
        (FINE, 1e-4),
        (OnGrid(solver("ode/adams-bashforth", order=4), LogSNR(100)), 1e-2),
        (OnGrid(solver("ode/adams-moulton"), LogSNR(100)), 1e-3),
        (OnGrid(OnGrid(RK4, LogSNR(8)), LogSNR(6)), 1e-4),
        (solver("ode/heun"), 1e-2),  # on the grid of a hundred steps that it gets
        (solver("adaptive/row-dopri5"), 1e-3),
        (solver("torchdiffeq/dopri5"), 1e-4),
        (OnGrid(solver("torchdiffeq/fixed-rk4"), LogSNR(24)), 1e-2),
        (solver("torchdiffeq/scipy-rk45"), 1e-4),
    ],
    ids=repr,
)
def test_any_flow_integrator_will_do(by, within):
    x = state(MIXTURE, VPSDE(), rows=2)
    found = log_likelihood(reversed_(MIXTURE, VPSDE()), x, by)
    assert error(found, MIXTURE, VPSDE(), x) < within


def test_the_shape_of_a_sample_does_not_matter():
    flat, wide = (Known(VPSDE()).reverse, Known(VPSDE()).reverse)
    x = numbers(3, 8)
    one, other = (log_likelihood(r, each) for r, each in ((flat, x), (wide, x.reshape(3, 2, 2, 2))))
    assert torch.equal(one.log_prob, other.log_prob)
    assert other.latent.shape == (3, 2, 2, 2)
    assert torch.equal(one.latent, other.latent.flatten(1))


def test_labels_and_probes_stay_with_their_rows():
    """Rows that arrive early leave the batch; what belongs to a row leaves with it."""
    variance = torch.tensor([0.01, 1.0, 25.0, 4.0], dtype=torch.float64)

    def network(x, t, variance):
        sde = VPSDE()
        total = sde.alpha(t) ** 2 * variance + sde.sigma(t) ** 2
        return -torch.sinh(x @ MATRIX.T) / total[:, None]

    x = torch.tensor([[0.1, 0.0], [0.5, -0.5], [4.0, 1.0], [-0.2, 0.3]], dtype=torch.float64)
    x = x.clamp(-0.6, 0.6)
    whole = ReverseSDE(VPSDE(), FromScore(Bound(network, variance=variance), VPSDE()))
    options = {"divergence": Hutchinson(2, Normal()), "t": 0.05}
    together = log_likelihood(whole, x, noise=PerSampleNoise(0, range(4)), **options)
    for row in range(4):
        bound = Bound(network, variance=variance[row : row + 1])
        alone = log_likelihood(
            ReverseSDE(VPSDE(), FromScore(bound, VPSDE())), x[row : row + 1],
            noise=PerSampleNoise(0, [row]), **options,
        )  # fmt: skip
        assert torch.allclose(alone.log_prob, together.log_prob[row], rtol=1e-10)
        assert torch.allclose(alone.std_error, together.std_error[row], rtol=1e-8)
    assert len(set(together.std_error.tolist())) == 4


MATRIX = torch.tensor([[0.8, 0.3], [-0.2, 0.9]], dtype=torch.float64)


def test_a_network_that_makes_no_noise_of_the_data_is_told_of():
    """It is not asked again for it, and a score that is no network is not looked at."""
    x, by = (
        normal(40, 2).float(),
        OnGrid(solver("ode/rk4"), LogSNR(12)),
    )
    sde = VPSDE()

    def network(factor):
        return FromNoise(lambda x, t: factor * sde.sigma(t)[:, None] * x, sde)

    right, wrong = network(1.0), network(1.4)
    log_likelihood(ReverseSDE(sde, right), x, by)
    log_likelihood(ReverseSDE(sde, lambda x, t: wrong(x, t)), x, by)
    with pytest.warns(
        UserWarning, match=r"is [\d.]+ times as large as noise. Are they in its units"
    ):
        found = log_likelihood(ReverseSDE(sde, wrong), x, by)
    assert found.nfe == 48
