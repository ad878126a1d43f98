"""How often each step of a chain is looked at; rows are weighted for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError
from sdeplug.options import Configured, option
from sdeplug.sde import LinearSDE
from sdeplug.training.chain import Chain
from sdeplug.training.times import Drawn, Times


@dataclass(frozen=True, kw_only=True)
class Steps(Configured, ABC):
    """How often each step of a chain is looked at."""

    low_discrepancy: bool = option(True, help="spread the steps of a batch evenly")

    @abstractmethod
    def shares(self, chain: Chain) -> Tensor:
        """In proportion to what a step is drawn: float64, shape ``(N,)``, above 0."""


@dataclass(frozen=True)
class EvenSteps(Steps):
    """Each step as often."""

    def shares(self, chain: Chain) -> Tensor:
        """1."""
        return torch.ones_like(chain.t)


@dataclass(frozen=True)
class SNRSteps(Steps):
    """By what an error of the noise costs at the step: the fall of the signal-to-noise ratio.

    Where the error of the noise is about the same at each step, so is every row of the bound.
    """

    def shares(self, chain: Chain) -> Tensor:
        """SNR of the level below over that of the level, minus 1; the first step as the next."""
        drop = chain.snr_drop
        return torch.cat((drop[1:2], drop[1:])) if len(drop) > 1 else torch.ones_like(drop)


@dataclass(frozen=True)
class MeasuredSteps(Steps):
    """By the root of the mean square of the bound's terms, as measured: the least variance.

    :meth:`VariationalLoss.measured` measures them.

    Nichol & Dhariwal, arXiv 2102.09672, equation 18.
    """

    sizes: tuple[float, ...] = option(help="size of each step's term, from the data up", gt=0.0)

    def __repr__(self) -> str:
        return f"MeasuredSteps(<{len(self.sizes)} sizes>)"

    def shares(self, chain: Chain) -> Tensor:
        """The sizes.

        Raises:
            ArgumentError: unless there is one for each step.
        """
        if len(self.sizes) != len(chain.t):
            raise ArgumentError(
                "sizes", self, f"{len(chain.t)} numbers, one for each step of the chain",
                "Measure them with the grid of the loss: loss.measured(network, x0, noise).",
            )  # fmt: skip
        return torch.tensor(self.sizes, dtype=torch.float64, device="cpu")


@dataclass(frozen=True)
class ChainTimes(Times):
    """The levels of a chain, drawn in given shares."""

    chain: Chain = option(help="levels")
    steps: Steps = option(help="their shares")

    @classmethod
    def of(cls, chain: Chain, steps: Steps) -> ChainTimes:
        """The levels, spread over a batch as the steps are."""
        return cls(chain, steps, low_discrepancy=steps.low_discrepancy)

    def at(self, sde: LinearSDE, u: Tensor) -> Drawn:
        """The level up to which the shares sum to u; its weight is 1 for equal shares."""
        shares = self.steps.shares(self.chain)
        bounds = shares.cumsum(0) / shares.sum()
        number = torch.searchsorted(bounds, u, right=True).clamp(max=len(bounds) - 1)
        return Drawn(self.chain.t[number], shares.mean() / shares[number])
