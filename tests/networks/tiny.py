"""Networks of other libraries, made small."""

from __future__ import annotations

import pytest


def unet():
    diffusers = pytest.importorskip("diffusers")
    return diffusers.UNet2DModel(
        8, 1, 1, norm_num_groups=4, block_out_channels=(8, 8), layers_per_block=1,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
