"""The physics of deepinv, taken as they are: every method follows them."""

from __future__ import annotations

import pytest
import torch

from sdeplug import VPSDE, LogSNR, OnGrid, ReverseSDE, sample, solver
from sdeplug.compose import Corrected
from sdeplug.conditioning import (
    DPS,
    SMC,
    LocalScore,
    Measurement,
    MomentMatching,
    PiGDM,
    Replacement,
)
from sdeplug.targets import Gaussian

physics = pytest.importorskip("deepinv", exc_type=ImportError).physics
SHAPE = (1, 8, 8)


def made():
    """Their operators: a mask, a blur and a smaller image."""
    mask = (torch.arange(64).reshape(SHAPE) < 32).float()
    taps = torch.tensor([0.25, 0.5, 0.25])
    filter_ = (taps[:, None] * taps)[None, None]
    return {
        "inpainting": physics.Inpainting(img_size=SHAPE, mask=mask),
        "blur": physics.Blur(filter=filter_, padding="circular"),
        "smaller": physics.Downsampling(img_size=SHAPE, factor=2, filter=None),
    }


@pytest.mark.parametrize("name", ["inpainting", "blur", "smaller"])
def test_every_method_draws_samples_that_agree(name):
    sde, data = VPSDE(), Gaussian(torch.zeros(SHAPE, dtype=torch.float64), std=0.5)
    score, operator = data.score(sde), made()[name]
    y = operator.A(0.5 * torch.randn((1, *SHAPE), generator=torch.Generator().manual_seed(0)))
    known, step = Measurement(operator, y, 0.1), solver("song/ancestral")
    exact = Corrected(step, Replacement(Measurement(operator, y)))
    ways = [(score, exact), (score, SMC(known, 0.25))]
    guided = (LocalScore, DPS, PiGDM, MomentMatching)
    for model, by in [*ways, *((way(score, known), step) for way in guided)]:
        x = sample(ReverseSDE(sde, model), (4, *SHAPE), OnGrid(by, LogSNR(60)), seed=1).x
        misfit = (operator.A(x) - y).square().mean().sqrt()
        assert x.shape == (4, *SHAPE)
        assert float(misfit) < 0.2 < float(y.square().mean().sqrt())
