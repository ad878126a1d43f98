"""A smooth line through points that never turns between them: monotone cubic interpolation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class MonotoneCubic:
    """The cubic through values at 0, 1, ..., n that rises and falls only where they do.

    Once differentiable.  For a smooth function, inside, the error is of fourth order in the
    distance of the nodes, and that of the slope of third.

    Hyman, SIAM J. Sci. Stat. Comput. 4 (1983), 645 to 654: slopes at the nodes by differences of
    fourth order, at most three times those of the chords on either side.

    Args:
        values: float64, shape ``(n + 1,)``, n >= 1, on the CPU.
    """

    def __init__(self, values: Tensor) -> None:
        chords = values.diff()
        slopes = _slopes(chords)
        early, late = slopes[:-1], slopes[1:]
        second, third = 3.0 * chords - 2.0 * early - late, early + late - 2.0 * chords
        self._values = values
        self._home = torch.stack((values[:-1], early, second, third))
        self._tables = {self._home.device: self._home}

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self._values,)  # without what lies on other devices

    def __call__(self, u: Tensor) -> Tensor:
        """The value at u: any shape; beyond the ends by the cubics there."""
        s, (value, first, second, third) = self._piece(u)
        return value + s * (first + s * (second + s * third))

    def slope(self, u: Tensor) -> Tensor:
        """The derivative at u: any shape."""
        s, (_, first, second, third) = self._piece(u)
        return first + s * (2.0 * second + 3.0 * s * third)

    def _piece(self, u: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
        """How far into its cell each u is, and the four coefficients there."""
        table = self._tables.get(u.device)
        if table is None:
            table = self._tables[u.device] = self._home.to(u.device)
        cell = torch.nan_to_num(u.detach()).floor().clamp(0, table.shape[1] - 1)
        return u - cell, table[:, cell.long()].to(u.dtype).unbind()


def _slopes(chords: Tensor) -> Tensor:
    """Slopes at the nodes: of fourth order inside, of second at the ends, none that overshoots."""
    late, early = chords[1:], chords[:-1]
    inner = 0.5 * (early + late)
    if len(chords) > 3:
        inner[1:-1] = (7.0 * (early + late)[1:-1] - chords[:-3] - chords[3:]) / 12.0
    ends = chords[:1], chords[-1:]
    if len(chords) > 1:
        ends = 1.5 * ends[0] - 0.5 * chords[1:2], 1.5 * ends[1] - 0.5 * chords[-2:-1]
    slopes = torch.cat((ends[0], inner, ends[1]))
    beside = torch.stack((torch.cat((chords[:1], chords)), torch.cat((chords, chords[-1:]))))
    sign = beside.sign().sum(0).div(2.0).trunc()  # 0 at a turn
    most = 3.0 * beside.abs().amin(0)
    return sign * (sign * slopes).clamp(min=0.0).minimum(most)
