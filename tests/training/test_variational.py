"""The variational bound: of Gaussian data it is the entropy, to the last digit."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from training.quadrature import MEAN, UNITS, VARIANCE, Exact, Nodes

from sdeplug import (
    VESDE,
    VPSDE,
    ArgumentError,
    FromDenoiser,
    FromNoise,
    FromScore,
    FromVelocity,
    LogSNR,
    PairingError,
    SharedNoise,
    Uniform,
)  # fmt: skip
from sdeplug.sde import expand
from sdeplug.training import (
    Discretised,
    EvenSteps,
    GridTimes,
    MeasuredSteps,
    SimpleLoss,
    SNRSteps,
    VariationalLoss,
)  # fmt: skip
from sdeplug.training.chain import chain_of

STEPS = 6
GRID = Uniform(STEPS)
EVEN = EvenSteps(low_discrepancy=False)
MEASURED = MeasuredSteps(tuple(range(1, STEPS + 1)), low_discrepancy=False)
FORMS = [FromScore, FromNoise, FromDenoiser, FromVelocity]


def nodes_of(loss: VariationalLoss, dim: int = 1) -> Nodes:
    """A node for every step of the chain, as often as it is drawn."""
    shares = loss.steps.shares(chain_of(loss.sde, loss.grid))
    shares = shares / shares.sum()
    return Nodes.of(shares.cumsum(0) - 0.5 * shares, shares, dim=dim, order=4)


def levels(sde, t: Tensor) -> tuple[Tensor, ...]:
    """alpha and sigma at t, and at the level below, where t = 1/STEPS steps to the data."""
    below = (t - 1.0 / STEPS).clamp(min=0.0)
    data = below < 1e-9
    alpha, sigma = (
        torch.where(data, 1.0, sde.alpha(below)),
        torch.where(data, 0.0, sde.sigma(below)),
    )
    return sde.alpha(t), sde.sigma(t), alpha, sigma


def best_variance(sde, t: Tensor) -> Tensor:
    """Var(x_{i-1} | x_i) of Gaussian data, from the joint law of the two levels."""
    alpha, sigma, alpha_below, sigma_below = levels(sde, t)
    spread, below = alpha**2 * VARIANCE + sigma**2, alpha_below**2 * VARIANCE + sigma_below**2
    between = alpha / alpha_below * below
    return below - between**2 / spread


def bounds(sde, t: Tensor) -> tuple[Tensor, Tensor]:
    """Logarithms of beta tilde and beta, as in the paper; the first step takes the next one's."""

    def tilde(t: Tensor) -> Tensor:
        alpha, sigma, alpha_below, sigma_below = levels(sde, t)
        return (sigma**2 - (alpha * sigma_below / alpha_below) ** 2) * sigma_below**2 / sigma**2

    alpha, sigma, alpha_below, sigma_below = levels(sde, t)
    upper = sigma**2 - (alpha * sigma_below / alpha_below) ** 2
    first = t < 1.5 / STEPS
    return torch.where(first, tilde(t + first / STEPS), tilde(t)).log(), upper.log()


def network_of(loss: VariationalLoss, by: Tensor, wider: Tensor | float = 0.0):
    """The exact score, off by a line, and the best variance, e^wider times."""
    exact, sde = Exact(loss.sde), loss.sde

    def network(x: Tensor, t: Tensor) -> Tensor:
        score = exact.score(x, t) + (by[0] + by[1] * x) / expand(sde.sigma(t), x)
        lower, upper = bounds(sde, t)
        place = (best_variance(sde, t).log() + wider - lower) / (upper - lower)
        v = expand(2.0 * place - 1.0, x).expand_as(x)
        return torch.cat((UNITS[loss.parametrisation](exact, score, x, t), v), 1)

    return network


NONE = torch.zeros(2, dtype=torch.float64)


@pytest.mark.parametrize("steps", [EVEN, SNRSteps(low_discrepancy=False), MEASURED], ids=repr)
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
@pytest.mark.parametrize("mean", [True, False])
def test_of_gaussian_data_it_is_the_entropy(form, steps, mean):
    sde = VPSDE()
    loss = VariationalLoss(sde, form, GRID, hybrid=None, steps=steps, mean=mean)
    found = nodes_of(loss, 2).mean(loss, network_of(loss, NONE))
    end = sde.at(sde.T)
    last = torch.distributions.Normal(
        end.alpha * MEAN, math.sqrt(end.alpha**2 * VARIANCE + end.sigma**2)
    )
    left = torch.distributions.kl_divergence(last, torch.distributions.Normal(0.0, 1.0))
    entropy = 0.5 * math.log(2.0 * math.pi * math.e * VARIANCE)
    wanted = (entropy + float(left)) * (1 if mean else 2)
    assert math.isclose(float(found), wanted, rel_tol=1e-7)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_its_excess_is_the_divergence_of_the_steps(form):
    """KL between the exact law of a step and the network's, and the gradient of that."""
    sde = VPSDE()
    loss = VariationalLoss(sde, form, GRID, hybrid=None, steps=EVEN)
    nodes = nodes_of(loss)
    by = torch.tensor([0.3, -0.2, 0.4], dtype=torch.float64, requires_grad=True)
    excess = nodes.mean(loss, network_of(loss, by, by[2])) - nodes.mean(
        loss, network_of(loss, NONE)
    )
    t = torch.ceil(nodes.u * STEPS) / STEPS
    alpha, sigma, alpha_below, sigma_below = levels(sde, t)
    x = alpha[:, None] * nodes.x0 + sigma[:, None] * nodes.epsilon
    pull = (sigma**2 - (alpha * sigma_below / alpha_below) ** 2) * alpha_below / alpha
    moved = pull[:, None] * (by[0] + by[1] * x) / sigma[:, None]
    ratio = torch.exp(-by[2])
    wanted = 0.5 * (ratio - 1.0 + by[2] + ratio * moved**2 / best_variance(sde, t)[:, None])
    wanted = STEPS * nodes.average(wanted[:, 0])
    assert torch.allclose(excess, wanted, rtol=1e-9)
    found, slope = (torch.autograd.grad(each, by)[0] for each in (excess, wanted))
    assert torch.allclose(found, slope, rtol=1e-8)


