r"""Noise levels for annealed Langevin dynamics, from the data alone.

Song & Ermon, *Improved techniques for training score-based generative models*, arXiv 2006.09011:
the largest level reaches from any datum to any other (technique 1); neighbouring levels overlap,

.. math:: C(\gamma) = \Phi(\sqrt{2D}(\gamma - 1) + 3\gamma)
          - \Phi(\sqrt{2D}(\gamma - 1) - 3\gamma) \approx \tfrac12

(technique 2); and the step keeps the variance of a level that came down from the one above
(technique 4).  In units of the level's own, T steps with signal-to-noise ratio r take a variance
:math:`\gamma^2` to

.. math:: (1 - 2 r^2)^{2T} (\gamma^2 - v) + v, \qquad v = 1 / (1 - r^2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug import (
    VESDE,
    ArgumentError,
    Corrected,
    Denoise,
    Leg,
    LogSNR,
    OnGrid,
    Pipeline,
    ReverseSDE,
    ScoreModel,
)
from sdeplug_song.hold import Hold
from sdeplug_song.langevin import AnnealedLangevin

_PIECE = 1024  # rows whose distances to all others are there at a time
_HALVINGS = 60  # down to the rounding of float64
_GOLDEN = 0.5 * (math.sqrt(5.0) - 1.0)


@dataclass(frozen=True)
class NoiseLevels:
    """Noise levels in a geometric sequence, and the sampler that goes down them.

    Attributes:
        largest: sigma of the first level, in the unit of the data.
        smallest: sigma of the last level, above 0.
        count: number of levels, at least 2.

    Raises:
        ArgumentError: unless smallest is above 0 and below largest, and there are two levels.
    """

    largest: float
    smallest: float
    count: int

    def __post_init__(self) -> None:
        if not 0.0 < self.smallest < self.largest < math.inf:
            raise ArgumentError(
                "smallest", self.smallest, f"above 0 and below largest = {self.largest:.6g}"
            )
        if self.count < 2:
            raise ArgumentError("count", self.count, "a whole number of at least 2")

    @classmethod
    def of(cls, data: Tensor, smallest: float = 0.01, overlap: float = 0.5) -> NoiseLevels:
        """The levels that techniques 1 and 2 choose.

        Args:
            data: shape ``(N, *D)``; some thousand rows tell the largest distance well.
            smallest: the last level, which should be too little to be seen.
            overlap: C, in (0, 1).

        Raises:
            ArgumentError: for a smallest level that is not below the largest distance, and as
                :func:`largest_distance` and :func:`overlap_ratio`.
        """
        largest = largest_distance(data)
        span = math.log(cls(largest, smallest, 2).ratio)
        step = math.log(overlap_ratio(data[0].numel(), overlap))
        return cls(largest, smallest, 1 + math.ceil(span / step))

    @property
    def ratio(self) -> float:
        """gamma: a level over the next."""
        return float((self.largest / self.smallest) ** (1.0 / (self.count - 1)))

    @property
    def sde(self) -> VESDE:
        """The forward SDE with these levels as its ends."""
        return VESDE(self.smallest, self.largest)

    @property
    def grid(self) -> LogSNR:
        """The grid whose steps lead from each level to the next."""
        return LogSNR(self.count - 1)

    def by(self, sweeps: int = 5) -> OnGrid:
        """Annealed Langevin dynamics: hold, then ``sweeps`` steps at each level, with the step of
        technique 4.  The first level is the prior itself and needs none."""
        langevin = AnnealedLangevin(annealed_snr(self.ratio, sweeps))
        return OnGrid(Corrected(Hold(), langevin, sweeps), self.grid)

    def pipeline(self, score: ScoreModel, sweeps: int = 5) -> Pipeline:
        """The sampler, with a last jump to the data.

        Args:
            score: a score model of :attr:`sde`.
            sweeps: Langevin steps at each level.
        """
        sde = self.sde
        return Pipeline(
            ReverseSDE(sde, score), (Leg(sde.eps, self.by(sweeps)), Leg(0.0, Denoise()))
        )


def largest_distance(data: Tensor) -> float:
    """The largest Euclidean distance between two rows (technique 1).

    Args:
        data: shape ``(N, *D)``, at least two rows, finite.

    Raises:
        ArgumentError: for any other data.
    """
    if data.ndim < 2 or len(data) < 2 or not bool(data.isfinite().all()):
        raise ArgumentError(
            "data", tuple(data.shape), "finite numbers of shape (N, *D) with at least two rows"
        )
    rows = data.detach().flatten(1).to(torch.float64)
    return max(float(torch.cdist(piece, rows).max()) for piece in rows.split(_PIECE))


def overlap(ratio: float, dimension: int) -> float:
    """C(gamma): how much of a level the next one reaches, by the rule of three sigma.

    Noise of standard deviation 1 in D dimensions has a radius close to N(sqrt(D), 1/2).

    Args:
        ratio: gamma, at least 1.
        dimension: D.
    """
    shift = math.sqrt(2.0 * dimension) * (ratio - 1.0)
    upper, lower = ((shift + sign * 3.0 * ratio) / math.sqrt(2.0) for sign in (1.0, -1.0))
    return 0.5 * (math.erfc(lower) - math.erfc(upper))


def overlap_ratio(dimension: int, wanted: float = 0.5) -> float:
    """The ratio gamma of two neighbouring levels whose overlap is the wanted one (technique 2).

    Args:
        dimension: D, at least 1.
        wanted: C, above 0 and below 0.99, since C(1) = 0.9973.

    Raises:
        ArgumentError: for any other numbers.
    """
    if dimension < 1:
        raise ArgumentError("dimension", dimension, "a whole number of at least 1")
    if not 0.0 < wanted < 0.99:
        raise ArgumentError("overlap", wanted, "above 0 and below 0.99")
    low, high = 1.0, 2.0
    while overlap(high, dimension) > wanted:
        if high > 1e6:
            raise ArgumentError(
                "overlap", wanted, f"more than {overlap(high, dimension):.3g} in D = {dimension}",
                "In few dimensions even distant levels overlap.",
            )  # fmt: skip
        high *= 2.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if overlap(middle, dimension) > wanted else (low, middle)
    return high


def annealed_variance(snr: float, ratio: float, sweeps: int) -> float:
    """The variance after so many Langevin steps on a level, in units of the level's own.

    Args:
        snr: r of :class:`AnnealedLangevin`, above 0 and below 1.
        ratio: gamma, the standard deviation that the level above leaves, in the same unit.
        sweeps: T.
    """
    stationary = 1.0 / (1.0 - snr**2)
    return float((1.0 - 2.0 * snr**2) ** (2 * sweeps) * (ratio**2 - stationary) + stationary)


def annealed_snr(ratio: float, sweeps: int) -> float:
    """The signal-to-noise ratio whose steps leave the variance nearest to 1 (technique 4).

    It is never below 1 where the step forgets without overshooting, r^2 < 1/2: short steps leave
    what came from above, long ones a bias of their own.

    Raises:
        ArgumentError: for a ratio that is not above 1, or no step.
    """
    if not 1.0 < ratio < math.inf:
        raise ArgumentError("ratio", ratio, "a finite number above 1")
    if sweeps < 1:
        raise ArgumentError("sweeps", sweeps, "a whole number of at least 1")
    low, high = 0.0, math.sqrt(0.5)
    while high - low > 1e-9:
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if annealed_variance(left, ratio, sweeps) < annealed_variance(right, ratio, sweeps):
            high = right
        else:
            low = left
    return 0.5 * (low + high)
