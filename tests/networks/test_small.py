"""Small networks, scalings, labels and models of any network."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
import torch
from common import SDES, TABLES, GaussianScore, normal

from sdeplug import (
    EDMSDE,
    VESDE,
    VPSDE,
    ArgumentError,
    Bound,
    FromDenoiser,
    FromNoise,
    FromScore,
    Labelled,
    LevelLabel,
    LogSigmaLabel,
    LogSNRLabel,
    MissingExtraError,
    PairingError,
    ReverseSDE,
    SigmaLabel,
    TimeLabel,
    networks,
    sample,
)

X = normal(3, 1, 8, 8, dtype=torch.float32)
T = torch.tensor([0.1, 0.5, 0.9])


def stirred(network, seed=0):
    """The network with other weights than those it begins with, which say nothing."""
    numbers = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for each in network.parameters():
            each.copy_(0.3 * torch.randn(each.shape, generator=numbers))
    return network


MAKERS = {
    "mlp": lambda **options: networks.ResidualMLP(64, width=16, blocks=2, **options),
    "unet": lambda **options: networks.SmallUNet(1, width=8, **options),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_small_network_begins_as_zero_and_sees_what_it_is_given(make):
    log_snr = torch.tensor([5.0, 0.0, -5.0])
    assert float(make()(X, log_snr).detach().abs().max()) == 0.0
    network = stirred(make(classes=3))
    with torch.no_grad():
        plain = network(X, log_snr)
        assert plain.shape == X.shape
        none = network(X, log_snr, labels=torch.tensor([3, 3, 3]))
        torch.testing.assert_close(plain, none)
        labelled = network(X, log_snr, labels=torch.tensor([0, 1, 3]))
        far = (labelled - plain).flatten(1).abs().amax(1) > 1e-3
        assert far.tolist() == [True, True, False]
        later = network(X, log_snr + torch.tensor([0.0, 1.0, 0.0]))
        far = (later - plain).flatten(1).abs().amax(1) > 1e-3
        assert far.tolist() == [False, True, False]
        assert bool(network(X, torch.tensor([math.inf, 0.0, -math.inf])).isfinite().all())


@pytest.mark.parametrize("size", [7, 8, 28])
def test_images_may_have_sizes_that_do_not_halve(size):
    x = normal(2, 1, size, size, dtype=torch.float32)
    assert stirred(MAKERS["unet"]())(x, torch.zeros(2)).shape == x.shape


def test_what_a_small_network_was_not_made_for_is_told():
    with pytest.raises(ArgumentError, match=r"x = 'of shape \(3, 5\)': must be samples of 64"):
        MAKERS["mlp"]()(torch.ones(3, 5), torch.zeros(3))
    for make in MAKERS.values():
        with pytest.raises(ArgumentError, match=r"labels = .*no classes"):
            make()(X, torch.zeros(3), labels=torch.zeros(3, dtype=torch.int64))


def test_conditions_reach_the_network_and_leave_with_their_rows():
    timed = Labelled(stirred(MAKERS["unet"](classes=3)), VPSDE(), LogSNRLabel())
    labels, rows = torch.tensor([0, 1, 2]), torch.tensor([2, 0])
    outside = Bound(timed, labels=labels)
    inside = Labelled(Bound(timed.network, labels=labels), VPSDE(), LogSNRLabel())
    with torch.no_grad():
        both = outside(X, T), inside(X, T)
        torch.testing.assert_close(*both)
        assert float((both[0] - timed(X, T)).abs().max()) > 1e-3
        for each in (outside, inside):
            torch.testing.assert_close(each.for_rows(rows)(X[rows], T[rows]), both[0][rows])
    assert timed.for_rows(rows) is timed
    assert len(list(timed.parameters())) == len(list(timed.network.parameters()))


@pytest.mark.parametrize("sde", [*SDES, *TABLES.values()], ids=repr)
def test_a_preconditioned_network_of_nothing_is_the_best_linear_denoiser_without_mean(sde):
    """F = 0 leaves alpha s^2 x / q: the posterior mean of data N(0, s^2)."""
    denoiser = networks.Preconditioned(lambda x, label: torch.zeros_like(x), sde, 0.5)
    x, t = normal(4, 3), torch.tensor([0.05, 0.3, 0.6, 1.0], dtype=torch.float64) * sde.T
    score = FromDenoiser(denoiser, sde)(x, t)
    exact = GaussianScore(sde, mean=0.0, variance=0.25)(x, t)
    torch.testing.assert_close(score, exact, rtol=1e-8, atol=1e-8)


def test_preconditioning_is_that_of_edm():
    """Table 1 of Karras et al., with s = 0.5."""
    told = []
    network = lambda x, label: told.append((x, label)) or torch.ones_like(x)  # noqa: E731
    denoiser = networks.Preconditioned(network, EDMSDE(), 0.5, LogSigmaLabel(0.25))
    x, sigma = normal(2, 3), torch.tensor([0.3, 7.0], dtype=torch.float64)
    norm = (sigma.square() + 0.25)[:, None]
    skip, out = 0.25 / norm, sigma[:, None] * 0.5 / norm.sqrt()
    torch.testing.assert_close(denoiser(x, sigma), skip * x + out)
    torch.testing.assert_close(told[0][0], x / norm.sqrt())
    torch.testing.assert_close(told[0][1], sigma.log() / 4.0)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_one_network_serves_any_schedule(make):
    """Where the log-SNR is the same, x / alpha is denoised to the same."""
    network, clean = stirred(make()), []
    for sde in (VPSDE(), VESDE(), TABLES["betas"]):
        t = sde.time_at(torch.tensor([3.0, 0.0, -3.0], dtype=torch.float64))
        x = sde.alpha(t)[:, None, None, None] * X
        with torch.no_grad():
            clean.append(networks.Preconditioned(network, sde)(x.float(), t))
    for each in clean[1:]:
        torch.testing.assert_close(each, clean[0], rtol=1e-3, atol=1e-3)


def test_the_output_of_the_reference_is_over_sigma():
    sde = VESDE()
    score = networks.OverSigma(lambda x, label: 2.0 * x, sde, SigmaLabel())(X, T)
    torch.testing.assert_close(score, 2.0 * X / sde.sigma(T)[:, None, None, None])


def test_a_scale_of_data_is_above_zero():
    with pytest.raises(ArgumentError, match=r"data_std = 0\.0: must be above 0"):
        networks.Preconditioned(X.new_tensor, VPSDE(), 0.0)


@pytest.mark.parametrize(
    ("sde", "label", "predicts"),
    [
        (VPSDE(), TimeLabel(), FromNoise),
        (VPSDE(), TimeLabel(999.0), FromScore),
        (VESDE(), SigmaLabel(), FromScore),
        (EDMSDE(), LogSigmaLabel(0.25), FromDenoiser),
        (TABLES["betas"], LevelLabel(), FromNoise),
        (TABLES["sigmas"], LevelLabel(whole=True), FromDenoiser),
    ],
)
def test_a_network_of_ones_own_is_a_model_in_a_line(sde, label, predicts):
    """It knows the exact score, and is told the time in units of its own."""
    exact, times = GaussianScore(sde), torch.tensor([0.3, 0.8], dtype=torch.float64)
    table = {float(each): t for each, t in zip(label(sde, times), times, strict=True)}

    def network(x, label):
        t = torch.stack([table[float(each)] for each in label])
        score, sigma = exact(x, t), sde.sigma(t)[:, None]
        if predicts is FromScore:
            return score
        if predicts is FromNoise:
            return -sigma * score
        return (x + sigma.square() * score) / sde.alpha(t)[:, None]

    model = networks.from_module(network, sde, predicts=predicts, labels=label)
    x = normal(2, 3)
    torch.testing.assert_close(model.score(x, times), exact(x, times), rtol=1e-8, atol=1e-8)
    assert model.score.sde is model.sde is sde


def test_a_model_samples():
    network = networks.ResidualMLP(2, width=8, blocks=1)
    model = networks.from_module(network, VPSDE(), predicts=FromNoise, labels=LogSNRLabel())
    with torch.no_grad():
        out = sample(ReverseSDE(model.sde, model.score), (4, 2), seed=0)
    assert bool(out.x.isfinite().all())


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_every_weight_of_a_network_learns(make):
    network = networks.Preconditioned(stirred(make(classes=3)), VESDE(), 0.5)
    labels = torch.tensor([0, 1, 3])
    (Bound(network, labels=labels)(X, T).square().sum()).backward()
    silent = [name for name, each in network.named_parameters() if each.grad is None]
    assert silent == []
    assert all(float(each.grad.abs().max()) > 0.0 for each in network.parameters())


def test_what_is_no_parametrisation_is_refused():
    with pytest.raises(PairingError, match="predicts = 'noise': must be a class of"):
        networks.from_module(X.new_tensor, VPSDE(), predicts="noise", labels=TimeLabel())


@pytest.mark.thorough
@pytest.mark.slow
def test_a_library_is_opened_when_it_is_asked_for():
    code = "import sys, sdeplug.networks; print(*{'diffusers', 'safetensors'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_library_that_is_missing_is_named_with_its_extra(monkeypatch, tmp_path):
    for name in ("diffusers", "diffusers.models.attention_processor", "safetensors"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("sdeplug.networks.unet", "sdeplug.networks.blocks", "safetensors.torch"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    timed = Labelled(networks.ResidualMLP(2, 8, 1), VPSDE(), LogSNRLabel())
    (tmp_path / "config.json").write_text('{"_class_name": "UNet2DModel"}')
    (tmp_path / "scheduler_config.json").write_text('{"_class_name": "DDPMScheduler"}')
    for call, package in (
        (networks.ncsnpp, "diffusers"),
        (lambda: networks.from_diffusers(tmp_path), "diffusers"),
        (lambda: networks.save(tmp_path, timed, VPSDE(), FromNoise), "safetensors"),
    ):
        with pytest.raises(MissingExtraError, match=rf"{package}.*sdeplug\[networks\]"):
            call()
