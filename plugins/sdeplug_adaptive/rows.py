"""Asking for some rows of a batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from sdeplug import option
from sdeplug_adaptive.control import Floats
from sdeplug_adaptive.march import Rows


class Asked:
    """A function of states and their times, asked for the rows that are still on their way.

    Args:
        function: from states ``(R, *D)`` and times ``(R,)``, float64 on the host, to ``(R, *D)``.
        whole: whether it has to see the whole batch, because it tells rows apart by their place.
    """

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor], whole: bool) -> None:
        self.function, self.whole = function, whole
        self.x: Tensor | None = None
        self.t: Floats | None = None

    def __call__(self, x: Tensor, t: Floats, rows: Rows | None = None) -> Tensor:
        """Its values in some rows; ``rows`` are their numbers, None for the whole batch."""
        if not self.whole:
            return self.function(x, torch.from_numpy(t))
        if rows is None or self.x is None or self.t is None:
            self.x, self.t = x, t.copy()
            return self.function(x, torch.from_numpy(t))
        places = torch.from_numpy(rows).to(x.device)
        self.x, self.t = self.x.index_copy(0, places, x), self.t.copy()
        self.t[rows] = t
        return self.function(self.x, torch.from_numpy(self.t))[places]


def whole_batch() -> bool:
    """The option ``whole_batch``."""
    value: bool = option(
        False, help="evaluate arrived rows too: for a score that tells rows apart by their place"
    )
    return value


def full(value: float, x: Tensor) -> Floats:
    """The same number for each row of x: shape ``(B,)``."""
    return np.full(len(x), value)
