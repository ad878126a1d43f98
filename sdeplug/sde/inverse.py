"""The inverse of a falling function of time: a table, Newton steps in its cells, and a proof."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

Function = Callable[[Tensor], Tensor]

_DEPTH = 64  # halvings: towards an end in the table, and of a cell that Newton's method fails in
_NEWTON = 6
_CLOSE = 2.0**-28  # relative; a last step so short leaves an error of about its square
_BESIDE = 2.0**-38  # relative; where signs are looked at to prove an answer
_ROUNDING = 2.0**-50  # relative, of a value


def tabulated(function: Function, end: float) -> Tensor:
    """The table that a falling function on [0, end] is inverted from: its values at the nodes."""
    values = function(end * _nodes()).detach()
    return torch.where(values.isnan(), -torch.inf, values).cummin(0).values


def falling_inverse(
    function: Function, slope: Function, wanted: Tensor, end: float, table: Tensor
) -> Tensor:
    """Where on [0, end] a falling function has the given values; clamped to the ends.

    Any falling function will do, with poles at the ends or kinks between them, and a slope that
    is wrong costs time alone: where Newton's method does not settle, or the wanted value is not
    between those on either side of its answer, the cell is halved 64 times.

    Args:
        function: from times to values, elementwise, float64.
        slope: its derivative, likewise.
        wanted: values, float64, any shape.
        end: upper end of time.
        table: what :func:`tabulated` makes of function and end.

    Returns:
        Times, of the shape of ``wanted``.
    """
    if not wanted.numel():
        return wanted.clone()
    low, high, t = _cells(table.to(wanted.device), wanted, end)
    proven = low == high
    for _ in range(_NEWTON):
        before, step = t, (function(t) - wanted) / slope(t)
        t = torch.where(proven, low, (t - step).clamp(low, high))
        close = (t - before).abs() <= _CLOSE * t
        if bool((proven | close).all()):
            break
    sides = torch.stack((t * (1.0 - _BESIDE), (t * (1.0 + _BESIDE)).clamp(max=end)))
    above, below = function(sides)
    slack = _ROUNDING * wanted.abs()
    proven |= close & (above >= wanted - slack) & (below <= wanted + slack)
    return t if bool(proven.all()) else torch.where(proven, t, _halved(function, wanted, low, high))


def _cells(values: Tensor, wanted: Tensor, end: float) -> tuple[Tensor, Tensor, Tensor]:
    """The ends of the cells of the table with the wanted values, and a straight line's guess."""
    nodes = end * _nodes().to(wanted.device)
    index = torch.searchsorted(-values, -wanted)
    before, after = (index - 1).clamp(min=0), index.clamp(max=len(nodes) - 1)
    low, high, above, below = nodes[before], nodes[after], values[before], values[after]
    share = torch.nan_to_num((above - wanted) / (above - below), nan=0.5)
    return low, high, torch.lerp(low, high, share)


def _halved(function: Function, wanted: Tensor, low: Tensor, high: Tensor) -> Tensor:
    for _ in range(_DEPTH):
        middle = 0.5 * (low + high)
        above = function(middle) > wanted
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    return 0.5 * (low + high)


@cache
def _nodes() -> Tensor:
    """Nodes on [0, 1], even in the middle and in geometric steps towards the ends."""
    even = torch.arange(1, 512, dtype=torch.float64, device="cpu") / 512
    steps = 2.0 ** -torch.arange(5.0, _DEPTH, 0.25, dtype=torch.float64, device="cpu")
    ends = torch.tensor((0.0, 1.0), dtype=torch.float64, device="cpu")
    return torch.cat((ends, even, steps, 1.0 - steps)).sort().values
