"""Checkpoints: what is read is what was written, and what is damaged is named."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from common import TABLES, normal
from networks.tiny import unet
from torch import nn

from sdeplug import (
    EDMSDE,
    VESDE,
    VPSDE,
    ArgumentError,
    FromDenoiser,
    FromNoise,
    FromScore,
    Labelled,
    LevelLabel,
    LinearSDE,
    LogSigmaLabel,
    LogSNRLabel,
    PairingError,
    PluginError,
    SigmaLabel,
    TimeLabel,
    networks,
)

pytest.importorskip("safetensors")

X = normal(2, 1, 8, 8, dtype=torch.float32)
T = torch.tensor([0.3, 0.9])
SMALL = networks.ResidualMLP(64, width=8, blocks=1)


class Own(nn.Module):
    """A network of a user."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, width, 1)

    def forward(self, x, label):
        return self.layer(x).mean(1, keepdim=True) * label[:, None, None, None]


def stirred(network):
    with torch.no_grad():
        for number, each in enumerate(network.parameters()):
            each.copy_(torch.sin(torch.arange(each.numel()) + number).reshape(each.shape))
    return network


def paper():
    pytest.importorskip("diffusers")
    plan = replace(networks.NCSNPP, image_channels=1, width=8, multipliers=(1, 2), blocks=1)
    return networks.ncsnpp(plan)


CASES = {
    "mlp": lambda: (Labelled(SMALL, VPSDE(), LogSNRLabel()), FromNoise),
    "unet": lambda: (
        networks.Preconditioned(networks.SmallUNet(1, 8, classes=3), EDMSDE(), 0.3), FromDenoiser
    ),
    "table": lambda: (Labelled(SMALL, TABLES["betas"], LevelLabel()), FromNoise),
    "over": lambda: (networks.OverSigma(SMALL, VESDE(), LogSigmaLabel(0.25)), FromScore),
    "paper": lambda: (Labelled(paper(), VESDE(), SigmaLabel()), FromScore),
    "diffusers": lambda: (Labelled(networks.Diffused(unet()), VPSDE(), TimeLabel(999)), FromNoise),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_is_read_is_what_was_written(name, tmp_path):
    network, predicts = CASES[name]()
    stirred(network).eval()
    networks.save(tmp_path / "a", network, network.sde, predicts, (-1.0, 1.0), 1200)
    model = networks.load(tmp_path / "a")
    assert (model.sde, model.parametrisation) == (network.sde, predicts)
    assert (model.data_range, model.step) == ((-1.0, 1.0), 1200)
    assert type(model.network) is type(network)
    assert not model.network.training
    with torch.no_grad():
        assert torch.equal(model.score(X, T), predicts(network, network.sde)(X, T))
    assert sorted(each.name for each in (tmp_path / "a").iterdir()) == [
        "model.json",
        "model.safetensors",
    ]


def test_a_network_of_ones_own_class_is_filled(tmp_path):
    network = Labelled(stirred(Own()), VPSDE(), TimeLabel())
    networks.save(tmp_path, network, VPSDE(), FromNoise)
    with pytest.raises(
        ArgumentError, match=r"network = None: must be given: a .*Own.*load\(folder,"
    ):
        networks.load(tmp_path)
    model = networks.load(tmp_path, Own())
    assert torch.equal(model.network(X, T), network(X, T))
    with pytest.raises(ArgumentError, match=r"network\.layer\.bias it has \(4,\).*wants \(3,\)"):
        networks.load(tmp_path, Own(3))
    with pytest.raises(ArgumentError, match=r"weights of this network.*layer\.bias it has \(4,\)"):
        networks.load(tmp_path, nn.Identity())
    plain = stirred(Own())
    networks.save(tmp_path, plain, VPSDE(), FromNoise)
    assert torch.equal(networks.load(tmp_path, Own()).network(X, T), plain(X, T))


def test_half_precision_stays_half(tmp_path):
    network = Labelled(stirred(Own()).to(torch.bfloat16), VPSDE(), TimeLabel())
    networks.save(tmp_path, network, VPSDE(), FromNoise)
    model = networks.load(tmp_path, Own())
    assert {each.dtype for each in model.network.parameters()} == {torch.bfloat16}


def test_the_page_says_what_it_is(tmp_path):
    networks.save(tmp_path, Labelled(SMALL, VPSDE(), TimeLabel(999.0)), VPSDE(), FromNoise, step=3)
    text = json.loads((tmp_path / "model.json").read_text())
    assert (text["predicts"], text["step"], text["sde"]) == ("FromNoise", 3, {"name": "core/vp"})
    assert text["network"]["label"] == {"name": "time", "scale": 999.0}
    assert set(text["versions"]) == {"sdeplug", "torch"}


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    network = Labelled(SMALL, VPSDE(), TimeLabel())
    networks.save(tmp_path, network, VPSDE(), FromNoise, step=1)
    import safetensors.torch

    def full(*args, **options):
        raise OSError("No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(OSError, match="No space"):
        networks.save(tmp_path, network, VPSDE(), FromNoise, step=2)
    assert networks.load(tmp_path).step == 1


def changed(folder, **changes):
    file = folder / "model.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (lambda at: (at / "model.json").unlink(), r"model\.json'.*that is there"),
        (lambda at: (at / "model.safetensors").unlink(), r"model\.safetensors'.*that is there"),
        (lambda at: (at / "model.json").write_text("{"), r"model\.json'.*a whole one.*JSON"),
        (lambda at: (at / "model.json").write_text("[]"), r"model\.json'.*a whole one"),
        (
            lambda at: (at / "model.safetensors").write_bytes(
                (at / "model.safetensors").read_bytes()[:-100]
            ),
            r"model\.safetensors'.*a whole one",
        ),
        (lambda at: changed(at, format=2, versions={"sdeplug": "9"}), r"format 1.*2.*sdeplug 9"),
        (lambda at: changed(at, predicts="FromDreams"), r"whole one.*FromDreams"),
        (lambda at: changed(at, network={"kind": "strange"}), r"kind = 'strange'.*Labelled"),
        (lambda at: changed(at, network={}), r"lacks 'kind'"),
        (
            lambda at: changed(
                at, network={"kind": "ResidualMLP", "settings": {"features": 2, "width": -16}}
            ),
            r"model\.json'.*does not say how to build it: .*negative",
        ),
        (
            lambda at: changed(at, network={"kind": "ResidualMLP", "settings": [1]}),
            r"model\.json'.*does not say how to build it: .*mapping",
        ),
        (lambda at: changed(at, data_range=[1, 2, 3]), r"data_range = \[1, 2, 3\]: .*two numbers"),
        (lambda at: changed(at, sde={"name": "nowhere/sde"}), "nowhere/sde"),
    ],
)  # fmt: skip
def test_a_damaged_folder_is_named(damage, match, tmp_path):
    networks.save(tmp_path, Labelled(SMALL, VPSDE(), TimeLabel()), VPSDE(), FromNoise)
    damage(tmp_path)
    with pytest.raises((ArgumentError, PluginError), match=match):
        networks.load(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ArgumentError, match=r"folder = .*a folder that is there"):
        networks.load(tmp_path / "none")
    with pytest.raises(ArgumentError, match="folder = None: must be the path of a folder"):
        networks.load(None)


