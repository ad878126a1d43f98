"""The times at which something acts."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError

Span = tuple[float, ...] | None
"""Two times (from, to), or None: all."""


def check_span(span: Span) -> None:
    """Refuse what is no span.

    Raises:
        ArgumentError: unless it is two times in order, or None.
    """
    if span is not None and not (len(span) == 2 and 0.0 <= span[0] < span[1] < math.inf):
        raise ArgumentError("span", span, "two times (from, to) with 0 <= from < to", "None: all.")


def inside(t: Tensor, span: Span) -> Tensor:
    """Whether each time is in the span: Boolean, of the shape of t."""
    return torch.ones_like(t, dtype=torch.bool) if span is None else (span[0] <= t) & (t <= span[1])
