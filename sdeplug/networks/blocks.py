"""The blocks of NCSN++ and DDPM++, of the parts of diffusers, for its ``UNet2DModel``.

The model hands the image, and later what the output is built of, to blocks that have an attribute
``skip_conv``, whatever it is.

Reference: Song et al., arXiv 2011.13456, appendix H; Karras et al., arXiv 1912.04958.
"""

from __future__ import annotations

import math

import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.downsampling import FirDownsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import FirUpsample2D
from torch import Tensor, nn

from sdeplug.networks.architecture import Architecture

EPS = 1e-6  # of every normalisation


def groups(channels: int) -> int:
    """Number of groups of a normalisation."""
    return min(channels // 4, 32)


class Level(nn.Module):
    """What the two halves of the network have in common at one resolution.

    Args:
        plan: the architecture.
        level: number of the resolution, 0 the finest.
        inputs: channels that each of the residual blocks gets.
        attentions: number of attention layers, where the level has any.
    """

    def __init__(
        self, plan: Architecture, level: int, inputs: tuple[int, ...], attentions: int
    ) -> None:
        super().__init__()
        self.plan = plan
        self.channels = plan.width * plan.multipliers[level]
        self.resnets = nn.ModuleList(self.residual(each) for each in inputs)
        count = attentions if level in plan.attention else 0
        self.attentions = nn.ModuleList(self._attention() for _ in range(count))

    def residual(self, inputs: int, up: bool = False, down: bool = False) -> ResnetBlock2D:
        """A residual block to the channels of this level, of half or twice the resolution."""
        return ResnetBlock2D(
            in_channels=inputs,
            out_channels=self.channels,
            temb_channels=4 * self.plan.width,
            groups=groups(inputs),
            groups_out=groups(self.channels),
            eps=EPS,
            dropout=self.plan.dropout,
            output_scale_factor=math.sqrt(2.0),
            kernel="fir" if self.plan.fir else None,
            use_in_shortcut=up or down or inputs != self.channels,
            up=up,
            down=down,
        )

    def _attention(self) -> Attention:
        return Attention(
            self.channels,
            heads=1,
            dim_head=self.channels,
            rescale_output_factor=math.sqrt(2.0),
            eps=EPS,
            norm_num_groups=groups(self.channels),
            residual_connection=True,
            bias=True,
            upcast_softmax=True,
            _from_deprecated_attn_block=True,
        )


class Down(Level):
    """A level on the way down; ``last`` ones keep the resolution."""

    def __init__(self, plan: Architecture, level: int, inputs: tuple[int, ...]) -> None:
        super().__init__(plan, level, inputs, len(inputs))
        last = level == len(plan.multipliers) - 1
        self.resnet_down = None if last else self.residual(self.channels, down=True)

    def forward(self, hidden_states: Tensor, temb: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The state that goes on, and those that are kept for the way up."""
        kept: list[Tensor] = []
        for number, resnet in enumerate(self.resnets):
            hidden_states = resnet(hidden_states, temb)
            if len(self.attentions):
                hidden_states = self.attentions[number](hidden_states)
            kept.append(hidden_states)
        if self.resnet_down is not None:
            hidden_states = self.resnet_down(hidden_states, temb)
            kept.append(hidden_states)
        return hidden_states, tuple(kept)


class PyramidDown(Down):
    """A level on the way down that also gets the image at its resolution, and adds it."""

    def __init__(self, plan: Architecture, level: int, inputs: tuple[int, ...]) -> None:
        super().__init__(plan, level, inputs)
        self.skip_conv: nn.Module | None = None

    def forward(  # type: ignore[override]
        self, hidden_states: Tensor, temb: Tensor, skip_sample: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...], Tensor]:
        """As a level without, and the image at half the resolution."""
        hidden_states, kept = super().forward(hidden_states, temb)
        if self.resnet_down is not None:
            hidden_states, skip_sample = self.joined(hidden_states, skip_sample)
            kept = (*kept[:-1], hidden_states)
        return hidden_states, kept, skip_sample

    def joined(self, hidden_states: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        """The state with the image in it, and the image, at half the resolution."""
        raise NotImplementedError


class SkipDown(PyramidDown):
    """The image is halved, and added through a convolution of one pixel."""

    def __init__(self, plan: Architecture, level: int, inputs: tuple[int, ...]) -> None:
        super().__init__(plan, level, inputs)
        if self.resnet_down is not None:
            self.halved = FirDownsample2D()
            self.skip_conv = nn.Conv2d(plan.image_channels, self.channels, 1)

    def joined(self, hidden_states: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        """The sum of the state and the convolved image, and the image."""
        image = self.halved(image)
        return self.skip_conv(image) + hidden_states, image  # type: ignore[misc]


class ResidualDown(PyramidDown):
    """The image is halved by a convolution; its sum with the state goes on as both."""

    def __init__(self, plan: Architecture, level: int, inputs: tuple[int, ...]) -> None:
        super().__init__(plan, level, inputs)
        if self.resnet_down is not None:
            image = plan.width * plan.multipliers[level - 1] if level else plan.image_channels
            self.halved = FirDownsample2D(image, self.channels, use_conv=True)

    def joined(self, hidden_states: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        """The sum, twice."""
        both = (self.halved(image) + hidden_states) / math.sqrt(2.0)
        return both, both


class Up(Level):
    """A level on the way up, with one attention layer at its end."""

    def __init__(self, plan: Architecture, level: int, inputs: tuple[int, ...]) -> None:
        super().__init__(plan, level, inputs, 1)
        self.resnet_up = self.residual(self.channels, up=True) if level else None

    def forward(self, hidden_states: Tensor, kept: tuple[Tensor, ...], temb: Tensor) -> Tensor:
        """The state at twice the resolution."""
        hidden_states = self.before(hidden_states, kept, temb)
        return hidden_states if self.resnet_up is None else self.resnet_up(hidden_states, temb)

    def before(self, hidden_states: Tensor, kept: tuple[Tensor, ...], temb: Tensor) -> Tensor:
        """The state at this resolution."""
        for resnet, beside in zip(self.resnets, reversed(kept), strict=True):
            hidden_states = resnet(torch.cat((hidden_states, beside), dim=1), temb)
        return self.attentions[0](hidden_states) if len(self.attentions) else hidden_states


class SkipUp(Up):
    """A level on the way up that adds to an image, which grows with the resolution."""

    def __init__(self, plan: Architecture, level: int, inputs: tuple[int, ...]) -> None:
        super().__init__(plan, level, inputs)
        self.doubled = FirUpsample2D()
        self.skip_norm, self.skip_conv = None, None
        if level:  # at the finest the model has these two
            self.skip_norm = nn.GroupNorm(groups(self.channels), self.channels, eps=EPS)
            self.skip_conv = nn.Conv2d(self.channels, plan.image_channels, 3, padding=1)

    def forward(  # type: ignore[override]
        self, hidden_states: Tensor, kept: tuple[Tensor, ...], temb: Tensor, image: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """The state at twice the resolution, and the image at this one."""
        hidden_states = self.before(hidden_states, kept, temb)
        image = None if image is None else self.doubled(image)
        if self.skip_conv is None or self.skip_norm is None or self.resnet_up is None:
            return hidden_states, image
        more = self.skip_conv(nn.functional.silu(self.skip_norm(hidden_states)))
        return self.resnet_up(hidden_states, temb), more if image is None else image + more
