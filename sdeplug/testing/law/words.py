"""What samples are off by, in words: the difference from p_t that is most standard errors large."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from sdeplug.testing.law.battery import Whitened

Difference = tuple[float, str]
"""How many standard errors it is large, and what it is."""


def farthest(white: Whitened) -> str:
    """The largest difference in standard errors: of which weight, mean, spread or pair of rows.

    Standard errors are those of a normal law.  Sizes are in standard deviations of the modes.

    Args:
        white: samples in units of the modes of p_t.
    """
    found = [*_weights(white), *_means(white), *_spreads(white), *_pairs(white)]
    errors, words = max(found, key=lambda each: each[0])
    return f"{words} ({errors:.0f} standard errors)"


def _weights(white: Whitened) -> Iterator[Difference]:
    count = len(white.y)
    shares = torch.bincount(white.labels, minlength=len(white.weights)).double() / count
    pairs = zip(shares.tolist(), white.weights.tolist(), strict=True)
    for mode, (seen, weight) in enumerate(pairs):
        if weight < 1.0:
            errors = abs(seen - weight) / math.sqrt(weight * (1.0 - weight) / count)
            yield errors, f"the weight of mode {mode} is {seen:.3g}, not {weight:.3g}"


def _means(white: Whitened) -> Iterator[Difference]:
    """Lengths of mean vectors, beyond what the many dimensions make of them."""
    for whose, y in _groups(white):
        mean = y.mean(0)
        size = float(mean.norm())
        yield (
            math.sqrt(len(y)) * size - math.sqrt(y.shape[1]),
            f"the mean of {whose} is off by {size:.2g} standard deviations, most of it along "
            f"coordinate {int(mean.abs().argmax())}",
        )


def _spreads(white: Whitened) -> Iterator[Difference]:
    """Variances in all directions together, and in each coordinate."""
    for whose, y in _groups(white):
        variances = y.square().mean(0)
        yield _spread(f"of {whose}", float(variances.mean()), y.numel())
        for number, variance in enumerate(variances.tolist()):
            yield _spread(f"of {whose} along coordinate {number}", variance, len(y))


def _spread(whose: str, variance: float, count: int) -> Difference:
    size = 100.0 * (math.sqrt(variance) - 1.0)
    words = f"{abs(size):.2g} % too {'large' if size > 0.0 else 'small'}"
    return (
        abs(variance - 1.0) * math.sqrt(0.5 * count),
        f"the standard deviation {whose} is {words}",
    )


def _pairs(white: Whitened) -> Iterator[Difference]:
    """Correlations of rows that should be independent."""
    half = len(white.y) // 2
    for which, one, other in (
        ("neighbouring rows", white.y[:-1], white.y[1:]),
        ("rows half the batch apart", white.y[:half], white.y[half : 2 * half]),
    ):
        seen = float((one * other).mean())
        yield abs(seen) * math.sqrt(one.numel()), f"{which} are correlated by {seen:.2g}"


def _groups(white: Whitened) -> Iterator[tuple[str, Tensor]]:
    """All rows together, and those of each mode."""
    yield "all modes", white.y
    if len(white.weights) > 1:
        for mode in range(len(white.weights)):
            rows = white.y[white.labels == mode]
            if len(rows) > 1:
                yield f"mode {mode}", rows
