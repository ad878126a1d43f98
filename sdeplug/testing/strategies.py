"""Hypothesis strategies for the things that a solver meets; needs hypothesis (the extra ``check``).

They shrink towards what is simplest: the whole span, one step, few numbers, default options. ::

    from hypothesis import given
    from sdeplug.testing import strategies

    @given(solver=strategies.solvers(MySolver), sde=strategies.sdes(), x=strategies.states())
    def test_mine(solver, sde, x): ...

Hypothesis makes the choices of :mod:`sdeplug.testing.makers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from sdeplug.errors import MissingExtraError
from sdeplug.grid import TimeGrid
from sdeplug.noise import SharedNoise
from sdeplug.options import Configured
from sdeplug.sde import ForwardSDE, LinearSDE
from sdeplug.testing import makers
from sdeplug.testing.choices import Maker, Rejected

try:
    from hypothesis import reject
    from hypothesis import strategies as st
    from hypothesis.strategies import SearchStrategy
except ImportError as error:
    raise MissingExtraError("sdeplug.testing.strategies", "hypothesis", "check") from error

T = TypeVar("T")
C = TypeVar("C", bound=Configured)


def sdes() -> SearchStrategy[LinearSDE]:
    """The five forward SDEs of the core, with their default options."""
    return st.sampled_from(makers.SDES)


def spans(sde: ForwardSDE) -> SearchStrategy[tuple[float, float]]:
    """Times (t, s) with eps <= s < t <= T, as near to eps as the noise level resolves.

    The simplest is (T, eps).  None is so short that a grid of a thousand steps does not fit in.

    Args:
        sde: the forward SDE whose T and eps these are.
    """
    return st.sampled_from(makers.spans(sde))


def grids(most: int = 8) -> SearchStrategy[TimeGrid]:
    """Grids of the core.

    Args:
        most: steps at most; the simplest grid has one.
    """
    return chosen(partial(makers.grid, most=most))


def shapes(batch: int = 5, rank: int = 4) -> SearchStrategy[tuple[int, ...]]:
    """Shapes ``(B, *D)`` of small states; the simplest is ``(1, 1)``.

    Args:
        batch: rows at most.
        rank: length of D at most; 1 at least.
    """
    return chosen(partial(makers.shape, batch=batch, rank=rank))


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
    own = dict(options or {})
    maker = makers.configured(cls, {name: _Drawn(each) for name, each in own.items()})
    return chosen(maker)


class _Drawn:
    """A value that hypothesis draws from a strategy, where a maker would have chosen it."""

    def __init__(self, strategy: SearchStrategy[Any]) -> None:
        self.strategy = strategy

    def __call__(self, choose: Any) -> Any:
        return choose.draw(self.strategy)


class _Choosing:
    """Choices that hypothesis makes."""

    def __init__(self, draw: Callable[[SearchStrategy[Any]], Any]) -> None:
        self.draw = draw

    def __call__(self, options: Any, /) -> Any:
        return self.draw(st.sampled_from(options))


@st.composite
def chosen(draw: Any, maker: Maker[T]) -> T:
    """What a maker makes of choices that hypothesis makes.

    Args:
        draw: given by hypothesis.
        maker: see :mod:`sdeplug.testing.choices`.
    """
    try:
        return maker(_Choosing(draw))
    except Rejected:
        reject()


def _state(shape: tuple[int, ...], dtype: torch.dtype, seed: int) -> Tensor:
    return SharedNoise(seed).normal(torch.empty(shape, dtype=torch.float64, device="cpu")).to(dtype)
