"""NCSN++ and DDPM++ as a ``UNet2DModel`` of diffusers with the blocks of the paper."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import torch
from diffusers.models.unets.unet_2d import UNet2DModel
from diffusers.models.unets.unet_2d_blocks import UNetMidBlock2D
from torch import Tensor, nn

from sdeplug.networks.architecture import Architecture
from sdeplug.networks.blocks import EPS, Down, ResidualDown, SkipDown, SkipUp, Up, groups

_TINY = 1e-10  # "zero" of the reference, where layers begin as almost nothing


class ScoreUNet(UNet2DModel):  # type: ignore[misc]
    """NCSN++ or DDPM++: a callable (x, label) -> ``(B, C, H, W)``.

    Args:
        architecture: what it is made of.
    """

    def __init__(self, architecture: Architecture) -> None:
        plan = architecture
        super().__init__(
            in_channels=plan.image_channels,
            out_channels=plan.image_channels,
            center_input_sample=plan.from_unit,
            time_embedding_type="fourier" if plan.fourier else "positional",
            freq_shift=1,
            flip_sin_to_cos=False,
            down_block_types=("SkipDownBlock2D",),  # like all blocks, to be replaced
            up_block_types=("SkipUpBlock2D",),
            block_out_channels=(plan.width,),
            layers_per_block=1,
            attention_head_dim=None,
            norm_num_groups=None,
            norm_eps=EPS,
        )
        self.architecture = plan
        self.down_blocks, self.up_blocks = _levels(plan)
        self.mid_block = _middle(plan)
        self.apply(_initialised)
        for each in _last_layers(self):
            _spread(each.weight, _TINY)

    @property
    def settings(self) -> dict[str, Any]:
        """The architecture, as plain data."""
        return asdict(self.architecture)

    def forward(self, x: Tensor, label: Tensor, class_labels: Tensor | None = None) -> Tensor:
        """What the network predicts: x of shape ``(B, C, H, W)``, label of shape ``(B,)``."""
        output: Tensor = super().forward(x, label, class_labels, return_dict=False)[0]
        return output


def _levels(plan: Architecture) -> tuple[nn.ModuleList, nn.ModuleList]:
    """The way down and the way up: what one leaves is what the other takes."""
    down_kind = SkipDown if plan.skip_input else ResidualDown if plan.residual_input else Down
    up_kind = SkipUp if plan.skip_output else Up
    widths = [plan.width * each for each in plan.multipliers]
    down, kept = nn.ModuleList(), [plan.width]
    for level, width in enumerate(widths):
        inputs = (kept[-1], *(width,) * (plan.blocks - 1))
        down.append(down_kind(plan, level, inputs))
        kept += [width] * (plan.blocks + (level < len(widths) - 1))
    up, channels = nn.ModuleList(), widths[-1]
    for level, width in reversed(list(enumerate(widths))):
        states = (channels, *(width,) * plan.blocks)
        up.append(up_kind(plan, level, tuple(each + kept.pop() for each in states)))
        channels = width
    return down, up


def _middle(plan: Architecture) -> Any:
    channels = plan.width * plan.multipliers[-1]
    return UNetMidBlock2D(
        in_channels=channels,
        temb_channels=4 * plan.width,
        dropout=plan.dropout,
        resnet_eps=EPS,
        resnet_groups=groups(channels),
        attention_head_dim=channels,
        output_scale_factor=math.sqrt(2.0),
    )


def _initialised(module: nn.Module) -> None:
    """Weights as the reference draws them: uniform, of variance 1 / mean of fan in and fan out."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        _spread(module.weight, 1.0)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    for name in ("to_q", "to_k", "to_v"):
        if hasattr(module, name):
            _spread(getattr(module, name).weight, 0.1)


def _spread(weight: Any, scale: float) -> None:
    inside, outside = nn.init._calculate_fan_in_and_fan_out(weight)
    bound = math.sqrt(3.0 * scale / (0.5 * (inside + outside)))
    with torch.no_grad():
        weight.uniform_(-bound, bound)


def _last_layers(model: nn.Module) -> list[nn.Module]:
    """The layers that begin as almost nothing: the last of each residual, and of the output."""
    found = []
    for name, module in model.named_modules():
        ends = name.endswith((".conv2", ".to_out.0")) or name == "conv_out"
        if ends or (name.startswith("up_blocks") and name.endswith(".skip_conv")):
            found.append(module)
    return found
