"""Mistakes that only states of some shapes meet."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sdeplug.noise import NoiseSource
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.solvers import Advance
from sdeplug.testing.mutants.defect import Begin, Defect
from sdeplug.testing.mutants.heard import Filtered


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
