"""What two checks ask for is computed once."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])

_CLEARS: list[Callable[[], None]] = []


def remembered(size: int) -> Callable[[F], F]:
    """A cache for a function of solvers and other values, given by position.

    Where one of them cannot be hashed nothing is remembered: that is for a check to say.

    Args:
        size: how many results are kept.
    """

    def decorate(function: F) -> F:
        cached = lru_cache(size)(function)
        _CLEARS.append(cached.cache_clear)

        @wraps(function)
        def remembering(*arguments: Any) -> Any:
            try:
                hash(arguments)
            except TypeError:
                return function(*arguments)
            return cached(*arguments)

        return cast(F, remembering)

    return decorate


def forget_all() -> None:
    """Forget everything: the next check computes afresh."""
    for clear in _CLEARS:
        clear()
