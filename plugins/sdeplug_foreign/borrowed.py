r"""What the adapters share: names, time, noise and the model, as other libraries want them.

Other libraries know a state by the noise ratio :math:`q = \sigma / \alpha` alone.  With
:math:`y = x / \alpha`, any linear SDE is the variance-exploding one in q, and the denoiser
:math:`D = E[x_0 | x_t]` is the same function of the same state: nothing is approximated by the
change of variables.
"""

from __future__ import annotations

import difflib
import math
from abc import abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from itertools import pairwise
from types import ModuleType
from typing import Any, ClassVar

import torch
from torch import Tensor

from sdeplug import (
    ArgumentError,
    Claims,
    Integrator,
    Karras,
    LinearSDE,
    LogSNR,
    MissingExtraError,
    NoiseSource,
    Quadratic,
    ReverseSDE,
    Run,
    Silence,
    TimeGrid,
    Uniform,
    option,
)
from sdeplug_foreign.noise import Replaced

SPACINGS: Mapping[str, Callable[[int], TimeGrid]] = {
    "log-snr": LogSNR,
    "karras": Karras,
    "uniform": Uniform,
    "quadratic": Quadratic,
}
"""Where steps end, by name."""


@dataclass(frozen=True)
class Recipe:
    """How one sampler of a library is asked for.

    Attributes:
        target: name of the class or function there.
        order: the order that the library gives it, in its name, an option or the paper that it
            follows; it need not be the one that it has.
        arguments: what it is called with.
        evaluations: score evaluations of a step.
        stochastic: whether it draws noise.
        idle: whether it draws numbers that it has no use for.
        eta: the library's measure of noise for a stochasticity l; None: it has one amount only,
            that of l = 1.
        form: how the state is kept, for libraries that have several ways.
        further: score evaluations at the start, beyond those of its steps.
        fewest: the least number of steps.
        module: where the target is; "": where the others are.
    """

    target: str
    order: int
    arguments: Mapping[str, Any] = field(default_factory=dict)
    evaluations: int = 1
    stochastic: bool = False
    idle: bool = False
    eta: Callable[[float], float] | None = None
    form: type[Any] = object
    further: int = 0
    fewest: int = 1
    module: str = ""


@dataclass(frozen=True)
class Passage:
    """One way from t to s: times, noise ratios, noise and the model.

    Attributes:
        reverse: the reverse SDE.
        times: t, ..., s.
        ratios: q at these times, falling.
        noise: where the sampler's noise comes from; silent for one that draws none.
        level: the stochasticity l.
        dtype: dtype of x, in which the model is asked.
        replaced: what stands between the sampler and torch's generators.
    """

    reverse: ReverseSDE
    times: tuple[float, ...]
    ratios: tuple[float, ...]
    noise: NoiseSource
    level: float
    dtype: torch.dtype
    replaced: Replaced

    @property
    def rounding(self) -> float:
        """Relative distance at which two noise ratios are one, in the sampler's dtype."""
        return 16.0 * torch.finfo(working(self.dtype)).eps

    def alpha(self, time: float) -> float:
        """alpha at a time."""
        return self.reverse.linear.at(time).alpha

    def denoised(self, x: Tensor, time: float) -> Tensor:
        """E[x_0 | x_t] for x of the sampler's dtype, shape ``(B, *D)``."""
        with self.replaced.asleep():
            return self.reverse.denoised(x.to(self.dtype), time).to(x.dtype)

    def clean(self, y: Tensor, time: float) -> Tensor:
        """E[x_0 | x_t] for y = x / alpha, shape ``(B, *D)``."""
        return self.denoised(self.alpha(time) * y, time)

    def time_of(self, ratio: float) -> float:
        """The time of a noise ratio: that of a node where it is one, else found, never outside."""
        known = self._known(self.ratios, self.times, ratio)
        if known is not None:
            return known
        with self.replaced.asleep():
            linear = self.reverse.linear
            middle = self._known(*_middles(linear, self.ratios), ratio)
            time = _time_of(linear, ratio) if middle is None else middle
        return min(max(time, self.times[-1]), self.times[0])

    def _known(self, ratios: Sequence[float], times: Sequence[float], ratio: float) -> float | None:
        """The time of the nearest of some ratios, if it is the one that is asked for."""
        after = bisect_left(ratios, -ratio, key=lambda each: -each)
        near = [k for k in (after - 1, after) if 0 <= k < len(ratios)]
        k = min(near, key=lambda k: abs(ratios[k] - ratio))
        return times[k] if abs(ratios[k] - ratio) <= self.rounding * ratio else None


