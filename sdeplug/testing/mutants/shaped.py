"""Mistakes that only states of some shapes or dtypes meet."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from sdeplug.noise import NoiseSource
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.score import InDtype
from sdeplug.solvers import Advance
from sdeplug.testing.mutants.defect import Begin, Defect
from sdeplug.testing.mutants.heard import Filtered


@dataclass(frozen=True)
class Only(Defect):
    """A mistake that shows for some states alone.

    Attributes:
        defect: the mistake.
        of: which states, a function of a module; its description says it in words.
    """

    defect: Defect
    of: Callable[[Tensor], bool]

    @property
    def what(self) -> str:
        """The mistake, and for what."""
        return f"{self.defect.what}, {(self.of.__doc__ or '').rstrip('.').lower()}"

    def start(self, begin: Begin, reverse: ReverseSDE, run: Run) -> Advance:
        """Start twice: rightly, and wrongly."""
        right, wrong = begin(reverse, run), self.defect.start(begin, reverse, run)

        def advance(x: Tensor, t: float, s: float) -> Tensor:
            return (wrong if self.of(x) else right)(x, t, s)

        return advance


def images(x: Tensor) -> bool:
    """For images."""
    return x.ndim == 4


def sequences(x: Tensor) -> bool:
    """For sequences."""
    return x.ndim == 3


def volumes(x: Tensor) -> bool:
    """For volumes."""
    return x.ndim == 5


def bfloat16(x: Tensor) -> bool:
    """For a state in bfloat16."""
    return x.dtype == torch.bfloat16


def float16(x: Tensor) -> bool:
    """For a state in float16."""
    return x.dtype == torch.float16


@dataclass(frozen=True)
class ChannelsCorrelated(Defect):
    """The noise of each channel has some of that of the one before, at the right variance."""

    correlation: float = 0.2

    def heard(self, noise: NoiseSource) -> NoiseSource:
        """A moving average over the axis of the channels, where there is one."""
        own = math.sqrt(1.0 - self.correlation**2)

        def mixed(z: Tensor) -> Tensor:
            return own * z + self.correlation * z.roll(1, 1) if z.ndim > 2 else z

        return Filtered(noise, mixed)


@dataclass(frozen=True)
class ChannelsShared(Defect):
    """One noise for all channels of an image."""

    def heard(self, noise: NoiseSource) -> NoiseSource:
        """That of the first."""
        return Filtered(noise, lambda z: z[:, :1].expand_as(z) if z.ndim > 2 else z)


@dataclass(frozen=True)
class ChannelsSmall(Defect):
    """All channels of an image but the first come out times 0.9."""

    def start(self, begin: Begin, reverse: ReverseSDE, run: Run) -> Advance:
        """Start the right solver, and scale what comes out."""
        advance = begin(reverse, run)

        def wrong(x: Tensor, t: float, s: float) -> Tensor:
            y = advance(x, t, s)
            return torch.cat((y[:, :1], 0.9 * y[:, 1:]), 1) if y.ndim > 2 else y

        return wrong


@dataclass(frozen=True)
class TailSmall(Defect):
    """The numbers of a row from the ninth on have noise times 0.9."""

    def heard(self, noise: NoiseSource) -> NoiseSource:
        """By place in a line."""

        def less(z: Tensor) -> Tensor:
            line = z.flatten(1)
            return torch.cat((line[:, :8], 0.9 * line[:, 8:]), 1).reshape(z.shape)

        return Filtered(noise, less)


@dataclass(frozen=True)
class ScoreTransposed(Defect):
    """The score of a square image is that of the image with height and width exchanged."""

    def seen(self, reverse: ReverseSDE) -> ReverseSDE:
        """With a score whose last two axes are exchanged, where they are as long."""
        model = reverse.score_model

        def turned(x: Tensor, t: Tensor) -> Tensor:
            square = x.ndim > 3 and x.shape[-1] == x.shape[-2]
            return model(x, t).transpose(-1, -2).clone() if square else model(x, t)

        return replace(reverse, score_model=turned)


@dataclass(frozen=True)
class WithHalfScore(Defect):
    """A mistake that shows where the score model runs in half precision.

    Attributes:
        defect: the mistake.
    """

    defect: Defect

    @property
    def what(self) -> str:
        """The mistake, and where."""
        return f"{self.defect.what}, where the score model runs in half precision"

    def start(self, begin: Begin, reverse: ReverseSDE, run: Run) -> Advance:
        """Start wrongly, if so."""
        model: object = reverse.score_model
        while model is not None and not isinstance(model, InDtype):
            model = getattr(model, "score_model", None)
        return (begin if model is None else partial(self.defect.start, begin))(reverse, run)
