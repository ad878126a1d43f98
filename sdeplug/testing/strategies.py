"""Hypothesis strategies for the things that a solver meets; needs hypothesis (the extra ``check``).

They shrink towards what is simplest: the whole span, one step, few numbers, default options. ::

    from hypothesis import given
    from sdeplug.testing import strategies

    @given(solver=strategies.solvers(MySolver), sde=strategies.sdes(), x=strategies.states())
    def test_mine(solver, sde, x): ...
"""

from __future__ import annotations

import inspect
import math
import typing
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeVar

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError, MissingExtraError
from sdeplug.grid import At, Focus, Karras, LogSNR, Quadratic, TimeGrid, Uniform
from sdeplug.noise import SharedNoise
from sdeplug.options import Configured, Option, build, members, options_of
from sdeplug.registry import registry
from sdeplug.sde import EDMSDE, VESDE, VPSDE, CosineVPSDE, ForwardSDE, LinearSDE, SubVPSDE
from sdeplug.solvers import Corrector, Integrator

try:
    from hypothesis import reject
    from hypothesis import strategies as st
    from hypothesis.strategies import SearchStrategy
except ImportError as error:
    raise MissingExtraError("sdeplug.testing.strategies", "hypothesis", "check") from error

C = TypeVar("C", bound=Configured)

_MARKS = 16  # of a span of the whole time: shorter spans run between two of them
_WIDEST = 8  # a whole number is at most so far from its default or its bound


def sdes() -> SearchStrategy[LinearSDE]:
    """The five forward SDEs of the core, with their default options."""
    return st.sampled_from((VPSDE(), SubVPSDE(), VESDE(), CosineVPSDE(), EDMSDE()))


def spans(sde: ForwardSDE) -> SearchStrategy[tuple[float, float]]:
    """Times (t, s) with eps <= s < t <= T, as near to eps as the noise level resolves.

    The simplest is (T, eps).  None is so short that a grid of a thousand steps does not fit in.

    Args:
        sde: the forward SDE whose T and eps these are.
    """
    return st.sampled_from(all_spans(sde))


def grids(most: int = 8) -> SearchStrategy[TimeGrid]:
    """Grids of the core.

    Args:
        most: steps at most; the simplest grid has one.
    """
    steps = st.integers(1, most)
    powers = st.sampled_from((1.0, 0.8, 2.0))
    points = st.sets(st.sampled_from((0.5, 0.25, 0.125, 0.75)), max_size=most - 1)
    return st.one_of(
        st.builds(Uniform, steps),
        st.builds(Quadratic, steps),
        st.builds(LogSNR, steps, powers),
        st.builds(Karras, steps, st.sampled_from((7.0, 3.0))),
        st.builds(Focus, steps, st.sampled_from((0.005, 0.0)), st.sampled_from((20.0, 1.0))),
        points.map(lambda chosen: At(tuple(sorted(chosen, reverse=True)))),
    )


def shapes(batch: int = 5, rank: int = 4) -> SearchStrategy[tuple[int, ...]]:
    """Shapes ``(B, *D)`` of small states; the simplest is ``(1, 1)``.

    Args:
        batch: rows at most.
        rank: length of D at most; 1 at least.
    """
    row = st.lists(st.integers(1, 4), min_size=1, max_size=rank)
    return st.builds(lambda rows, row: (rows, *row), st.integers(1, batch), row)


def dtypes() -> SearchStrategy[torch.dtype]:
    """float64 and float32."""
    return st.sampled_from((torch.float64, torch.float32))


def states(
    shape: SearchStrategy[tuple[int, ...]] | None = None,
    dtype: SearchStrategy[torch.dtype] | None = None,
) -> SearchStrategy[Tensor]:
    """Standard normal states; they shrink in shape, not in their numbers.

    Args:
        shape: shapes; default :func:`shapes`.
        dtype: dtypes; default :func:`dtypes`.
    """
    return st.builds(_state, shape or shapes(), dtype or dtypes(), st.integers(0, 99))


