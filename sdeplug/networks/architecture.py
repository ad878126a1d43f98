"""What an NCSN++ or DDPM++ network is made of."""

from __future__ import annotations

from dataclasses import dataclass

from sdeplug.errors import ArgumentError
from sdeplug.options import Configured, option


@dataclass(frozen=True)
class Architecture(Configured):
    """What an NCSN++ or DDPM++ network is made of; the defaults are DDPM++ for 32x32 images.

    Song et al., arXiv 2011.13456, section 4.1 and appendix H.

    Raises:
        ArgumentError: unless levels with attention exist, and pyramids have FIR resampling.
    """

    image_channels: int = option(3, help="channels of an image", ge=1)
    width: int = option(128, help="channels at the finest level", ge=4)
    multipliers: tuple[int, ...] = option((1, 2, 2, 2), help="width at each level, in widths", ge=1)
    blocks: int = option(4, help="residual blocks at each level", ge=1)
    attention: tuple[int, ...] = option((1,), help="levels with attention, 0 the finest", ge=0)
    dropout: float = option(0.1, help="share of values that training drops", ge=0.0, lt=1.0)
    fourier: bool = option(False, help="random Fourier features of log sigma; output over sigma")
    fir: bool = option(False, help="smooth resampling by (1, 3, 3, 1)")
    residual_input: bool = option(False, help="the image at each level, by convolutions in a row")
    skip_input: bool = option(False, help="the image at each level, by one convolution each")
    skip_output: bool = option(False, help="the output is a sum of images of all levels")
    from_unit: bool = option(False, help="data lie in [0, 1]: the network maps them to [-1, 1]")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.residual_input and self.skip_input:
            raise ArgumentError("skip_input", True, "False with residual_input")
        if (self.residual_input or self.skip_input or self.skip_output) and not self.fir:
            raise ArgumentError("fir", False, "True with images at each level")
        if any(level >= len(self.multipliers) for level in self.attention):
            last = len(self.multipliers) - 1
            raise ArgumentError("attention", self.attention, f"levels from 0 to {last}")