@pytest.mark.parametrize("mean", [True, False])
def test_the_hybrid_trains_the_prediction_simply_and_the_variance_by_the_bound(mean):
    sde = VPSDE()
    hybrid = VariationalLoss(sde, grid=GRID, hybrid=0.01, steps=EVEN, mean=mean)
    bound = VariationalLoss(sde, grid=GRID, hybrid=None, steps=EVEN, mean=mean)
    simple = SimpleLoss(sde, times=GridTimes(GRID, low_discrepancy=False), mean=mean)
    nodes = nodes_of(hybrid)
    slopes = []
    for loss, picked in ((hybrid, slice(None)), (simple, slice(0, 2)), (bound, slice(2, 3))):
        by = torch.tensor([0.3, -0.2, 0.4], dtype=torch.float64, requires_grad=True)
        whole = network_of(hybrid, by, by[2])
        network = whole if loss is not simple else lambda x, t, whole=whole: whole(x, t)[:, :1]
        (slope,) = torch.autograd.grad(nodes.mean(loss, network), by)
        slopes.append(slope[picked])
    assert torch.allclose(slopes[0][:2], slopes[1], rtol=1e-9)
    assert torch.allclose(slopes[0][2:], 0.01 * slopes[2], rtol=1e-9)


@pytest.mark.parametrize("levels_", [2, 5, 256])
def test_the_probabilities_of_all_levels_sum_to_one(levels_):
    x0 = torch.linspace(-1.0, 1.0, levels_, dtype=torch.float64)
    for mean in (-3.0, -1.0, -0.3, 0.0, 0.999, 20.0):
        for std in (1e-3, 0.05, 1.0, 30.0):
            log_variance = torch.full_like(x0, 2.0 * math.log(std))
            nats = Discretised(levels_).nats(x0, mean - x0, log_variance)
            assert math.isclose(float(torch.exp(-nats).sum()), 1.0, rel_tol=1e-9)
            assert bool((nats >= -1e-12).all() and nats.isfinite().all())


def test_the_levels_of_a_pixel_are_where_they_are():
    nats = Discretised(3).nats(torch.tensor([0.0]), torch.tensor([0.2]), torch.tensor([0.0]))
    normal = torch.distributions.Normal(0.2, 1.0)
    wanted = -torch.log(normal.cdf(torch.tensor(0.5)) - normal.cdf(torch.tensor(-0.5)))
    assert torch.allclose(nats, wanted)


def test_measured_steps_are_the_roots_of_mean_squares():
    loss = VariationalLoss(VPSDE(), grid=GRID, hybrid=None, steps=EVEN)
    network = network_of(loss, torch.tensor([0.3, -0.2], dtype=torch.float64))
    x0 = (
        MEAN
        + VARIANCE**0.5 * torch.randn(500, 1, generator=torch.Generator().manual_seed(0)).double()
    )
    found = loss.measured(network, x0, SharedNoise(0), draws=4000).steps.sizes
    nodes = nodes_of(loss)
    rows = loss(network, nodes.x0, nodes.noise()) - loss._prior(nodes.x0)
    number = torch.floor(nodes.u * STEPS).long()
    squared = (
        torch.zeros(STEPS).double().index_add(0, number, STEPS * nodes.weight * (rows / STEPS) ** 2)
    )
    assert torch.allclose(torch.tensor(found).double(), squared.sqrt(), rtol=0.15)


def test_a_chain_of_noise_levels_starts_at_the_smallest():
    """VE: sigma(0) is a level, from which the last step goes to the data."""
    assert chain_of(VESDE(), GRID).t.tolist()[0] == 0.0
    assert len(chain_of(VESDE(), GRID).t) == STEPS + 1
    assert len(chain_of(VPSDE(), GRID).t) == STEPS
    loss = VariationalLoss(VESDE(), grid=LogSNR(5), hybrid=None, decoder=Discretised())
    assert (
        loss(lambda x, t: torch.cat((x, 0.0 * x), 1), torch.zeros(3, 2), SharedNoise(0))
        .isfinite()
        .all()
    )


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(ArgumentError, match="6 numbers, one for each step"):
        VariationalLoss(VPSDE(), grid=GRID, steps=MeasuredSteps((1.0, 2.0)))
    with pytest.raises(PairingError, match="VariationalLoss"):
        VariationalLoss(None)
    with pytest.raises(PairingError, match="twice the channels: the prediction, then v"):
        VariationalLoss(VPSDE())(lambda x, t: x, torch.zeros(3, 2), SharedNoise(0))


def test_far_from_its_pixel_float32_keeps_its_digits():
    """A network that is wrong by a hundred thousand standard deviations still has a gradient."""
    off = torch.tensor([0.0, 0.02, 0.5, -3.0, 40.0, 1000.0], dtype=torch.float64)
    found = []
    for dtype in (torch.float64, torch.float32):
        given = off.to(dtype).requires_grad_()
        nats = Discretised().nats(0.0 * off.to(dtype), given, torch.full_like(given, -9.2))
        (slope,) = torch.autograd.grad(nats.sum(), given)
        found.append((nats.double(), slope.double()))
    for wide, narrow in zip(*found, strict=True):
        assert torch.allclose(narrow, wide, rtol=1e-4, atol=1e-4)
