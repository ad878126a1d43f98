"""Noise that is not normal, or not always there: right up to its variance or mean."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sdeplug.noise import NoiseSource
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.solvers import Advance, Claims
from sdeplug.testing.mutants.defect import Begin, Defect
from sdeplug.testing.mutants.heard import Filtered


@dataclass(frozen=True)
class Changed(Defect):
    """Noise made of normal numbers by a function; it claims neither to be affine nor a path.

    Attributes:
        numbers: function of normal numbers, of a module; its description says it in words.
        factor: what comes out is multiplied with.
    """

    numbers: Callable[[Tensor], Tensor]
    factor: float = 1.0

    def __repr__(self) -> str:  # the same in every process
        return f"{type(self).__name__}({self.numbers.__name__}, {self.factor:g})"

    @property
    def what(self) -> str:
        """The function, and the factor."""
        told = (self.numbers.__doc__ or "").rstrip(".").lower()
        return told if self.factor == 1.0 else f"{told}, times {self.factor:g}"

    def heard(self, noise: NoiseSource) -> NoiseSource:
        """Through the function."""
        return Filtered(noise, lambda z: self.factor * self.numbers(z))

    def promised(self, claims: Claims) -> Claims:
        """Not affine, and of no strong order."""
        return replace(claims, affine=False, strong_order=None)


def signs(z: Tensor) -> Tensor:
    """Noise of +1 or -1."""
    return torch.sign(z)


def three_points(z: Tensor) -> Tensor:
    """Noise of 0 or, one time in six each, plus or minus the root of 3."""
    return math.sqrt(3.0) * torch.sign(z) * (z.abs() > _SIXTH)


def rare_points(z: Tensor) -> Tensor:
    """Noise of 0 or, one time in seven each, plus or minus the root of 3."""
    return math.sqrt(3.0) * torch.sign(z) * (z.abs() > _SEVENTH)


def uneven_signs(z: Tensor) -> Tensor:
    """Noise of +1 or -1, the former in 51 cases of 100."""
    return torch.sign(z + _PERCENT)


def clipped(z: Tensor) -> Tensor:
    """Noise clipped to [-2, 2]."""
    return z.clamp(-2.0, 2.0)


def uniform(z: Tensor) -> Tensor:
    """Uniform noise."""
    ranks: Tensor = torch.special.ndtr(z)
    return math.sqrt(12.0) * (ranks - 0.5)


_SIXTH, _SEVENTH, _PERCENT = 0.9674215661017, 1.0675705238781, 0.02506890825871


@dataclass(frozen=True)
class Thinned(Defect):
    """Noise in every other case, by chance, times the root of 2 and a factor.

    Attributes:
        factor: 1 is right.
    """

    factor: float

    @property
    def what(self) -> str:
        """With the number."""
        return f"noise in half of the cases, by chance, {self.factor:g} times as large as is right"

    def start(self, begin: Begin, reverse: ReverseSDE, run: Run) -> Advance:
        """Ask for a number of each row before each draw."""
        source = run.noise

        def thin(z: Tensor) -> Tensor:
            chosen = source.normal(z[:, :1].flatten(1)[:, :1]) > 0.0
            scale = math.sqrt(2.0) * self.factor * chosen
            return z * scale.to(z.dtype).reshape(-1, *[1] * (z.ndim - 1))

        return begin(reverse, replace(run, noise=Filtered(source, thin)))

    def promised(self, claims: Claims) -> Claims:
        """Not affine, and of no strong order."""
        return replace(claims, affine=False, strong_order=None)