def solvers(
    cls: type[C], options: Mapping[str, SearchStrategy[Any]] | None = None
) -> SearchStrategy[C]:
    """Instances of a class with allowed options, near their defaults; for every configured class.

    Values follow the declared type and bounds.  A number is moderate: a solver may be asked for
    a tolerance of a quarter of the default, not of 1e-300.  A function keeps its default.

    Args:
        cls: a solver, grid or SDE class: a frozen dataclass whose fields are options.
        options: strategies for options that need their own, by name.

    Raises:
        ArgumentError: for a name that is no option, or an option that is required and of a type
            for which there is no strategy; give one.
    """
    given = dict(options or {})
    known = {each.name: each for each in options_of(cls)}
    for name in given:
        if name not in known:
            raise ArgumentError("options", name, f"an option of {cls.__name__}: {[*known]}")
    chosen = {name: given[name] if name in given else _values(each) for name, each in known.items()}
    return st.fixed_dictionaries(chosen).map(lambda values: _built(cls, values))


def _built(cls: type[C], values: Mapping[str, object]) -> C:
    try:
        return build(cls, values)
    except ArgumentError:  # options that do not go together
        reject()


def _values(option: Option) -> SearchStrategy[Any]:
    """Allowed values of an option; the default is the simplest."""
    offered = (_of_type(member, option) for member in members(option.type))
    found = [each for each in offered if each is not None]
    if not option.required:
        found.insert(0, st.just(option.default))
    if not found:
        raise ArgumentError(
            "options", option.name, "given",
            f"There is no strategy for the type {option.type_name}.",
        )  # fmt: skip
    return st.one_of(found)


def _of_type(annotation: Any, option: Option) -> SearchStrategy[Any] | None:
    if annotation is type(None):
        return st.none()
    if annotation is bool:
        return st.booleans()
    if annotation is int:
        return _whole(option)
    if annotation is float:
        return _real(option)
    if typing.get_origin(annotation) is tuple:
        item = _of_type(typing.get_args(annotation)[0], option)
        return None if item is None else st.lists(item, max_size=3).map(tuple)
    if isinstance(annotation, type) and issubclass(annotation, Configured):
        return _nested(annotation)
    return None  # text and functions: no value but the default is known to be allowed


def _whole(option: Option) -> SearchStrategy[int]:
    low, high = _bounds(option)
    if low == option.gt:
        low = math.floor(low) + 1
    default = option.default if isinstance(option.default, int) else 0
    centre = max(low, min(default, high))
    return st.integers(
        math.ceil(max(low, centre - _WIDEST)), math.floor(min(high, centre + _WIDEST))
    )


def _real(option: Option) -> SearchStrategy[float]:
    low, high = _bounds(option)
    default = option.default if isinstance(option.default, (int, float)) else 0.0
    base = float(default) or (low if low > 0.0 else 1.0)
    factors = (1.0, 0.5, 2.0, 0.25, 4.0)
    values = [min(max(base * factor, low), high) for factor in factors]
    ends = [each for each in (low, high) if math.isfinite(each)]
    allowed = [each for each in dict.fromkeys((*values, *ends)) if _within(option, each)]
    return st.sampled_from(allowed or [0.5 * (low + high)])


def _bounds(option: Option) -> tuple[float, float]:
    lows = [each for each in (option.ge, option.gt) if each is not None]
    return max(lows, default=-math.inf), math.inf if option.le is None else option.le


def _within(option: Option, value: float) -> bool:
    return option.gt is None or value > option.gt


def _nested(family: type[Configured]) -> SearchStrategy[Any] | None:
    if issubclass(TimeGrid, family):
        return grids()
    if issubclass(LinearSDE, family):
        return sdes()
    if inspect.isabstract(family) and issubclass(family, (Integrator, Corrector)):
        return st.deferred(lambda: st.sampled_from(_leaves(family)))
    return solvers(family)


def _leaves(family: type[Configured]) -> list[Configured]:
    """The solvers of a family that plugins offer and that need no option."""
    classes = [entry.obj for entry in registry().solvers().values()]
    return [
        cls()
        for cls in classes
        if issubclass(cls, family) and not any(option.required for option in options_of(cls))
    ]


def _state(shape: tuple[int, ...], dtype: torch.dtype, seed: int) -> Tensor:
    return SharedNoise(seed).normal(torch.empty(shape, dtype=torch.float64, device="cpu")).to(dtype)


@lru_cache(maxsize=16)
def all_spans(sde: ForwardSDE) -> tuple[tuple[float, float], ...]:
    """All spans between marks from T to eps, equally apart in the log-SNR, the longest first."""
    kind = LogSNR if isinstance(sde, LinearSDE) and sde.at(sde.eps).sigma > 0.0 else Uniform
    marks = tuple(kind(_MARKS).times(sde.T, sde.eps, sde))
    return tuple(
        (marks[start], marks[start + length])
        for length in range(_MARKS, 0, -1)
        for start in range(_MARKS + 1 - length)
    )
