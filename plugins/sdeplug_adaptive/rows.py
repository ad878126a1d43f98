"""Asking for some rows of a batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sdeplug import option


class Asked:
    """A function of states and their times, asked for the rows that are still on their way.

    Args:
        function: from states ``(R, *D)`` and times ``(R,)`` to ``(R, *D)``.
        whole: whether it has to see the whole batch, because it tells rows apart by their place.
    """

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor], whole: bool) -> None:
        self.function, self.whole = function, whole
        self.x: Tensor | None = None
        self.t: Tensor | None = None

    def __call__(self, x: Tensor, t: Tensor, rows: Tensor | None = None) -> Tensor:
        """Its values in some rows; ``rows`` are their numbers, None for the whole batch."""
        if not self.whole:
            return self.function(x, t)
        if rows is None or self.x is None or self.t is None:
            self.x, self.t = x, t
            return self.function(x, t)
        self.x, self.t = self.x.index_copy(0, rows, x), self.t.index_copy(0, rows, t)
        return self.function(self.x, self.t)[rows]


def whole_batch() -> bool:
    """The option ``whole_batch``."""
    value: bool = option(
        False, help="evaluate arrived rows too: for a score that tells rows apart by their place"
    )
    return value


def full(value: float, x: Tensor) -> Tensor:
    """The same number for each row of x: float64, shape ``(B,)``."""
    return torch.full((len(x),), value, dtype=torch.float64, device=x.device)
