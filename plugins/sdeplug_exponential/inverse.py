"""Times at which the log-SNR has given values, inside a step: few calls of the schedule."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sdeplug import LinearSDE

_CELLS, _PASSES = 64, 4  # then a straight line in the last cell, 1e-7 of the step wide


def times_between(
    sde: LinearSDE, span: tuple[float, float], places: Sequence[float]
) -> list[float]:
    """Times in a step at which log(alpha / sigma) has given values; clamped to its ends.

    ``sde.time_at`` says the same for the whole of time, by bisection, at five times the cost.

    Args:
        sde: the forward SDE; log(alpha / sigma) is finite in the span.
        span: upper and lower end.
        places: values of log(alpha / sigma).
    """
    t, s = span
    wanted = torch.tensor(places, dtype=torch.float64, device="cpu")[:, None]
    low, high = torch.full_like(wanted, s), torch.full_like(wanted, t)
    parts = torch.linspace(0.0, 1.0, _CELLS + 1, dtype=torch.float64, device="cpu")
    share = torch.zeros_like(wanted)
    for _ in range(_PASSES):
        grid = low + parts * (high - low)
        values = 0.5 * sde.log_snr(grid)
        index = (values > wanted).sum(1, keepdim=True).clamp(1, _CELLS)
        low, high = grid.gather(1, index - 1), grid.gather(1, index)
        above, below = values.gather(1, index - 1), values.gather(1, index)
        gap = (above - below).clamp(min=torch.finfo(torch.float64).tiny)
        share = ((above - wanted) / gap).clamp(0.0, 1.0)
    found = (low + share * (high - low)).clamp(s, t)
    return [float(each) for each in found]
