"""The features whose means a weak error is of, and in words which of them is off by how much."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

MARK = 0.3
"""Where the last feature tells what is above from what is below."""

_EDGE = 0.1  # width of that
_NAMES = ("x", "x^2", "x^3", "cos 2x", "cos 5x", "the indicator")
_TOLD = (5, 1, 0)  # features that have plainer words; a weight moves the mean as well
_ALIKE, _PLAIN = 0.9, 0.5


def features(x: Tensor) -> Tensor:
    """x, x^2, x^3, cos 2x, cos 5x and a smoothed indicator of x > 0.3: shape ``(P,)`` to
    ``(P, 6)``."""
    above = torch.special.ndtr((x - MARK) / _EDGE)
    return torch.stack((x, x**2, x**3, (2.0 * x).cos(), (5.0 * x).cos(), above), dim=1)


@dataclass(frozen=True)
class Bias:
    """How far the means of the features are off.

    Attributes:
        off: mean after the steps less the right one, shape ``(6,)``.
        mean: the right means.
        spread: standard deviations of the features under the right law.
    """

    off: Tensor
    mean: Tensor
    spread: Tensor

    @property
    def size(self) -> float:
        """Root mean square, in units of the standard deviations."""
        return float((self.off / self.spread).square().mean().sqrt())

    def largest(self) -> str:
        """The largest in those units, in words: a weight, standard deviation or mean, if one of
        them is half as large as any."""
        off = self.off.clone()
        off[1] -= 2.0 * self.mean[0] * self.off[0]  # of the variance, and no more of the square
        units = off / self.spread
        if not bool(units.isfinite().all()):
            return "the law is not finite"
        sizes = units.abs().tolist()
        plain = max(sizes[each] for each in _TOLD)
        told = next(each for each in _TOLD if sizes[each] >= _ALIKE * plain)
        if plain < _PLAIN * max(sizes):
            told = sizes.index(max(sizes))
        per_cent = f"{100.0 * abs(float(units[told])):.3g} %"
        return {
            0: f"the mean is off by {per_cent} of a standard deviation",
            1: f"the standard deviation is {_too(0.5 * off[1] / self.spread[0] ** 2)}",
            5: f"the weight of what is above {MARK:g} is {_too(off[5] / self.mean[5])}",
        }.get(told, f"the mean of {_NAMES[told]} is off by {per_cent} of its standard deviation")


def _too(part: Tensor) -> str:
    size = 100.0 * float(part)
    return f"{abs(size):.3g} % too {'large' if size > 0.0 else 'small'}"
