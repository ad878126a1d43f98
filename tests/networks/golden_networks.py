"""Outputs of the reference's networks on fixed weights: how ``golden_networks.json`` was made.

``python tests/networks/golden_networks.py CHECKOUT`` with a checkout of score_sde_pytorch, of
yang-song.  Its CUDA extensions are not built: on a CPU it has functions of torch in their place.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace as Settings

import numpy as np
import torch
from torch import Tensor

FILE = Path(__file__).with_suffix(".json")
TINY = {"nf": 8, "ch_mult": (1, 2, 2), "num_res_blocks": 1, "attn_resolutions": (4,)}
VE = {"embedding_type": "fourier", "scale_by_sigma": True, "fir": True}
VP = {"embedding_type": "positional", "scale_by_sigma": False}
PYRAMIDS = {"progressive": "output_skip", "progressive_input": "input_skip"}
CASES = {
    "ncsnpp": {**VE, "progressive_input": "residual"},
    "ncsnpp-256": {**VE, **PYRAMIDS},
    "ddpmpp": {**VP, "fir": False},
    "ncsnpp-vp": {**VP, "fir": True, "progressive_input": "residual"},
    "ncsnpp-discrete": {**VE, "embedding_type": "positional", "progressive_input": "residual"},
}
CIFAR = {"nf": 128, "ch_mult": (1, 2, 2, 2), "attn_resolutions": (16,)}
LARGE = {**CIFAR, "ch_mult": (1, 1, 2, 2, 2, 2, 2), "num_res_blocks": 2}
HUGE = {"nf": 16, "ch_mult": (1, 2, 4, 8, 16, 32, 32, 32), "attn_resolutions": (16,)}
PAPER = {
    "ncsnpp": (32, {**CASES["ncsnpp"], **CIFAR, "num_res_blocks": 4}),
    "ncsnpp-deep": (32, {**CASES["ncsnpp"], **CIFAR, "num_res_blocks": 8}),
    "ddpmpp": (32, {**CASES["ddpmpp"], **CIFAR, "num_res_blocks": 4}),
    "ddpmpp-deep": (32, {**CASES["ddpmpp"], **CIFAR, "num_res_blocks": 8}),
    "ncsnpp-256": (256, {**CASES["ncsnpp-256"], **LARGE}),
    "ncsnpp-1024": (1024, {**CASES["ncsnpp-256"], **HUGE, "num_res_blocks": 1}),
}
SIGMA_MAX, LEVELS = 50.0, 1000


def weights(shapes: Iterable[tuple[str, tuple[int, ...]]], seed: int) -> dict[str, Tensor]:
    """Fixed numbers of the size that layers have, by name and shape."""
    made = {}
    for number, (name, shape) in enumerate(shapes):
        draws = np.random.RandomState(1000 * seed + number).randn(*shape)
        if len(shape) > 1:
            scale = 1.0 / np.sqrt(shape[0] if name.endswith(".W") else np.prod(shape[1:]))
            values = scale * draws
        elif name.endswith(".weight"):
            values = 1.0 + 0.2 * draws
        else:
            values = 4.0 * draws if name.endswith(".W") else 0.1 * draws
        made[name] = torch.tensor(values, dtype=torch.float32)
    return made


def images() -> Tensor:
    """Two noisy images of eight by eight."""
    return torch.tensor(np.random.RandomState(7).randn(2, 3, 8, 8), dtype=torch.float32)


def labels(case: str) -> Tensor:
    """What a network is told: levels for positional embeddings, sigma for the others."""
    if CASES[case]["embedding_type"] == "fourier":
        return torch.tensor([0.02, 3.0])
    return torch.tensor([12, 800]) if case == "ncsnpp-discrete" else torch.tensor([12.25, 800.5])


def settings(size: int, options: dict[str, object]) -> Settings:
    model = {
        "nonlinearity": "swish", "dropout": 0.1, "resamp_with_conv": True, "conditional": True,
        "fir_kernel": [1, 3, 3, 1], "skip_rescale": True, "resblock_type": "biggan",
        "progressive": "none", "progressive_input": "none", "progressive_combine": "sum",
        "init_scale": 0.0, "fourier_scale": 16, "sigma_min": 0.01, "sigma_max": SIGMA_MAX,
        "num_scales": LEVELS, **options,
    }  # fmt: skip
    data = Settings(image_size=size, num_channels=3, centered=not model["scale_by_sigma"])
    return Settings(model=Settings(**model), data=data, training=Settings(continuous=True))


def main(checkout: str) -> None:
    sys.path.insert(0, checkout)
    torch.utils.cpp_extension.load = lambda *args, **options: None
    from models.ncsnpp import NCSNpp

    made: dict[str, dict[str, object]] = {"cases": {}, "parameters": {}}
    for case, options in CASES.items():
        network = NCSNpp(settings(8, {**TINY, **options})).eval()
        learned = [(name, tuple(each.shape)) for name, each in network.named_parameters()]
        network.load_state_dict(weights(learned, 1), strict=False)
        with torch.no_grad():
            output = network(images(), labels(case))
        digits = [float(f"{value:.8g}") for value in output.flatten().tolist()]
        made["cases"][case] = {"shapes": learned, "output": digits}
    for name, (size, options) in PAPER.items():
        network = NCSNpp(settings(size, options))
        made["parameters"][name] = sum(each.numel() for each in network.parameters())
    FILE.write_text(json.dumps(made) + "\n", encoding="utf-8")


if __name__ == "__main__":
    import torch.utils.cpp_extension

    main(sys.argv[1])
