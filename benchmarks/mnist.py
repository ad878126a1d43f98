"""A network of a third party on MNIST, real digits, and the features of a classifier.

What benchmarks of networks share.  The folder that they are given has, as published,
mnist/t10k-images-idx3-ubyte.gz; networks/vp-mnist.pth, a noise-prediction network of 293,000
parameters with 1,000 levels, for images in [-1/2, 1/2]; networks/digit-classifier.pth, three
convolutions with pooling, then 256 features.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor, nn

from sdeplug import FromNoise, LevelLabel, TabulatedSDE, networks
from sdeplug.metrics import frechet as frechet
from sdeplug.metrics import moments as moments
from sdeplug.networks import Model

MEAN, SPREAD = -0.37, 0.31
"""Mean and standard deviation of a pixel of the data."""


class Network(nn.Module):
    """Four blocks of convolution, layer norm and GELU; what it is told is added after the first."""

    def __init__(self) -> None:
        super().__init__()
        widths = (1, 16, 32, 32, 16)
        self.blocks = nn.ModuleList(map(_block, widths, widths[1:]))
        self.blocks.append(nn.Conv2d(16, 1, 3, padding=1))
        layers = [(32, 128), (128, 128), (128, 128), (128, 16)]
        parts = [part for a, b in layers for part in (nn.Linear(a, b), nn.GELU())]
        self.time_embed = nn.Sequential(*parts[:-1])
        self.register_buffer("frequencies", torch.zeros(16))

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """The noise in x of shape (B, 1, 28, 28), told levels of shape (B,)."""
        angle = level[:, None] / 1000 * self.frequencies
        waves = torch.cat((angle.sin(), angle.cos() - 1), dim=1)
        x = self.blocks[0]["net"](x) + self.time_embed(waves)[:, :, None, None]
        for block in self.blocks[1:4]:
            x = block["net"](x)
        return self.blocks[4](x)


def _block(before: int, after: int) -> nn.Module:
    net = nn.Sequential(
        nn.Conv2d(before, after, 7, padding=3), nn.LayerNorm((after, 28, 28)), nn.GELU()
    )
    return nn.ModuleDict({"net": net})


@dataclass(frozen=True)
class Features:
    """The 256 features of a classifier of digits, float32.

    Attributes:
        layers: images in [0, 1] less .1307, over .3081, to features.
    """

    layers: nn.Sequential

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """Images in [-1/2, 1/2], shape (B, 1, 28, 28), to features of shape (B, 256)."""
        seen = shades(x.clamp(-0.5, 0.5))
        return torch.cat([self.layers(part.float()) for part in seen.split(500)])


def shades(images: Tensor) -> Tensor:
    """Images in [-1/2, 1/2] as the classifier was trained on them."""
    return (images + 0.5 - 0.1307) / 0.3081


def network(folder: Path, device: str = "cpu") -> Model:
    """The network with its SDE and score."""
    content = torch.load(folder / "networks" / "vp-mnist.pth", weights_only=True)
    weights = {k.removeprefix("gt."): v for k, v in content.items() if k.startswith("gt.")}
    module = Network()
    module.load_state_dict(weights)
    sde = TabulatedSDE(betas=content["beta_t"])
    return networks.from_module(
        module.to(device).eval(), sde, predicts=FromNoise, labels=LevelLabel()
    )


def features(folder: Path, device: str = "cpu") -> Features:
    """The classifier up to its features."""
    weights = torch.load(folder / "networks" / "digit-classifier.pth", weights_only=True)
    layers: list[nn.Module] = []
    for before, after in ((1, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    layers += [nn.Flatten(), nn.Linear(1152, 256), nn.ReLU()]
    names = {"conv_layers.0": 0, "conv_layers.3": 3, "conv_layers.6": 6, "fc_layers.0": 10}
    sequence = nn.Sequential(*layers).eval().requires_grad_(False)
    for name, place in names.items():
        for part in ("weight", "bias"):
            sequence[place].get_parameter(part).data.copy_(weights[f"{name}.{part}"])
    return Features(sequence.to(device))


def save_grey(figure: Figure, path: Path, dpi: int) -> None:
    """Write a figure of digits as a small file of 32 shades."""
    pixels = BytesIO()
    figure.savefig(pixels, dpi=dpi, bbox_inches="tight")
    Image.open(pixels).convert("L").quantize(32).save(path, optimize=True)


def digits(folder: Path) -> tuple[Tensor, Tensor]:
    """The last 9,000 images to know the data by and the first 1,000, in [-1/2, 1/2].

    Shape (n, 1, 28, 28).  Of the first 500 the Fréchet distance to the others is 41.
    """
    content = (folder / "mnist" / "t10k-images-idx3-ubyte.gz").read_bytes()
    pixels = np.frombuffer(gzip.decompress(content), np.uint8, offset=16)
    images = torch.tensor(pixels.reshape(-1, 1, 28, 28) / 255.0 - 0.5, dtype=torch.float32)
    return images[1000:], images[:1000]
