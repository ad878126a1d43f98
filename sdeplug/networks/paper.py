"""The networks of the paper, through diffusers: NCSN++ and DDPM++.

Song et al., arXiv 2011.13456, section 4.1 and appendix H.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdeplug.errors import MissingExtraError
from sdeplug.networks.architecture import Architecture

if TYPE_CHECKING:
    from sdeplug.networks.unet import ScoreUNet

DDPMPP = Architecture()
"""DDPM++ of the paper for 32x32 images, with data in [-1, 1]: it predicts the noise from 999 t."""

NCSNPP = Architecture(fourier=True, fir=True, residual_input=True, from_unit=True)
"""NCSN++ of the paper for 32x32 images, with data in [0, 1]: it predicts the score from sigma."""

NCSNPP_256 = Architecture(
    multipliers=(1, 1, 2, 2, 2, 2, 2), blocks=2, attention=(4,), dropout=0.0, fourier=True,
    fir=True, skip_input=True, skip_output=True, from_unit=True,
)  # fmt: skip
"""NCSN++ of the paper for 256x256 images."""

NCSNPP_1024 = Architecture(
    width=16, multipliers=(1, 2, 4, 8, 16, 32, 32, 32), blocks=1, attention=(6,), dropout=0.0,
    fourier=True, fir=True, skip_input=True, skip_output=True, from_unit=True,
)  # fmt: skip
"""NCSN++ of the paper for 1024x1024 images."""


def ncsnpp(architecture: Architecture = NCSNPP) -> ScoreUNet:
    """NCSN++: a network of (x, sigma) that predicts the score; its output is divided by sigma.

    As a score model: ``FromScore(Labelled(ncsnpp(), sde, SigmaLabel()), sde)``, with a VESDE.

    Args:
        architecture: the one for 32x32 images, ``NCSNPP_256``, ``NCSNPP_1024``, or one of these
            with fields of your own, ``replace(NCSNPP, blocks=8)`` for the paper's deep one.

    Raises:
        MissingExtraError: without diffusers, the extra ``networks``.
    """
    return built(architecture)


def ddpmpp(architecture: Architecture = DDPMPP) -> ScoreUNet:
    """DDPM++: a network of (x, 999 t) that predicts the noise.

    As a score model: ``FromNoise(Labelled(ddpmpp(), sde, TimeLabel(999)), sde)``, with a VPSDE or
    SubVPSDE.

    Args:
        architecture: the one for 32x32 images, or one with fields of your own,
            ``replace(DDPMPP, blocks=8)`` for the paper's deep one.

    Raises:
        MissingExtraError: without diffusers, the extra ``networks``.
    """
    return built(architecture)


def built(architecture: Architecture) -> ScoreUNet:
    """The network of an architecture, with weights as the paper's begin.

    Raises:
        MissingExtraError: without diffusers, the extra ``networks``.
    """
    try:
        from sdeplug.networks.unet import ScoreUNet
    except ImportError as error:
        raise MissingExtraError("a network of the paper", "diffusers", "networks") from error
    return ScoreUNet(architecture)
