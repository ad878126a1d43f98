"""The modules of a checkpoint of score_sde_pytorch: what they are, and where they go.

Its network is a list of modules, in the order in which they are called; kinds and shapes tell the
architecture.  Our network has the same modules, in the same order, by other names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sdeplug.errors import ArgumentError
from sdeplug.networks.architecture import Architecture

Weights = Mapping[str, Tensor]

_RESIDUAL = {
    "norm1": "GroupNorm_0", "conv1": "Conv_0", "time_emb_proj": "Dense_0", "norm2": "GroupNorm_1",
    "conv2": "Conv_1", "conv_shortcut": "Conv_2",
}  # fmt: skip
_ATTENTION = {
    "group_norm": "GroupNorm_0", "to_q": "NIN_0", "to_k": "NIN_1", "to_v": "NIN_2",
    "to_out.0": "NIN_3",
}  # fmt: skip
_OTHERS = ("", "Conv_0.", "Conv2d_0.")  # prefixes of a module that is one layer


@dataclass(frozen=True)
class Module:
    """One module of the list.

    Attributes:
        weights: by their names in it.
    """

    weights: Weights

    @property
    def is_residual(self) -> bool:
        """Whether it is a residual block."""
        return "Conv_1.weight" in self.weights

    @property
    def is_attention(self) -> bool:
        """Whether it is an attention layer."""
        return "NIN_3.W" in self.weights

    @property
    def is_resampling(self) -> bool:
        """Whether it is a residual block that halves or doubles: a shortcut with no need of it."""
        inputs, outputs = self.channels
        return "Conv_2.weight" in self.weights and inputs == outputs

    @property
    def channels(self) -> tuple[int, int]:
        """Channels that go in and come out of a residual block."""
        outputs, inputs = self.weights["Conv_0.weight"].shape[:2]
        return inputs, outputs


def modules(weights: Weights) -> list[Module]:
    """The modules of a state dict, in their order."""
    parts: dict[int, dict[str, Tensor]] = {}
    for name, value in weights.items():
        matched = re.fullmatch(r"all_modules\.(\d+)\.(.+)", name)
        if matched:
            parts.setdefault(int(matched[1]), {})[matched[2]] = value
    return [Module(parts[number]) for number in sorted(parts)]


def architecture_of(parts: list[Module], file: str) -> Architecture:
    """The architecture that has these modules.

    Raises:
        ArgumentError: if it is not NCSN++ or DDPM++.
    """
    try:
        return _architecture(parts)
    except (LookupError, ValueError, StopIteration) as error:
        raise not_ours(file, "its modules are in no order that they have") from error


def _architecture(parts: list[Module]) -> Architecture:
    fourier = "W" in parts[0].weights
    first = parts[2 + fourier].weights["weight"]
    width, image_channels = first.shape[:2]
    body = parts[3 + fourier :]
    residual = [each for each in body if each.is_residual]
    levels = sum(each.is_resampling for each in residual) // 2 + 1
    blocks = (len(residual) - 2 - 2 * (levels - 1) - levels) // (2 * levels)
    multipliers, attention = [], []
    steps = iter(enumerate(body))
    for level in range(levels):
        number, part = next((n, each) for n, each in steps if each.is_residual)
        multipliers.append(part.channels[1] // width)
        if body[number + 1].is_attention:
            attention.append(level)
        if level < levels - 1:
            next(each for _, each in steps if each.is_residual and each.is_resampling)
    names = [set(each.weights) for each in body]
    skipped = any(each == {"Conv_0.weight", "Conv_0.bias"} for each in names)
    convolved = any("Conv2d_0.weight" in each for each in names)
    layers = [each.weights["weight"] for each in body if "weight" in each.weights]
    images = sum(each.ndim == 4 and len(each) == image_channels for each in layers)
    return Architecture(
        image_channels, width, tuple(multipliers), blocks, tuple(attention), 0.0, fourier,
        fir=skipped or convolved, residual_input=convolved, skip_input=skipped,
        skip_output=images > 1, from_unit=fourier,
    )  # fmt: skip


def places(network: Any) -> Iterator[nn.Module]:
    """The modules of our network, in the order of the reference's list."""
    if network.architecture.fourier:
        yield network.time_proj
    yield from (network.time_embedding.linear_1, network.time_embedding.linear_2, network.conv_in)
    for level in network.down_blocks:
        for number, block in enumerate(level.resnets):
            yield block
            yield from level.attentions[number : number + 1]
        if level.resnet_down is not None:
            yield level.resnet_down
            yield from _joins(level)
    middle = network.mid_block
    yield from (middle.resnets[0], middle.attentions[0], middle.resnets[1])
    for level in network.up_blocks:
        yield from (*level.resnets, *level.attentions)
        if getattr(level, "skip_conv", None) is not None:
            yield from (level.skip_norm, level.skip_conv)
        if level.resnet_up is not None:
            yield level.resnet_up
    yield from (network.conv_norm_out, network.conv_out)


