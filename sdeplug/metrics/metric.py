"""What a metric is: a number for how far samples are from the law that they should have."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from sdeplug.noise import NoiseSource, SharedNoise
from sdeplug.options import Configured
from sdeplug.sde import LinearSDE
from sdeplug.targets import Target


@dataclass(frozen=True)
class Truth:
    """The law that samples should have: that of a target under an SDE, at one time.

    Attributes:
        target: the data law.
        sde: the SDE that turns data into noise.
        t: the time that the samples are at.
        seed: what the exact draws depend on.
    """

    target: Target
    sde: LinearSDE
    t: float
    seed: int = 0

    def draws(self, n: int, word: str = "truth") -> Tensor:
        """Exact draws of p_t; to be read, not written to.

        Args:
            n: how many.
            word: another word gives other draws, independent of these.

        Returns:
            float64, shape ``(n, *shape)``.
        """
        return _draws(self, n, word)

    def noise(self, word: str = "metric") -> NoiseSource:
        """A source of noise that depends on the seed and the word alone."""
        return stream(self.seed, word)

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean, shape ``(D,)``, and covariance, shape ``(D, D)``: float64, exact."""
        return self.target.moments(self.t, self.sde)

    def scale(self) -> float:
        """Standard deviation of a coordinate, in the root of the mean square over all."""
        return float(self.moments()[1].diagonal().mean().sqrt())


class Metric(Configured, ABC):
    """A number for samples: how far they are from the law that they should have.

    A metric is a frozen dataclass whose fields are its options.  It may be noisy: the comparison
    puts beside it what exact draws get, and its standard error.
    """

    higher_is_better: ClassVar[bool] = False
    """Whether a larger number is a better one."""

    @classmethod
    def suits(cls, target: Target) -> bool:
        """Whether it is defined for this target, and says something about it."""
        return True

    @abstractmethod
    def measure(self, x: Tensor, truth: Truth) -> float:
        """The number.

        Args:
            x: samples, shape ``(n, *shape)``, any floating dtype; not to be written to.
            truth: what they should be; random numbers come from ``truth.noise`` alone.
        """


def is_image(target: Target) -> bool:
    """Whether a sample is a grey or a colour picture: (channels, height, width)."""
    return len(target.shape) == 3 and target.shape[0] in (1, 3)


def stream(seed: int, word: str) -> NoiseSource:
    """A source of noise for one purpose: a pure function of the seed and a word for the purpose."""
    return SharedNoise(seed).stream(word)


@lru_cache(maxsize=8)  # the solvers of one seed are measured against the same draws
def _draws(truth: Truth, n: int, word: str) -> Tensor:
    return truth.target.sample(
        n, noise=stream(truth.seed, word), t=truth.t, sde=truth.sde, dtype=torch.float64
    )
