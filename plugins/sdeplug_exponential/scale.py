r"""How large the data are: found by asking the score model once.

Where the noise is larger than the data, the denoiser is nearly linear in it,

.. math:: E[x_0 \mid x_t] \approx m + \frac{s^2}{s^2 + q^2} (y - m), \qquad y = x_t / \alpha,

with mean m and variance s^2 of the data and q = sigma / alpha.  So its slope against noise alone
tells s, and what is left at no noise is m.  Far above the data the slope is less than the mistakes
of a network; near them noise alone is not what the network was trained for.  Each row of one
batch therefore asks at a noise ratio of its own, and those from 2 s on are believed.  A network
that has hardly been trained leaves some of every noise: its slopes do not fall to nothing, and what
they stay at is taken off.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, exp, log, sqrt

import torch
from torch import Tensor

from sdeplug import LinearSDE, PerSampleNoise, ReverseSDE

_FEW = 64  # numbers in a batch from which nothing is concluded
_ROWS, _NUMBERS = 32, 8192  # that are looked at: no more, so that the batch does not matter
_LARGEST, _SPAN = 150.0, 500.0  # noise ratio that a network is asked at, and by how much it falls
_NEAR, _FAR = 2.0, 16.0  # noise ratios that are believed, in standard deviations
_FINE = 8  # candidates in a factor of 2
_FALLING = 1.0 / 3.0  # of the slopes near the data that those far from them are at most; right: 1/7
_USELESS = 0.25  # of all noise, left by a network that tells nothing of the data
_RISING = 2.0  # slopes just below the size of the data over those above, at least; right: 4


@dataclass(frozen=True)
class Scale:
    """Standard deviation and mean of the data, and who says so.

    Attributes:
        std: the standard deviation of a number of the data.
        origin: where it comes from, a phrase.
        evaluations: of the score model that were spent to find it.
        mean: the mean, of the shape of a sample; None: unknown.
    """

    std: float
    origin: str
    evaluations: int = 0
    mean: Tensor | None = field(default=None, repr=False, compare=False)


def found_scale(reverse: ReverseSDE, like: Tensor, t: float, s: float) -> Scale:
    """Mean and standard deviation of the data, by one evaluation of the score model.

    It asks about noise of its own, the same in every run, and looks at 32 rows and 8192 numbers
    at least where there are so many: then the answer does not depend on the batch.

    Args:
        reverse: a reverse SDE that is linear.
        like: a state, shape ``(B, *D)``; only its shape, dtype and device are used.
        t: the latest time that may be asked about.
        s: the earliest.
    """
    size = like[0].numel()
    if len(like) * size < _FEW:
        return Scale(1.0, f"assumed, since {len(like)} x {size} numbers are too few to tell")
    rows = min(len(like), max(_ROWS, ceil(_NUMBERS / size)))
    ratios = _ladder(reverse.linear, rows, t, s)
    noise, data = _asked(reverse, like, ratios, (s, t))
    slopes = (data * noise).flatten(1).double().sum(1) / noise.flatten(1).double().square().sum(1)
    std = _deviation(ratios, slopes.cpu() / ratios)
    if std is None:
        return Scale(1.0, "assumed, since the score model makes as little of all noise", 1)
    mean = _mean(ratios, noise, data, std)
    return Scale(std, "found by one evaluation of the score model", 1, mean)


def noise_ratio(sde: LinearSDE, t: float) -> float:
    """sigma / alpha at a time."""
    return exp(-0.5 * sde.at(t).log_snr)


def _ladder(sde: LinearSDE, rows: int, t: float, s: float) -> Tensor:
    """Noise ratios, float64, shape ``(rows,)``: two rows each, evenly spread for any number."""
    top = min(noise_ratio(sde, t), _LARGEST)
    high, low = 0.5 * top, max(noise_ratio(sde, s), 0.5 * top / _SPAN)
    places = [_reversed(1 + row // 2) for row in range(rows)]
    return low * (high / low) ** torch.tensor(places, dtype=torch.float64, device="cpu")


def _reversed(number: int) -> float:
    """A number with its binary digits behind the point, in reverse: 1/2, 1/4, 3/4, 1/8, ..."""
    digits = f"{number:b}"
    return float(int(digits[::-1], 2) * 0.5 ** len(digits))


def _asked(
    reverse: ReverseSDE, like: Tensor, ratios: Tensor, span: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Noise, and the data that the model sees in it, of as many rows as there are ratios.

    The model may hold something for each row: it gets a batch of the size that it knows.
    """
    sde, rows = reverse.linear, len(ratios)
    half = (rows + 1) // 2
    one = PerSampleNoise(0, range(half)).normal(like[:half])
    # Both signs of each noise: in their mean nothing is left but the mean of the data.
    noise = torch.stack((one, -one), dim=1).flatten(0, 1)[:rows]
    times = sde.time_at(-2.0 * ratios.log()).clamp(*span)
    repeated = torch.arange(len(like), dtype=torch.int64, device=like.device) % rows
    with torch.no_grad():
        x = (noise * _down(sde.sigma(times), noise))[repeated]
        score = reverse.score(x, times.to(like.device)[repeated])[:rows]
        data = x[:rows] + score * _down(sde.sigma(times).square(), noise)
        return noise, data / _down(sde.alpha(times), noise)


