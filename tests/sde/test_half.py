"""Forward SDEs and states of half precision: computed in float32, rounded once."""

from __future__ import annotations

import pytest
import torch
from common import SDES

from sdeplug import VESDE, SharedNoise

HALVES = [torch.float16, torch.bfloat16]
LOUD = VESDE(sigma_max=1000.0)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("sde", [*SDES, LOUD], ids=repr)
def test_perturbed_data_are_rounded_once(sde, dtype):
    x0, t = torch.full((64, 4), 0.3, dtype=dtype), torch.linspace(sde.eps, sde.T, 64)
    found = sde.perturb(x0, t, SharedNoise(0))
    wide = sde.perturb(x0.float(), t, SharedNoise(0))
    assert torch.equal(found, wide.to(dtype))


@pytest.mark.parametrize("dtype", HALVES)
def test_the_log_density_of_the_prior_is_in_float32(dtype):
    x = LOUD.prior((2, 70_000), SharedNoise(0), dtype)
    found = LOUD.prior_log_prob(x)
    assert found.dtype == torch.float32
    assert torch.allclose(found.double(), LOUD.prior_log_prob(x.double()), rtol=1e-5)
