"""The table of noise levels of a scheduler, as a forward SDE."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from sdeplug import ArgumentError, LinearSDE


@dataclass(frozen=True, eq=False)
class Ladder(LinearSDE):
    """Noise levels, the k-th of them at time k + 1, and none at time 0; alpha is 1.

    A transition from level to level is that of the table, in its precision: what a scheduler of
    diffusers computes.

    Attributes:
        levels: rising noise levels, shape ``(N,)``, on the CPU.

    Raises:
        ArgumentError: unless they rise.
    """

    levels: Tensor = field(repr=False)
    eps: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "_count", float(len(self.levels)))
        super().__post_init__()
        if not bool((self.levels.diff() > 0.0).all()):
            raise ArgumentError(
                "discrete_sigmas", self.levels.tolist()[:3], "rising, from sigma_min to sigma_max"
            )
        before = torch.cat((self.levels.new_zeros(1), self.levels[:-1]))
        spread = (self.levels.square() - before.square()).sqrt()
        object.__setattr__(self, "_variances", spread.square().tolist())

    @property
    def T(self) -> float:  # type: ignore[override]
        """The number of levels."""
        count: float = getattr(self, "_count")  # noqa: B009
        return count

    @property
    def prior_std(self) -> float:
        """The highest level."""
        return float(self.levels[-1])

    def log_alpha(self, t: Tensor) -> Tensor:
        """0."""
        return torch.zeros_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        """The levels, and straight lines between them, elementwise."""
        levels = torch.cat((self.levels.new_zeros(1), self.levels)).to(t)
        k = t.detach().floor().long().clamp(0, len(levels) - 2)
        return levels[k] + (t - k) * (levels[k + 1] - levels[k])

    def transition(self, s: float, t: float) -> tuple[float, float]:
        """(1, variance) between neighbours of the table; between others as for every SDE."""
        if t - s == 1.0 and t == int(t):
            variances: list[float] = getattr(self, "_variances")  # noqa: B009
            return 1.0, variances[int(t) - 1]
        return super().transition(s, t)


def ladder_of(levels: Tensor, known: Ladder | None) -> Ladder:
    """The one of some levels: that of the last run, where it has the same, as it is sound."""
    if known is not None and torch.equal(known.levels, levels):
        return known
    return Ladder(levels)
