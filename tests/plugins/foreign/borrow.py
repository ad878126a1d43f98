"""Samplers of other libraries, built where these are installed."""

from __future__ import annotations

import pytest

from sdeplug import Run, Silence
from sdeplug_foreign import AzulaSampler, DiffusersSampler, KDiffusionSampler

# What diffusers 0.42 does with its own tables under NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")
CLASSES = {"diffusers": DiffusersSampler, "k-diffusion": KDiffusionSampler, "azula": AzulaSampler}
MODULES = {"diffusers": "diffusers", "k-diffusion": "k_diffusion", "azula": "azula"}
QUIET = Run(Silence())
