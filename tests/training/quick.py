"""A quick training."""

from __future__ import annotations

import pytest
import torch

from sdeplug import VPSDE
from sdeplug.training import DenoisingLoss, Trainer, WarmUp

pytest.importorskip("accelerate")
LOSS = DenoisingLoss(VPSDE())
DATA = 0.5 * torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
CLASSES = torch.arange(50) % 3
QUICK = Trainer(LOSS, ema=(0.9,), batch=16, rate=WarmUp(3))


class Watch:
    def __init__(self):
        self.moments, self.over = [], 0

    def __call__(self, moment):
        self.moments.append(moment)
        assert not moment.network.training

    def ended(self):
        self.over += 1
