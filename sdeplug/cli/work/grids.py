"""Grids that flags name, whose number of steps a budget decides."""

from __future__ import annotations

from collections.abc import Sequence

from sdeplug.errors import ArgumentError
from sdeplug.grid import TimeGrid
from sdeplug.registry import named_grid, split

DEFAULT = "log-snr"


def open_grids(texts: Sequence[str]) -> tuple[TimeGrid, ...]:
    """A grid for each ``NAME[:OPTION=VALUE,...]``; of none the default.

    Raises:
        SdeplugError: for a name or option that is not allowed, or a number of steps.
    """
    return tuple(open_grid(text) for text in texts or (DEFAULT,))


def open_grid(text: str) -> TimeGrid:
    """A grid without a number of steps.

    Raises:
        SdeplugError: as :func:`open_grids`.
    """
    if "steps" in split(text)[1]:
        raise ArgumentError("grids", text, "given without steps: --nfe decides on them")
    return named_grid(text, None)
