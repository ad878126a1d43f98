"""Checkpoints of the reference: the outputs of its own networks, and files that are none."""

from __future__ import annotations

import json
import os
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from golden_networks import CASES, FILE, LEVELS, SIGMA_MAX, images, labels, weights

from sdeplug import (
    VESDE,
    VPSDE,
    ArgumentError,
    FromNoise,
    FromScore,
    PairingError,
    SubVPSDE,
    TabulatedSDE,
    networks,
)

pytest.importorskip("diffusers")

GOLDEN = json.loads(FILE.read_text(encoding="utf-8"))
SIGMAS = torch.tensor(np.exp(np.linspace(np.log(SIGMA_MAX), np.log(0.01), LEVELS)))
SDE = {
    "ncsnpp": None,
    "ncsnpp-256": None,
    "ddpmpp": VPSDE(),
    "ncsnpp-vp": SubVPSDE(),
    "ncsnpp-discrete": TabulatedSDE(sigmas=SIGMAS),
}


def checkpoint(case, path, **changes):
    """A file as the reference writes it: the last weights are others than their averages."""
    shapes = [(name, tuple(shape)) for name, shape in GOLDEN["cases"][case]["shapes"]]
    last, averages = weights(shapes, 2), weights(shapes, 1)
    fixed = {name: averages.pop(name) for name in ("all_modules.0.W",) if name in averages}
    model = {"sigmas": SIGMAS, **last, **fixed}
    rate = {"param_groups": [{"lr": np.float64(2e-4), "betas": (0.9, 0.999)}], "state": {}}
    content = {
        "optimizer": rate,
        "model": {f"module.{name}": each for name, each in model.items()},
        "ema": {"decay": 0.999, "num_updates": 7, "shadow_params": list(averages.values())},
        "step": 7,
    }
    torch.save(content | changes, path)
    return path


@pytest.mark.parametrize("case", CASES)
def test_the_network_gives_what_the_reference_gives(case, tmp_path):
    model = networks.from_score_sde(checkpoint(case, tmp_path / "a.pth"), SDE[case])
    wanted = torch.tensor(GOLDEN["cases"][case]["output"]).reshape(2, 3, 8, 8)
    with torch.no_grad():
        output = model.network.network(images(), labels(case))
        if case == "ncsnpp-discrete":
            output = output / SIGMAS[labels(case)][:, None, None, None].float()
    assert float((output - wanted).abs().max()) < 1e-5 * float(wanted.abs().max())
    assert not model.network.training
    assert model.step == 7


def test_the_score_is_that_of_the_reference(tmp_path):
    """score = -output / sigma under VP with labels 999 t; the output over its level for NCSN++."""
    t = torch.tensor([0.25, 0.75])
    model = networks.from_score_sde(checkpoint("ddpmpp", tmp_path / "a.pth"), VPSDE())
    with torch.no_grad():
        wanted = -model.network.network(images(), 999.0 * t)
        wanted /= VPSDE().sigma(t)[:, None, None, None]
        torch.testing.assert_close(model.score(images(), t), wanted)
    assert (model.data_range, model.sde) == ((-1.0, 1.0), VPSDE())
    model = networks.from_score_sde(checkpoint("ncsnpp", tmp_path / "b.pth"))
    assert model.sde == VESDE(sigma_min=0.01, sigma_max=50.0)
    with torch.no_grad():
        wanted = model.network.network(images(), model.sde.sigma(t))
        torch.testing.assert_close(model.score(images(), t), wanted)
    assert (model.data_range, model.parametrisation) == ((0.0, 1.0), FromScore)