def _joins(level: Any) -> Iterator[nn.Module]:
    """What brings the image into a level on the way down, where there is such a thing."""
    if getattr(level, "skip_conv", None) is not None:
        yield level.skip_conv
    elif hasattr(level, "halved"):
        yield level.halved.Conv2d_0


def fill(network: nn.Module, parts: list[Module], file: str) -> None:
    """Put the weights of a list of modules into our network.

    Raises:
        ArgumentError: unless all of them have a place, and all places get theirs.
    """
    there = list(places(network))
    if len(there) != len(parts):
        raise not_ours(file, f"it has {len(parts)} modules, and its architecture {len(there)}")
    with torch.no_grad():
        for number, (place, part) in enumerate(zip(there, parts, strict=True)):
            for name, parameter in place.named_parameters():
                value = _value(part, name)
                if value is None or value.shape != parameter.shape:
                    raise not_ours(file, f"all_modules.{number} has no {name} as it should be")
                parameter.copy_(value)


def _value(part: Module, name: str) -> Tensor | None:
    """The weight of a module that goes to a parameter of ours."""
    if name == "weight" and "W" in part.weights:
        return part.weights["W"]
    layer, _, kind = name.rpartition(".")
    theirs = (_ATTENTION if part.is_attention else _RESIDUAL).get(layer)
    if theirs is not None and theirs.startswith("NIN"):
        matrix, bias = part.weights.get(f"{theirs}.W"), part.weights.get(f"{theirs}.b")
        return bias if kind == "bias" or matrix is None else matrix.T
    if theirs is not None:
        return part.weights.get(f"{theirs}.{kind}")
    found = (part.weights.get(f"{prefix}{kind}") for prefix in _OTHERS)
    return next((each for each in found if each is not None), None)


def demand_known(weights: Weights, file: str) -> None:
    """Refuse the other networks of the reference, each with the way in which it is used.

    Raises:
        ArgumentError: for ``ddpm``, ``ncsn`` and ``ncsnv2``, and for a network of elsewhere.
    """
    parts = modules(weights)
    if any(each.is_residual and "NIN_0.W" in each.weights for each in parts):
        raise not_ours(file, "it is of the network ddpm", _DDPM)
    if "begin_conv.weight" in weights:
        raise not_ours(file, "it is of the network ncsn or ncsnv2", _NCSN)
    if not parts:
        raise not_ours(file, f"its weights are {', '.join([*weights][:3])}")


_CODE = "Build it by the code of that repository, load the weights, and "
_DDPM = (
    f"{_CODE}from_module(network, sde, predicts=FromNoise, labels=...): VPSDE() with "
    "TimeLabel(999), or TabulatedSDE(betas=torch.linspace(1e-4, 0.02, 1000)) with LevelLabel()."
)
_NCSN = (
    f"{_CODE}from_module(network, TabulatedSDE(sigmas=sigmas), predicts=FromScore, "
    "labels=LevelLabel()), with the sigmas that it was trained by, the largest first."
)
_ELSEWHERE = "A network of elsewhere is from_module(network, sde, predicts=..., labels=...)."


def not_ours(file: str, why: str, hint: str = _ELSEWHERE) -> ArgumentError:
    """What is said of a checkpoint of another network."""
    wanted = f"a checkpoint of NCSN++ or DDPM++ of score_sde_pytorch, but {why}"
    return ArgumentError("file", file, wanted, hint)
