"""Denoising losses: over that of the exact score, each is the distance that it says, exactly."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from training.quadrature import PLAIN, UNITS, US, Exact, Nodes, Scripted

from sdeplug import (
    EDMSDE,
    VESDE,
    VPSDE,
    ArgumentError,
    Bound,
    FromDenoiser,
    FromFlow,
    FromNoise,
    FromScore,
    Labelled,
    LevelLabel,
    PairingError,
    ScoreModelError,
    SharedNoise,
    TabulatedSDE,
    Uniform,
)
from sdeplug.sde import expand
from sdeplug.training import (
    EDM,
    DenoisingLoss,
    FlowMatchingLoss,
    GridTimes,
    ImplicitLoss,
    ImportanceTimes,
    Likelihood,
    LogNormalTimes,
    Own,
    SimpleLoss,
    SMLDLoss,
    UniformTimes,
    Unit,
    Variance,
)  # fmt: skip


def edm(q: Tensor, data: float = 0.5) -> Tensor:
    return (q**2 + data**2) / (q * data) ** 2


def wrong(exact: Exact, x: Tensor, t: Tensor, by: Tensor) -> Tensor:
    """A score that is off by a line, as steep as the noise is small."""
    _, sigma = exact.levels(x, t)
    return exact.score(x, t) + (by[0] + by[1] * x) / sigma


def distance(loss: DenoisingLoss, nodes: Nodes, by: Tensor) -> Tensor:
    """The weighted distance of the wrong score from the exact one, as papers write it."""
    sde, exact = loss.sde, Exact(loss.sde)
    drawn = loss.times.at(sde, nodes.u)
    alpha, sigma = (expand(each(drawn.t), nodes.x0) for each in (sde.alpha, sde.sigma))
    x = alpha * nodes.x0 + sigma * nodes.epsilon
    scores = wrong(exact, x, drawn.t, by), exact.score(x, drawn.t)
    apart = {
        Unit: lambda: (scores[0] - scores[1]) ** 2,
        Variance: lambda: (sigma * (scores[0] - scores[1])) ** 2,
        Likelihood: lambda: (
            expand(sde.diffusion(drawn.t), x) * (scores[0] - scores[1])
        ) ** 2,
        EDM: lambda: edm(sigma / alpha)
        * (exact.data_of(scores[0], x, drawn.t) - exact.data_of(scores[1], x, drawn.t)) ** 2,
        Own: lambda: (
            UNITS[loss.parametrisation](exact, scores[0], x, drawn.t)
            - UNITS[loss.parametrisation](exact, scores[1], x, drawn.t)
        ) ** 2,
    }[type(loss.weighting)]()  # fmt: skip
    rows = apart.mean(1) if loss.mean else 0.5 * apart.sum(1)
    return nodes.average(rows * drawn.weight)


def network_of(loss: DenoisingLoss, by: Tensor):
    exact = Exact(loss.sde)
    return lambda x, t: UNITS[loss.parametrisation](exact, wrong(exact, x, t, by), x, t)


def check(loss: DenoisingLoss, dim: int = 1, tolerance: float = 1e-9) -> None:
    """The excess and its gradient are those of the distance; the exact score has the least."""
    nodes = Nodes.of(US, dim=dim, order=3)
    by = torch.tensor([0.3, -0.2], dtype=torch.float64, requires_grad=True)
    none = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    least = nodes.mean(loss, network_of(loss, none))
    excess = nodes.mean(loss, network_of(loss, by)) - least
    wanted = distance(loss, nodes, by)
    scale = float(least.detach().abs() + wanted.detach())
    assert float(wanted.detach()) > 1e-3 * scale
    assert float((excess - wanted).detach().abs()) < tolerance * scale
    (found,), (slope,) = (torch.autograd.grad(each, by) for each in (excess, wanted))
    assert torch.allclose(found, slope, rtol=tolerance, atol=tolerance * scale)
    (at_least,) = torch.autograd.grad(least, none)
    assert at_least.abs().max() < tolerance * scale


@pytest.mark.parametrize("form", UNITS, ids=lambda form: form.__name__)
@pytest.mark.parametrize("weighting", [Unit(), Variance(), Likelihood(), EDM(), Own()], ids=repr)
def test_the_excess_is_the_stated_distance(any_sde, form, weighting):
    check(DenoisingLoss(any_sde, form, weighting, PLAIN))


@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize(
    "times",
    [
        UniformTimes(low_discrepancy=False, start=0.01),
        LogNormalTimes(low_discrepancy=False),
        ImportanceTimes(low_discrepancy=False),
        GridTimes(Uniform(7), low_discrepancy=False),
    ],
    ids=lambda times: type(times).__name__,
)
def test_so_it_is_at_all_times_and_as_mean_or_sum(times, mean):
    check(DenoisingLoss(VPSDE(), FromNoise, Likelihood(), times, mean=mean), dim=2)


@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize("form", [FromScore, FromNoise, FromDenoiser])
def test_the_implicit_loss_has_the_same_excess(any_sde, form, mean):
    check(ImplicitLoss(any_sde, form, Variance(), PLAIN, mean=mean), dim=2)


@pytest.mark.parametrize(
    ("loss", "same"),
    [
        (SimpleLoss(VPSDE()), (VPSDE(), FromNoise, Variance(), GridTimes(Uniform(1000)))),
        (FlowMatchingLoss(VPSDE()), (VPSDE(), FromFlow, Own(), UniformTimes())),
        (SMLDLoss(VESDE()), (VESDE(), FromScore, Variance(), GridTimes(Uniform(999), last=True))),
    ],
    ids=lambda each: type(each).__name__,
)
def test_losses_with_a_name_are_denoising_losses(loss, same):
    x0 = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    found, wanted = (
        each(lambda x, t: x, x0, SharedNoise(1)) for each in (loss, DenoisingLoss(*same))
    )
    assert torch.equal(found, wanted)


# The reference's own lines (its losses.py), in its words and with its draws.


@pytest.mark.parametrize("reduce_mean", [True, False])
@pytest.mark.parametrize("likelihood_weighting", [True, False])
def test_the_reference_in_continuous_time(any_sde, reduce_mean, likelihood_weighting):
    sde, times = any_sde, UniformTimes(low_discrepancy=False, start=1e-5)
    nodes = Nodes.of(US, dim=2, order=2)
    t = nodes.u * (sde.T - 1e-5) + 1e-5
    mean, std = sde.alpha(t)[:, None] * nodes.x0, sde.sigma(t)
    score = torch.sin(mean + std[:, None] * nodes.epsilon)
    reduce = torch.mean if reduce_mean else lambda *args, dim: 0.5 * torch.sum(*args, dim=dim)
    if likelihood_weighting:
        losses = torch.square(score + nodes.epsilon / std[:, None])
        losses = reduce(losses, dim=-1) * sde.diffusion(t) ** 2
    else:
        losses = reduce(torch.square(score * std[:, None] + nodes.epsilon), dim=-1)
    weighting = Likelihood() if likelihood_weighting else Variance()
    loss = DenoisingLoss(sde, FromScore, weighting, times, mean=reduce_mean)
    found = loss(lambda x, t: torch.sin(x), nodes.x0, nodes.noise())
    assert torch.allclose(found, losses, rtol=1e-9)


@pytest.mark.parametrize("reduce_mean", [True, False])
def test_the_reference_at_noise_levels(reduce_mean):
    count, sde = 1000, VESDE()
    sigmas = torch.exp(
        torch.linspace(
            torch.tensor(0.01, dtype=torch.float64).log(),
            torch.tensor(50.0, dtype=torch.float64).log(),
            count,
            dtype=torch.float64,
        )
    ).flip(0)
    labels = torch.tensor([0, 3, 500, 998, 999])
    epsilon, data = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0)).double()
    noise = epsilon * sigmas[labels, None]
    grad = torch.tanh(data + noise)
    losses = torch.square(grad + noise / sigmas[labels, None] ** 2)
    losses = losses.mean(-1) if reduce_mean else 0.5 * losses.sum(-1)
    losses = losses * sigmas[labels] ** 2
    u = (count - 1 - labels + 0.5) / count  # the levels run up there, and down here
    loss = SMLDLoss(
        sde, times=GridTimes(Uniform(999), last=True, low_discrepancy=False), mean=reduce_mean
    )
    found = loss(
        lambda x, t: torch.tanh(x), data, Scripted(torch.special.ndtri(u.double()), epsilon)
    )
    assert torch.allclose(found, losses, rtol=1e-9)


@pytest.mark.parametrize("reduce_mean", [True, False])
def test_the_reference_at_the_levels_of_a_table(reduce_mean):
    """L_simple of a DDPM, with the labels that its network knows."""
    count = 1000
    betas = torch.linspace(0.1 / count, 20.0 / count, count, dtype=torch.float64)
    cumprod = torch.cumprod(1.0 - betas, 0)
    labels = torch.tensor([0, 3, 500, 998, 999])
    epsilon, data = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0)).double()
    x = cumprod[labels, None].sqrt() * data + (1.0 - cumprod[labels, None]).sqrt() * epsilon
    losses = torch.square(torch.tanh(x) * (labels[:, None] + 1) - epsilon)
    losses = losses.mean(-1) if reduce_mean else 0.5 * losses.sum(-1)

    sde = TabulatedSDE(betas=tuple(betas.tolist()))
    network = Labelled(lambda x, label: torch.tanh(x) * (label[:, None] + 1), sde, LevelLabel(True))
    loss = SimpleLoss(sde, times=GridTimes(low_discrepancy=False), mean=reduce_mean)
    u = torch.special.ndtri((labels + 0.5).double() / count)
    assert torch.allclose(loss(network, data, Scripted(u, epsilon)), losses, rtol=1e-9)


# What goes in and out.


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_rows_come_in_float32_at_least_and_the_network_is_asked_so(dtype):
    seen = []

    def network(x: Tensor, t: Tensor) -> Tensor:
        seen.append((x.dtype, t.dtype, t.shape))
        return x.to(torch.bfloat16)  # as under autocast

    wide = torch.promote_types(dtype, torch.float32)
    rows = DenoisingLoss(VPSDE())(network, torch.zeros(6, 1, 4, 4, dtype=dtype), SharedNoise(0))
    assert (rows.dtype, rows.shape) == (wide, (6,))
    assert seen == [(wide, wide, (6,))]


def test_samples_may_be_single_numbers():
    loss = DenoisingLoss(VPSDE())
    assert loss(lambda x, t: x, torch.zeros(5), SharedNoise(0)).shape == (5,)


def test_a_network_with_labels_is_bound():
    labels = torch.arange(4)
    network = lambda x, t, labels: x * labels[:, None]  # noqa: E731
    bound = DenoisingLoss(VPSDE())(Bound(network, labels=labels), torch.ones(4, 2), SharedNoise(0))
    plain = DenoisingLoss(VPSDE())(
        lambda x, t: x * labels[:, None], torch.ones(4, 2), SharedNoise(0)
    )
    assert torch.equal(bound, plain)


@pytest.mark.parametrize(
    ("x0", "message"),
    [
        (torch.zeros(4, 2, dtype=torch.uint8), "x0.float\\(\\) / 127.5 - 1"),
        (torch.zeros(()), "a batch of data"),
        (torch.zeros(0, 2), "a batch of data"),
        ([[0.0]], "a batch of data"),
    ],
)
def test_what_is_no_data_is_refused(x0, message):
    with pytest.raises(ArgumentError, match=message):
        DenoisingLoss(VPSDE())(lambda x, t: x, x0, SharedNoise(0))


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(PairingError, match=r"sde = 'vp': must be a LinearSDE.*DenoisingLoss"):
        DenoisingLoss("vp")
    with pytest.raises(ArgumentError, match=r"parametrisation = .*VPSDE.*FromNoise"):
        DenoisingLoss(VPSDE(), VPSDE)
    with pytest.raises(
        ArgumentError, match=r"at t = 0.0 it has none. Give a later one, start=0\.001"
    ):
        DenoisingLoss(VPSDE(), times=UniformTimes(start=0.0))
    with pytest.raises(ArgumentError, match=r"start=0\.002"):
        DenoisingLoss(EDMSDE(), times=ImportanceTimes(start=0.0))
    with pytest.raises(ArgumentError, match="weighting"):
        DenoisingLoss(VPSDE(), FromNoise, UniformTimes())


def test_what_the_network_returns_is_checked():
    with pytest.raises(
        ScoreModelError, match=r"network of loss.*loss\(lambda x, t: .*\[0\], x0, noise"
    ):
        DenoisingLoss(VPSDE())(lambda x, t: (x,), torch.zeros(4, 2), SharedNoise(0))


def test_a_loss_is_a_value_and_says_what_it_is():
    loss = DenoisingLoss(VPSDE(), FromDenoiser, EDM(), LogNormalTimes())
    assert loss == DenoisingLoss(VPSDE(), FromDenoiser, EDM(), LogNormalTimes())
    assert loss != DenoisingLoss(VPSDE(), FromNoise, EDM(), LogNormalTimes())
    assert "parametrisation=FromDenoiser, weighting=EDM(sigma_data=0.5)" in repr(loss)
