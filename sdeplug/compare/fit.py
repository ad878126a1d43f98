"""Whether data are those of a network, and it is read as it was trained: a look before the run."""

from __future__ import annotations

from itertools import chain

import torch
from torch import Tensor

from sdeplug.errors import brief, warn
from sdeplug.pipeline.readings import Seen, better_reading
from sdeplug.reverse import ReverseSDE
from sdeplug.score import network_of, other_labels, other_predictions

_NEAR, _FAR = 0.6, 1.0  # noise ratios sigma / alpha, in standard deviations of the data
_LEVELS = (0.1, 0.3, 1.0, 5.0)  # such ratios, at which other readings are asked
_BETTER = 1.2  # in loss: of a right network none is better, of a wrong one mostly 2 to 30
_ROWS = 64
_HIGH, _MUCH = 4.0, 4.0  # one that is worse than this in so much noise does not see the noise
_WORSE = 1.5  # 0.2 to 0.9 is a network of these data, 1.4 one hardly trained, 1.6 half their size


def warn_unless_fitting(reverse: ReverseSDE, data: Tensor) -> None:
    """Warn if a network is read wrongly, or much worse at data than their mean and spread.

    What it was told in its training, and what it predicts, is found by asking: another label, or
    another prediction, then has a much smaller loss on the data.  Else it sees data in as much
    noise as they are large, in less, and in much more.  What a network learned is better there than
    a Gaussian whose coordinates are independent, or has other units; in much more it sees the
    noise.

    Args:
        reverse: the reverse SDE of a linear forward SDE, with the network.
        data: shape ``(n, *D)``, of two rows at least.
    """
    variance, mean = torch.var_mean(data, dim=0)
    spread = float(variance.mean().sqrt())
    if not spread > 0.0:
        return
    x = data[:_ROWS]
    sentence = misread(reverse, x, spread) or _unfit(reverse, x, spread, mean, variance)
    if sentence:
        warn(sentence)


def misread(reverse: ReverseSDE, x: Tensor, spread: float) -> str:
    """What is told of a network that is read wrongly, two sentences; "" where it is not.

    Args:
        reverse: the reverse SDE with the network.
        x: data, shape ``(B, *D)``.
        spread: their standard deviation.
    """
    if not spread > 0.0:
        return ""
    model = reverse.score_model
    readings = chain(other_labels(model), other_predictions(model))
    seen = [Seen.at(reverse.linear, x[:_ROWS], each * spread) for each in _LEVELS]
    found = better_reading(reverse, readings, seen, _BETTER)
    if found is None:
        return ""
    reading, gain = found
    return (
        f"{brief(network_of(model), 200)}: its loss on these data is {gain:.2g} times that of "
        f"{reading}. Read it so, if that is how it was trained."
    )


def _unfit(reverse: ReverseSDE, x: Tensor, spread: float, mean: Tensor, variance: Tensor) -> str:
    """What is told of a network that is worse than mean and spread; "" where it is not."""
    near, far, high = (
        _excess(reverse, x, ratio * spread, mean, variance) for ratio in (_NEAR, _FAR, _HIGH)
    )
    worse = high if high > _MUCH else min(near, far)
    if not worse > _WORSE:
        return ""
    return (
        f"the network denoises these data {worse:.2g} times worse, in mean square, than their "
        "mean and spread alone do: are they in its units, and is it told the time as in its "
        "training? diagnose(reverse, data) says more."
    )


@torch.no_grad()
def _excess(reverse: ReverseSDE, x: Tensor, ratio: float, mean: Tensor, variance: Tensor) -> float:
    """Mean square error of the denoised data, over that of the best Gaussian of its kind."""
    seen = Seen.at(reverse.linear, x, ratio)
    at = reverse.linear.at(seen.t)
    gain = at.alpha * variance / (at.alpha**2 * variance + at.sigma**2)
    known = mean + gain * (seen.x - at.alpha * mean)
    own = reverse.denoised(seen.x, seen.t)
    return float((own - x).square().mean() / (known - x).square().mean())
