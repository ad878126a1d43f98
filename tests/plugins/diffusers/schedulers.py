"""The schedulers of Song et al. and those of diffusers."""

from __future__ import annotations

import pytest
import torch

from sdeplug_diffusers import (
    ScoreSdeSubVpScheduler,
    ScoreSdeVeScheduler,
    ScoreSdeVpScheduler,
)

pytest.importorskip("diffusers")
OURS = [ScoreSdeVeScheduler, ScoreSdeVpScheduler, ScoreSdeSubVpScheduler]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def pair(shape, seed=0, dtype=torch.float32):
    return tuple(torch.randn(2, *shape, generator=seeded(seed)).to(dtype))


def generators(kind, rows):
    return [seeded(each) for each in range(rows)] if kind else seeded()
