"""What two checks ask for is computed once."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


def remembered(size: int) -> Callable[[F], F]:
    """A cache for a function of solvers and other values, given by position.

    Where one of them cannot be hashed nothing is remembered: that is for a check to say.

    Args:
        size: how many results are kept.
    """

    def decorate(function: F) -> F:
        cached = lru_cache(size)(function)

        @wraps(function)
        def remembering(*arguments: Any) -> Any:
            try:
                hash(arguments)
            except TypeError:
                return function(*arguments)
            return cached(*arguments)

        return cast(F, remembering)

    return decorate