def _deviation(ratios: Tensor, slopes: Tensor) -> float | None:
    """The largest standard deviation that the slopes speak for; None where they do not fall.

    With noise far above it they have to fall; where there is none, to have fallen so far.
    """
    high, low = (log(float(each)) for each in (ratios.max() / _NEAR, ratios.min() / _FAR))
    count = 1 + ceil((high - low) / log(2.0) * _FINE)
    std = torch.linspace(high, low, count, dtype=torch.float64, device="cpu").exp()[:, None]
    believed, right = _believed(ratios, std), 1.0 / (1.0 + (ratios / std).square())
    expected = (believed * right).sum(1)
    far = ratios > sqrt(_NEAR * _FAR) * std
    staying = _staying(slopes, right, believed, far)
    seen = (believed * slopes).sum(1) - believed.sum(1) * staying
    below = (ratios < std) & (ratios > std / 4.0)
    rising = _mean_of(slopes, below) >= _RISING * _mean_of(slopes, believed)
    told = (believed & far).any(1) | rising
    enough = (believed.any(1) & told & (seen >= expected)).nonzero()
    first = int(enough[0]) if len(enough) else -1
    if staying[first] > _USELESS:
        return None
    if not len(enough):
        return float(std[-1])
    # The slopes go with the variance: what is seen too much there is the rest of it.
    return float(std[first]) * (sqrt(float(seen[first] / expected[first])) if first else 1.0)


def _staying(slopes: Tensor, right: Tensor, believed: Tensor, far: Tensor) -> Tensor:
    """What the slopes do not fall below, for each candidate; 0 where they fall as they should.

    Candidates so small that no noise is near them have what the one above has.
    """
    near, beyond = believed & ~far, believed & far
    left = _mean_of(slopes, beyond)
    stays = beyond.any(1) & near.any(1) & (left > _FALLING * _mean_of(slopes, near))
    staying = torch.where(stays, (left - _mean_of(right, beyond)).clamp(min=0.0), 0.0)
    last = int(near.any(1).nonzero().max())
    staying[last + 1 :] = staying[last]
    return staying


def _mean_of(values: Tensor, rows: Tensor) -> Tensor:
    return (values * rows).sum(1) / rows.sum(1).clamp(min=1)


def _mean(ratios: Tensor, noise: Tensor, data: Tensor, std: float) -> Tensor | None:
    """What the data are at no noise; None where nobody can tell."""
    rows = _believed(ratios, torch.tensor(std, dtype=torch.float64, device="cpu"))
    if not bool(rows.any()):
        return None
    slope = 1.0 / (1.0 + (ratios[rows] / std).square())
    of_noise, rest = (_down(each, data) for each in (slope * ratios[rows], 1.0 - slope))
    rows = rows.to(data.device)
    mean = ((data[rows] - of_noise * noise[rows]) / rest).mean(0)
    return mean if bool(mean.isfinite().all()) else None


def _believed(ratios: Tensor, std: Tensor) -> Tensor:
    return (ratios >= _NEAR * std * (1.0 - 1e-9)) & (ratios <= _FAR * std * (1.0 + 1e-9))


def _down(values: Tensor, like: Tensor) -> Tensor:
    """One value for each row, to be multiplied with it."""
    return values.to(like).reshape(-1, *(1 for _ in like.shape[1:]))