def test_a_discrete_network_is_told_its_levels(tmp_path):
    """The first level is that of most noise for NCSN++, of least for DDPM++."""
    levels = SDE["ncsnpp-discrete"]
    model = networks.from_score_sde(checkpoint("ncsnpp-discrete", tmp_path / "a.pth"), levels)
    t = torch.tensor([levels.time_of(12), levels.time_of(800)], dtype=torch.float64)
    wanted = torch.tensor(GOLDEN["cases"]["ncsnpp-discrete"]["output"]).reshape(2, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(model.score(images(), t.float()), wanted, rtol=1e-4, atol=1e-4)
    betas = TabulatedSDE(betas=torch.linspace(1e-4, 0.02, 1000))
    model = networks.from_score_sde(checkpoint("ddpmpp", tmp_path / "b.pth"), betas)
    t = torch.tensor([betas.time_of(0), betas.time_of(999)])
    with torch.no_grad():
        wanted = model.network.network(images(), torch.tensor([0.0, 999.0]))
        torch.testing.assert_close(model.network(images(), t), wanted, rtol=1e-3, atol=1e-3)
    assert model.parametrisation is FromNoise


def test_the_last_weights_are_there_too(tmp_path):
    file = checkpoint("ddpmpp", tmp_path / "a.pth")
    averaged, last = (networks.from_score_sde(file, VPSDE(), ema=ema) for ema in (True, False))
    first = [each.network.network.conv_in.weight for each in (averaged, last)]
    shapes = [(name, tuple(shape)) for name, shape in GOLDEN["cases"]["ddpmpp"]["shapes"]]
    for weight, seed in zip(first, (1, 2), strict=True):
        assert torch.equal(weight, weights(shapes, seed)["all_modules.2.weight"])


@pytest.mark.parametrize("name", GOLDEN["parameters"])
def test_the_networks_of_the_paper_have_its_number_of_parameters(name):
    plan = {
        "ncsnpp": networks.NCSNPP,
        "ncsnpp-deep": replace(networks.NCSNPP, blocks=8),
        "ddpmpp": networks.DDPMPP,
        "ddpmpp-deep": replace(networks.DDPMPP, blocks=8),
        "ncsnpp-256": networks.NCSNPP_256,
        "ncsnpp-1024": networks.NCSNPP_1024,
    }[name]
    make = networks.ddpmpp if "ddpm" in name else networks.ncsnpp
    with torch.device("meta"):
        network = make(plan)
    assert sum(each.numel() for each in network.parameters()) == GOLDEN["parameters"][name]


def test_a_new_network_begins_as_the_paper_s_does():
    """Almost 0, and the variance of a weight is 1 over the mean of its fans."""
    torch.manual_seed(0)
    plan = replace(networks.NCSNPP, width=32, multipliers=(1, 2), blocks=1)
    network = networks.ncsnpp(plan).eval()
    with torch.no_grad():
        assert float(network(images(), torch.tensor([1.0, 2.0])).abs().max()) < 1e-3
    weight = network.down_blocks[1].resnets[0].conv1.weight.detach()
    assert float(weight.var()) * 9 * (32 + 64) / 2 == pytest.approx(1.0, abs=0.05)
    query = network.mid_block.attentions[0].to_q.weight.detach()
    assert float(query.var()) * 64 == pytest.approx(0.1, abs=0.01)
    assert float(network.mid_block.resnets[0].conv2.weight.detach().abs().max()) < 1e-5


class Hostile:
    """A pickle that would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize(
    "write", [torch.save, lambda what, file: file.write_bytes(pickle.dumps(what))]
)
def test_a_hostile_file_executes_nothing(write, tmp_path):
    file, trace = tmp_path / "a.pth", tmp_path / "executed"
    write({"model": Hostile(trace), "step": 1}, file)
    with pytest.raises(ArgumentError, match="code in it is not run"):
        networks.from_score_sde(file, VPSDE())
    assert not trace.exists()


def test_a_pickle_of_edm_is_refused_with_the_way_to_convert_it(tmp_path):
    file = tmp_path / "edm-cifar10-32x32-uncond-vp.pkl"
    file.write_bytes(
        b"\x80\x03}q\x00X\x03\x00\x00\x00emaq\x01ctorch_utils.persistence\n_rebuild\n."
    )
    with pytest.raises(ArgumentError, match=r"convert it once.*state_dict.*EDMSDE"):
        networks.from_score_sde(file)


def test_files_that_are_none_are_named(tmp_path):
    whole = checkpoint("ddpmpp", tmp_path / "a.pth")
    cut = tmp_path / "cut.pth"
    cut.write_bytes(whole.read_bytes()[:20_000])
    with pytest.raises(ArgumentError, match=r"cut\.pth'.*a whole file"):
        networks.from_score_sde(cut, VPSDE())
    with pytest.raises(ArgumentError, match=r"none\.pth'.*that is there"):
        networks.from_score_sde(tmp_path / "none.pth", VPSDE())
    for changes, match in (
        (
            {"model": {"module.layer.weight": torch.ones(2)}},
            r"weights are layer.*elsewhere",
        ),
        ({"model": "a word"}, "it has optimizer, model, ema, step"),
        ({"ema": {}}, "ema=False takes the last"),
    ):
        with pytest.raises(ArgumentError, match=match):
            networks.from_score_sde(checkpoint("ddpmpp", whole, **changes), VPSDE())
    torch.save({"model": {"all_modules.0.weight": torch.ones(2, 2)}}, whole)
    with pytest.raises(ArgumentError, match="in no order that they have"):
        networks.from_score_sde(whole, VPSDE(), ema=False)


@pytest.mark.parametrize(
    ("names", "match"),
    [
        (
            ["all_modules.2.weight", *(f"all_modules.3.{n}" for n in ("Conv_1.weight", "NIN_0.W"))],
            r"network ddpm\. Build it.*FromNoise.*TimeLabel\(999\)",
        ),
        (["sigmas", "begin_conv.weight", "res1.0.conv1.weight"], r"ncsnv2\. Build it.*FromScore"),
    ],
)
def test_the_other_networks_of_the_reference_are_refused_with_their_way(names, match, tmp_path):
    weights = {f"module.{name}": torch.ones(2, 2) for name in names}
    torch.save({"model": weights, "ema": {"shadow_params": [*weights.values()]}}, tmp_path / "a")
    with pytest.raises(ArgumentError, match=match):
        networks.from_score_sde(tmp_path / "a")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ArgumentError, match="a file of weights, not a folder"):
        networks.from_score_sde(tmp_path)


def test_weights_that_do_not_fit_are_named(tmp_path):
    file = checkpoint("ddpmpp", tmp_path / "a.pth")
    content = torch.load(file, weights_only=False)
    content["model"]["module.all_modules.4.Conv_1.weight"] = torch.ones(8, 8, 1, 1)
    torch.save(content, file)
    with pytest.raises(ArgumentError, match=r"all_modules\.4 has no conv2\.weight"):
        networks.from_score_sde(file, VPSDE(), ema=False)


def test_an_sde_that_does_not_go_with_the_network_is_refused(tmp_path):
    file = checkpoint("ddpmpp", tmp_path / "a.pth")
    with pytest.raises(PairingError, match=r"sde = None.*told the time.*VPSDE\(\), SubVPSDE"):
        networks.from_score_sde(file)
    with pytest.raises(PairingError, match=r"VESDE.*told the time"):
        networks.from_score_sde(file, VESDE())
    file = checkpoint("ncsnpp", tmp_path / "b.pth")
    with pytest.raises(PairingError, match=r"VPSDE.*told sigma"):
        networks.from_score_sde(file, VPSDE())
