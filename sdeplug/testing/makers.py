"""Makers of what a solver meets: spans, grids, shapes, and solvers with other options.

Who chooses for them is another matter; see :mod:`sdeplug.testing.choices`.
"""

from __future__ import annotations

import inspect
import math
import typing
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any, TypeVar

from sdeplug.errors import ArgumentError
from sdeplug.grid import At, Focus, Karras, LogSNR, Quadratic, TimeGrid, Uniform
from sdeplug.kinds import members
from sdeplug.options import Configured, Option, build, options_of
from sdeplug.registry import registry
from sdeplug.sde import EDMSDE, VESDE, VPSDE, CosineVPSDE, ForwardSDE, LinearSDE, SubVPSDE
from sdeplug.solvers import Corrector, Integrator
from sdeplug.testing.choices import Choose, Maker, Rejected
from sdeplug.values import is_one_of

C = TypeVar("C", bound=Configured)

SDES: tuple[LinearSDE, ...] = (VPSDE(), SubVPSDE(), VESDE(), CosineVPSDE(), EDMSDE())
"""The forward SDEs of the core, with their default options."""

_MARKS = 16  # of a span of the whole time: shorter spans run between two of them
_WIDEST = 8  # a whole number is at most so far from its default or its bound
_POINTS = (0.5, 0.25, 0.125, 0.75)  # of a grid of given times


def shape(choose: Choose, batch: int = 5, rank: int = 4) -> tuple[int, ...]:
    """A shape ``(B, *D)`` of a small state; the simplest is ``(1, 1)``."""
    rows, axes = choose(range(1, batch + 1)), choose(range(1, rank + 1))
    return (rows, *(choose(range(1, 5)) for _ in range(axes)))


@lru_cache(maxsize=16)
def spans(sde: ForwardSDE) -> tuple[tuple[float, float], ...]:
    """All spans between marks from T to eps, equally apart in the log-SNR, the longest first."""
    kind = LogSNR if isinstance(sde, LinearSDE) and sde.at(sde.eps).sigma > 0.0 else Uniform
    marks = tuple(kind(_MARKS).times(sde.T, sde.eps, sde))
    return tuple(
        (marks[start], marks[start + length])
        for length in range(_MARKS, 0, -1)
        for start in range(_MARKS + 1 - length)
    )


def grid(choose: Choose, most: int = 8) -> TimeGrid:
    """A grid of the core of so many steps at most; the simplest has one."""
    kind = choose((Uniform, Quadratic, LogSNR, Karras, Focus, At))
    if kind is At:
        chosen = [point for point in _POINTS if choose((False, True))][: most - 1]
        return At(tuple(sorted(chosen, reverse=True)))
    steps = choose(range(1, most + 1))
    if kind is LogSNR:
        return LogSNR(steps, choose((1.0, 0.8, 2.0)))
    if kind is Karras:
        return Karras(steps, choose((7.0, 3.0)))
    if kind is Focus:
        return Focus(steps, choose((0.005, 0.0)), choose((20.0, 1.0)))
    return Uniform(steps) if kind is Uniform else Quadratic(steps)


def configured(cls: type[C], given: Mapping[str, Maker[Any]] | None = None) -> Maker[C]:
    """A maker of instances of a class with allowed options, near their defaults.

    Args:
        cls: a frozen dataclass whose fields are options.
        given: makers for options that need their own, by name.

    Raises:
        ArgumentError: for a name that is no option, or an option that is required and of a type
            that nothing is known of; give one.
    """
    own = dict(given or {})
    known = {each.name: each for each in options_of(cls)}
    for name in own:
        if name not in known:
            raise ArgumentError("options", name, f"an option of {cls.__name__}: {[*known]}")
    makers = {name: own[name] if name in own else _value(each) for name, each in known.items()}

    def made(choose: Choose) -> C:
        values = {name: maker(choose) for name, maker in makers.items()}
        try:
            return build(cls, values)
        except ArgumentError as error:  # options that do not go together
            raise Rejected from error

    return made


def _value(option: Option) -> Maker[Any]:
    """Allowed values of an option; the default is the simplest."""
    offered = (_of_type(member, option) for member in members(option.type))
    found = [each for each in offered if each is not None]
    if not option.required:
        found.insert(0, lambda choose: option.default)
    if not found:
        raise ArgumentError(
            "options", option.name, "given",
            f"There is no strategy for the type {option.type_name}.",
        )  # fmt: skip
    return lambda choose: choose(found)(choose)


def _of_type(annotation: Any, option: Option) -> Maker[Any] | None:
    if annotation is type(None):
        return lambda choose: None
    if annotation is bool:
        return lambda choose: choose((False, True))
    if annotation is int:
        return lambda choose: choose(_whole(option))
    if annotation is float:
        return lambda choose: choose(_real(option))
    if typing.get_origin(annotation) is tuple:
        item = _of_type(typing.get_args(annotation)[0], option)
        return None if item is None else partial(_several, item)
    if is_one_of(annotation):
        return lambda choose: choose(tuple(annotation))
    if isinstance(annotation, type) and issubclass(annotation, Configured):
        return _nested(annotation)
    return None  # text and functions: no value but the default is known to be allowed


def _several(item: Maker[Any], choose: Choose) -> tuple[Any, ...]:
    return tuple(item(choose) for _ in range(choose(range(4))))


def _whole(option: Option) -> range:
    low, high = _bounds(option)
    if low == option.gt:
        low = math.floor(low) + 1
    if high == option.lt:
        high = math.ceil(high) - 1
    default = option.default if isinstance(option.default, int) else 0
    centre = max(low, min(default, high))
    first, last = max(low, centre - _WIDEST), min(high, centre + _WIDEST)
    return range(math.ceil(first), math.floor(last) + 1)


def _real(option: Option) -> tuple[float, ...]:
    low, high = _bounds(option)
    default = option.default if isinstance(option.default, (int, float)) else 0.0
    base = float(default) or (low if low > 0.0 else 1.0)
    factors = (1.0, 0.5, 2.0, 0.25, 4.0)
    values = [min(max(base * factor, low), high) for factor in factors]
    ends = [each for each in (low, high) if math.isfinite(each)]
    allowed = [each for each in dict.fromkeys((*values, *ends)) if _within(option, each)]
    return tuple(allowed or [0.5 * (low + high)])


def _bounds(option: Option) -> tuple[float, float]:
    lows = [each for each in (option.ge, option.gt) if each is not None]
    highs = [each for each in (option.le, option.lt) if each is not None]
    return max(lows, default=-math.inf), min(highs, default=math.inf)


def _within(option: Option, value: float) -> bool:
    above = option.gt is None or value > option.gt
    return above and (option.lt is None or value < option.lt)


def _nested(family: type[Configured]) -> Maker[Any]:
    if issubclass(TimeGrid, family):
        return grid
    if issubclass(LinearSDE, family):
        return lambda choose: choose(SDES)
    if inspect.isabstract(family) and issubclass(family, (Integrator, Corrector)):
        return lambda choose: choose(_leaves(family))
    return configured(family)


def _leaves(family: type[Configured]) -> list[Configured]:
    """The solvers of a family that plugins offer and that need no option."""
    classes = [entry.obj for entry in registry().solvers().values()]
    return [
        cls()
        for cls in classes
        if issubclass(cls, family) and not any(option.required for option in options_of(cls))
    ]
