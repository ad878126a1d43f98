"""A class whose options are numbers."""

from __future__ import annotations

from dataclasses import dataclass

from sdeplug.options import Configured, option


@dataclass(frozen=True)
class Numbers(Configured):
    count: int = option(1, help="count", ge=1)
    share: float = option(0.5, help="share", ge=0.0, lt=1.0)
    flag: bool = option(False, help="flag")
    limit: float | None = option(None, help="limit")
    points: tuple[float, ...] = option((), help="points")
    pair: tuple[tuple[int, ...], ...] = option((), help="tuples")
