"""Mistakes in the noise."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sdeplug.noise import NoiseSource, SharedNoise, Silence
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.solvers import Advance, Claims
from sdeplug.testing.mutants.defect import Begin, Defect


class Filtered(NoiseSource):
    """The numbers of a source, changed, and with them its paths."""

    def __init__(self, source: NoiseSource, numbers: Callable[[Tensor], Tensor]) -> None:
        self.source, self.numbers = source, numbers

    def normal(self, like: Tensor) -> Tensor:
        """The next numbers, changed."""
        return self.numbers(self.source.normal(like))


@dataclass(frozen=True)
class Scaled(Defect):
    """Noise times a factor."""

    factor: float

    @property
    def what(self) -> str:
        """With the number."""
        return f"noise times {self.factor:g}"

    def heard(self, noise: NoiseSource) -> NoiseSource:
        """Numbers and paths times the factor."""
        return Filtered(noise, lambda z: self.factor * z)


@dataclass(frozen=True)
class Reused(Defect):
    """The same noise in every step."""

    def heard(self, noise: NoiseSource) -> NoiseSource:
        """The first numbers again and again."""
        return _Reused(noise)


class _Reused(NoiseSource):
    """The first answers of a source, again and again."""

    def __init__(self, source: NoiseSource) -> None:
        self.source = source
        self.numbers: Tensor | None = None

    def normal(self, like: Tensor) -> Tensor:
        if self.numbers is None or self.numbers.shape != like.shape:
            self.numbers = self.source.normal(like)
        return self.numbers.to(like)


@dataclass(frozen=True)
class SharedByRows(Defect):
    """All rows get the noise of the first."""

    def heard(self, noise: NoiseSource) -> NoiseSource:
        """The first row for all."""
        return Filtered(noise, lambda z: z[:1].expand_as(z))


@dataclass(frozen=True)
class SharedByCoordinates(Defect):
    """All coordinates of a row get the noise of its first."""

    def heard(self, noise: NoiseSource) -> NoiseSource:
        """The first coordinate for all."""

        def shared(z: Tensor) -> Tensor:
            return z.flatten(1)[:, :1].expand(-1, z[0].numel()).reshape_as(z)

        return Filtered(noise, shared)


@dataclass(frozen=True)
class SharedByNeighbours(Defect):
    """Rows are correlated with the row before them, with the right variance."""

    correlation: float = 0.1

    def heard(self, noise: NoiseSource) -> NoiseSource:
        """A moving average over the batch."""
        own = math.sqrt(1.0 - self.correlation**2)
        return Filtered(noise, lambda z: own * z + self.correlation * z.roll(1, 0))


@dataclass(frozen=True)
class Antithetic(Defect):
    """The second half of the batch gets the noise of the first, negated."""

    def heard(self, noise: NoiseSource) -> NoiseSource:
        """Pairs of opposite rows."""

        def paired(z: Tensor) -> Tensor:
            half = z[: (len(z) + 1) // 2]
            return torch.cat((half, -half))[: len(z)]

        return Filtered(noise, paired)


@dataclass(frozen=True)
class Uniform(Defect):
    """Uniform numbers of variance 1 in place of normal ones."""

    def heard(self, noise: NoiseSource) -> NoiseSource:
        """Through the distribution function of the normal law."""
        return Filtered(noise, lambda z: math.sqrt(12.0) * (torch.special.ndtr(z) - 0.5))


@dataclass(frozen=True)
class Clipped(Defect):
    """Numbers clipped to an interval."""

    bound: float = 3.0

    @property
    def what(self) -> str:
        """With the number."""
        return f"noise clipped to [-{self.bound:g}, {self.bound:g}]"

    def heard(self, noise: NoiseSource) -> NoiseSource:
        """Clipped at both sides."""
        return Filtered(noise, lambda z: z.clamp(-self.bound, self.bound))


@dataclass(frozen=True)
class Rounded(Defect):
    """Noise in float32, whatever the dtype of the state is; it claims not to be affine."""

    def heard(self, noise: NoiseSource) -> NoiseSource:
        """There and back."""
        return Filtered(noise, lambda z: z.to(torch.float32).to(z))

    def promised(self, claims: Claims) -> Claims:
        """Not affine: superposition fails by a rounding of float32."""
        return replace(claims, affine=False)


@dataclass(frozen=True)
class Signs(Defect):
    """Two-point noise, +1 or -1, in place of normal numbers: not affine, as is then claimed."""

    def heard(self, noise: NoiseSource) -> NoiseSource:
        """The signs of the numbers."""
        return Filtered(noise, torch.sign)


class _Torch(NoiseSource):
    def normal(self, like: Tensor) -> Tensor:
        return torch.randn_like(like)


class _Python(NoiseSource):
    def normal(self, like: Tensor) -> Tensor:
        return SharedNoise(random.getrandbits(62)).normal(like)


@dataclass(frozen=True)
class Global(Defect):
    """Noise from torch's global generator."""

    def heard(self, noise: NoiseSource) -> NoiseSource:
        """Not the source of the run."""
        return _Torch()


@dataclass(frozen=True)
class Python(Defect):
    """Noise that is seeded by Python's global generator."""

    def heard(self, noise: NoiseSource) -> NoiseSource:
        """Not the source of the run."""
        return _Python()


@dataclass(frozen=True)
class Seeded(Defect):
    """Noise from a generator of its own, with a fixed seed."""

    def heard(self, noise: NoiseSource) -> NoiseSource:
        """Not the source of the run."""
        return SharedNoise(0)


@dataclass(frozen=True)
class SilentLast(Defect):
    """No noise in the step that ends at eps."""

    def start(self, begin: Begin, reverse: ReverseSDE, run: Run) -> Advance:
        """Start twice: with the noise, and without."""
        loud = begin(reverse, run)
        silent = begin(reverse, replace(run, noise=Silence()))

        def advance(x: Tensor, t: float, s: float) -> Tensor:
            return (silent if s <= reverse.forward.eps else loud)(x, t, s)

        return advance
