"""Whether data are those of a network: a look before the run, by two evaluations of a few rows."""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor

from sdeplug.noise import SharedNoise
from sdeplug.reverse import ReverseSDE

_NEAR, _FAR = 0.6, 1.0  # noise ratios sigma / alpha, in standard deviations of the data
_ROWS = 64
_WORSE = 1.5  # 0.2 to 0.9 is a network of these data, 1.4 one hardly trained, 1.6 half their size


def warn_unless_fitting(reverse: ReverseSDE, data: Tensor) -> None:
    """Warn if a network is much worse at data than the mean and the spread of each coordinate.

    It sees data in as much noise as they are large, and in less.  What a network learned is better
    there than a Gaussian whose coordinates are independent, or has other units.

    Args:
        reverse: the reverse SDE of a linear forward SDE, with the network.
        data: shape ``(n, *D)``, of two rows at least.
    """
    variance, mean = torch.var_mean(data, dim=0)
    spread = float(variance.mean().sqrt())
    if not spread > 0.0:
        return
    x = data[:_ROWS]
    worse = min(_excess(reverse, x, ratio * spread, mean, variance) for ratio in (_NEAR, _FAR))
    if worse > _WORSE:
        warnings.warn(
            f"the network denoises these data {worse:.2g} times worse, in mean square, than their "
            "mean and spread alone do: are they in its units, and is it told the time as in its "
            "training? diagnose(reverse, data) says more.",
            stacklevel=3,
        )


@torch.no_grad()
def _excess(reverse: ReverseSDE, x: Tensor, ratio: float, mean: Tensor, variance: Tensor) -> float:
    """Mean square error of the denoised data, over that of the best Gaussian of its kind."""
    sde = reverse.linear
    wanted = torch.tensor(-2.0 * math.log(ratio), dtype=torch.float64, device="cpu")
    t = min(max(float(sde.time_at(wanted)), sde.eps), sde.T)
    at = sde.at(t)
    noise = SharedNoise(0).normal(x)
    seen = at.alpha * x + at.sigma * noise
    gain = at.alpha * variance / (at.alpha**2 * variance + at.sigma**2)
    known = mean + gain * (seen - at.alpha * mean)
    own, other = ((each - x).square().mean() for each in (reverse.denoised(seen, t), known))
    return float(own / other)