@dataclass(frozen=True)
class Borrowed(Integrator):
    """A sampler of another library, which carries x over a whole span with steps of its own.

    A library is imported when a sampler of it runs, not before.
    """

    recipes: ClassVar[Mapping[str, Recipe]] = {}
    library: ClassVar[str] = ""
    differentiable: ClassVar[bool] = False  # most libraries switch gradients off
    exact: ClassVar[bool] = True  # whether the state keeps its dtype in every step

    sampler: str = option(help="which sampler of the library")
    steps: int = option(32, help="number of steps over the span", ge=1)
    spacing: str = option("log-snr", help="where steps end: " + ", ".join(SPACINGS))

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("sampler", self.sampler, self.recipes)
        one_of("spacing", self.spacing, SPACINGS)
        if self.steps < self.recipe.fewest:
            raise ArgumentError(
                "steps", self.steps, f"at least {self.recipe.fewest} for {self.sampler}"
            )

    @property
    def claims(self) -> Claims:
        """What the library claims: the order of the sampler, refined by ``steps``."""
        recipe = self.recipe
        return Claims(
            order=recipe.order,
            stochastic=recipe.stochastic,
            affine=self.exact,
            evaluations=recipe.evaluations * self.steps + recipe.further,
            needs=LinearSDE,
            steps="steps",
            level=1.0 if recipe.stochastic and recipe.eta is None else None,
            differentiable=self.differentiable,
        )

    @property
    def recipe(self) -> Recipe:
        """How the library is asked for the sampler."""
        return self.recipes[self.sampler]

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """Carry x from t to s in ``steps`` steps.

        Raises:
            ArgumentError: for a stochasticity that the sampler does not have.
            MissingExtraError: without the library.
            PairingError: unless the forward SDE is linear.
        """
        level = self._level(reverse, t)
        linear = reverse.linear
        times = tuple(self._times(t, s, linear))
        linear.prepare(times)
        ratios = tuple(linear.at(time).sigma / linear.at(time).alpha for time in times)
        noise = run.noise if level else Silence()
        replaced = Replaced(noise)
        passage = Passage(reverse, times, ratios, noise, level, x.dtype, replaced)
        draws = self.recipe.stochastic or self.recipe.idle
        with run.home(x):
            carry = self._prepared(passage)
            with replaced if draws else nullcontext():
                return carry(x.to(working(x.dtype))).to(x.dtype)

    def _times(self, t: float, s: float, sde: LinearSDE) -> Sequence[float]:
        """Where steps end, t and s included."""
        return SPACINGS[self.spacing](self.steps).times(t, s, sde)

    @abstractmethod
    def _prepared(self, passage: Passage) -> Callable[[Tensor], Tensor]:
        """The sampler of the library, ready to carry x of at least single precision."""

    def _level(self, reverse: ReverseSDE, t: float) -> float:
        if not self.recipe.stochastic:
            return 0.0
        if callable(reverse.stochasticity):
            raise ArgumentError(
                "stochasticity", reverse.stochasticity,
                f"one number for {self.library}'s {self.sampler}",
                "Split the run into legs, each with a stochasticity of its own.",
            )  # fmt: skip
        level = reverse.level(t)
        if self.recipe.eta is None and level != 1.0:
            raise ArgumentError(
                "stochasticity", level, f"1 for {self.library}'s {self.sampler}",
                "It has one amount of noise only.",
            )  # fmt: skip
        return level


@lru_cache(maxsize=64)
def _middles(
    sde: LinearSDE, ratios: tuple[float, ...]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Noise ratios half-way between others, on a scale of their logarithm, and their times.

    That is where most methods have their stages: one look-up serves for all of them.
    """
    middles = tuple(math.sqrt(one * other) for one, other in pairwise(ratios))
    return middles, tuple(sde.time_at(-2.0 * numbers(middles).log()).tolist())


@lru_cache(maxsize=8192)
def _time_of(sde: LinearSDE, ratio: float) -> float:
    """The time of any noise ratio; the stages of a method ask for the same ones in every run."""
    return float(sde.time_at(numbers((-2.0 * math.log(ratio),))))


def working(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which samplers run: that of x, and float32 at least."""
    return torch.promote_types(dtype, torch.float32)


def same(level: float) -> float:
    """eta = l: noise of standard deviation eta times that of the posterior."""
    return level


def squared(level: float) -> float:
    """eta = l^2: the drift grows by the factor 1 + eta."""
    return level**2


def one_of(argument: str, value: str, names: Mapping[str, object]) -> None:
    """Raise :class:`ArgumentError`, with near names, unless the value is one of them."""
    if value not in names:
        near = difflib.get_close_matches(value, names, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ArgumentError(argument, value, f"one of {', '.join(names)}", hint)


def imported(module: str, what: str, extra: str) -> ModuleType:
    """A module of an optional extra.

    Raises:
        MissingExtraError: if it, or what it needs, is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or module).partition(".")[0]
        own = missing == module.partition(".")[0]
        raise MissingExtraError(what, missing, extra if own else "") from error


def numbers(values: Sequence[float], dtype: torch.dtype = torch.float64) -> Tensor:
    """Numbers as a tensor on the CPU, shape ``(N,)``."""
    return torch.tensor(values, dtype=dtype, device="cpu")
