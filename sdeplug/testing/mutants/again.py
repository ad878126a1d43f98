"""Numbers that are used again: by the next leg, beside a corrector, after the start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

from torch import Tensor

from sdeplug.noise import NoiseSource, SharedNoise
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.solvers import Advance
from sdeplug.testing.mutants.defect import Begin, Defect


def _seed(noise: NoiseSource) -> int | None:
    return getattr(noise, "seed", None)


@dataclass(frozen=True)
class StartsAnew(Defect):
    """Each run of steps begins the stream of its seed anew, which the start has drawn from."""

    def heard(self, noise: NoiseSource) -> NoiseSource:
        """A fresh source of the same seed."""
        seed = _seed(noise)
        return noise if seed is None or not isinstance(noise, SharedNoise) else SharedNoise(seed)


@dataclass(frozen=True)
class OwnStream(Defect):
    """Each run of steps begins one stream derived from the seed anew, so that all have the same."""

    def heard(self, noise: NoiseSource) -> NoiseSource:
        """A fresh source of a seed derived from it."""
        seed = _seed(noise)
        fresh = seed is not None and isinstance(noise, SharedNoise)
        return SharedNoise((seed or 0) // 2 + 12345) if fresh else noise


@dataclass(frozen=True)
class NextSeed(Defect):
    """Each step has a source of its own, of the seed plus the number of the step."""

    def start(self, begin: Begin, reverse: ReverseSDE, run: Run) -> Advance:
        """Start anew for each step."""
        seed, steps = _seed(run.noise), iter(range(2**31))
        if seed is None or not isinstance(run.noise, SharedNoise):
            return begin(reverse, run)
        counted = _Counted(lambda: SharedNoise(seed + next(steps)))
        advance = begin(reverse, replace(run, noise=counted))

        def stepped(x: Tensor, t: float, s: float) -> Tensor:
            counted.step()
            return advance(x, t, s)

        return stepped


class _Counted(NoiseSource):
    """A source that is replaced by another at each step."""

    def __init__(self, made: Callable[[], NoiseSource]) -> None:
        self.made = made
        self.source = made()

    def step(self) -> None:
        """Go on to the next source."""
        self.source = self.made()

    def normal(self, like: Tensor) -> Tensor:
        """From the source of this step."""
        return self.source.normal(like)


@dataclass(frozen=True)
class Kept(Defect):
    """What was drawn first from a source is kept with it, and is the first noise of each leg."""

    def heard(self, noise: NoiseSource) -> NoiseSource:
        """The first numbers of the source, once in each run of steps, and then fresh ones."""
        return _Kept(noise)


class _Kept(NoiseSource):
    def __init__(self, source: NoiseSource) -> None:
        self.source, self.fresh = source, True

    def normal(self, like: Tensor) -> Tensor:
        first, self.fresh = self.fresh, False
        if not first:
            return self.source.normal(like)
        kept = _FIRST.setdefault(self.source, {})
        key = (like.shape, like.dtype)
        if key not in kept:
            kept[key] = self.source.normal(like)
        return kept[key].clone()


_FIRST: WeakKeyDictionary[NoiseSource, dict[object, Tensor]] = WeakKeyDictionary()
