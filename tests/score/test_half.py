"""Networks in float16 and bfloat16, in all units: coefficients do not overflow."""

from __future__ import annotations

import pytest
import torch
from common import GaussianScore

from sdeplug import EDMSDE, VESDE, VPSDE, FromDenoiser, FromFlow, FromNoise, FromVelocity

PLACES = [
    (EDMSDE(), 0.002), (EDMSDE(), 80.0), (VPSDE(), 0.001), (VPSDE(), 1.0),
    (VESDE(sigma_max=1000.0), 0.0), (VESDE(sigma_max=1000.0), 1.0),
]  # fmt: skip
UNITS = {  # what a network in other units returns, from the score
    FromNoise: lambda now, x, score: -now.sigma * score,
    FromDenoiser: lambda now, x, score: (x + now.sigma**2 * score) / now.alpha,
    FromVelocity: lambda now, x, score: (
        -now.alpha * now.sigma * score - now.sigma * (x + now.sigma**2 * score) / now.alpha
    ),
    FromFlow: lambda now, x, score: now.drift_rate * x - 0.5 * now.diffusion**2 * score,
}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("wrapper", UNITS, ids=lambda wrapper: wrapper.__name__)
@pytest.mark.parametrize(("sde", "t"), PLACES, ids=str)
def test_the_score_is_as_exact_as_the_output_of_the_network(sde, t, wrapper, dtype):
    now, times = sde.at(t), torch.full((9,), t, dtype=torch.float64)
    law = GaussianScore(sde, mean=0.0)
    spread = (now.alpha**2 * law.variance + now.sigma**2) ** 0.5
    x = (spread * torch.linspace(-2.0, 2.0, 9).reshape(-1, 1)).to(dtype)
    exact = law.in_float64(x, times)
    wanted = UNITS[wrapper](now, x.double(), exact)
    if not wanted.abs().max() <= torch.finfo(dtype).max:
        pytest.skip("the output of such a network is no number of this dtype")
    output = wanted.to(dtype)
    found = wrapper(lambda x, t: output, sde)(x, times)
    assert found.dtype == dtype
    # What the rounding of the output makes of the score, by the same formula in float64.
    rounded = wrapper(lambda x, t: output.double(), sde)(x.double(), times)
    assert torch.allclose(found.double(), rounded, rtol=2.0 * torch.finfo(dtype).eps, atol=1e-7)