def test_what_is_saved_and_filled_is_what_it_should_be(tmp_path):
    with pytest.raises(ArgumentError, match=r"data_range = \(1,\): must be two numbers"):
        networks.save(tmp_path, SMALL, VPSDE(), FromNoise, (1,))
    with pytest.raises(ArgumentError, match=r"network = .*a module of torch to be filled"):
        networks.load(tmp_path, torch.nn.Linear)


def test_a_page_may_not_ask_for_any_class(tmp_path):
    """The class of a network of diffusers is one of its networks, and nothing else of it."""
    pytest.importorskip("diffusers")
    networks.save(tmp_path, Labelled(SMALL, VPSDE(), TimeLabel()), VPSDE(), FromNoise)
    inner = {"kind": "Diffused", "settings": {"class": "DDPMScheduler", "config": {}}}
    changed(tmp_path, network=inner)
    with pytest.raises(ArgumentError, match="class = 'DDPMScheduler': must be a network of"):
        networks.load(tmp_path)


class Mine(LinearSDE):
    """A schedule without a name."""

    def log_alpha(self, t):
        return 0.0

    def sigma(self, t):
        return t


def test_what_cannot_be_written_is_told(tmp_path):
    network = Labelled(SMALL, VPSDE(), TimeLabel())
    with pytest.raises(ArgumentError, match=r"network = .*a module of torch"):
        networks.save(tmp_path, lambda x, t: x, VPSDE(), FromNoise)
    with pytest.raises(ArgumentError, match="around a module"):
        networks.save(tmp_path, Labelled(lambda x, t: x, VPSDE(), TimeLabel()), VPSDE(), FromNoise)
    with pytest.raises(PairingError, match="parametrisation = 'noise'"):
        networks.save(tmp_path, network, VPSDE(), "noise")
    with pytest.raises(PairingError, match="VESDE"):
        networks.save(tmp_path, network, VESDE(), FromNoise)
    with pytest.raises(PluginError, match="Mine"):
        networks.save(tmp_path, SMALL, Mine(), FromNoise)
    assert list(tmp_path.iterdir()) == []
