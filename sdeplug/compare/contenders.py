"""Who takes part in a comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from sdeplug.compare.conditions import checked_grid
from sdeplug.compose import OnGrid
from sdeplug.errors import ArgumentError, PairingError
from sdeplug.grid import TimeGrid
from sdeplug.pipeline import Pipeline
from sdeplug.registry import solver
from sdeplug.reverse import checked_level
from sdeplug.solvers import Integrator, found_instead

Factory = Callable[[int], Integrator]
"""Gives an integrator for a budget of score evaluations."""

DEFAULT_SOLVERS: Mapping[str, tuple[str, Mapping[str, object], float | None]] = MappingProxyType(
    {
        "euler-maruyama": ("song/euler-maruyama", {}, None),
        "reverse-diffusion": ("song/reverse-diffusion", {}, None),
        "ancestral": ("song/ancestral", {}, None),
        "ddim": ("song/ancestral", {}, 0.0),
        "euler": ("ode/euler", {}, None),
        "heun": ("ode/heun", {}, None),
        "rk4": ("ode/rk4", {}, None),
        "adams-bashforth-3": ("ode/adams-bashforth", {"order": 3}, None),
    }
)
"""What is compared when nobody says what: label to name, options and stochasticity."""


@dataclass(frozen=True)
class Contender:
    """A solver with a stochasticity, or a grid, of its own.

    Attributes:
        by: an integrator, a function of a budget that gives one, or a pipeline.
        stochasticity: of the reverse SDE; None: that of the comparison.
        grid: where fixed steps end; of several the best is taken, by the metric that ranks, with
            noise that the comparison does not use.  None: that of the comparison.

    Raises:
        PairingError: if ``by`` is none of these.
        ArgumentError: for a stochasticity or grid that is not allowed.
    """

    by: Integrator | Factory | Pipeline
    stochasticity: float | None = None
    grid: TimeGrid | Sequence[TimeGrid] | None = None

    def __post_init__(self) -> None:
        factory = callable(self.by) and not isinstance(self.by, type)
        if not (factory or isinstance(self.by, (Integrator, Pipeline))):
            raise PairingError(
                f"{self.by!r}: must be an Integrator, a function of a budget that gives one, or a "
                f"Pipeline. {found_instead(self.by)}"
            )
        if self.stochasticity is not None:
            checked_level(self.stochasticity)
        if self.grid is not None:
            for each in self.grids:
                checked_grid(each)

    @property
    def grids(self) -> tuple[TimeGrid, ...]:
        """The grids of its own; none: that of the comparison."""
        if self.grid is None:
            return ()
        if not isinstance(self.grid, (tuple, list)):
            return (self.grid,)  # type: ignore[return-value]  # what is none is refused
        if not self.grid:
            raise ArgumentError("grid", self.grid, "at least one grid", "LogSNR(1) is one.")
        return tuple(self.grid)

    @property
    def alone(self) -> tuple[Contender, ...]:
        """The same with each of its grids alone."""
        return tuple(replace(self, grid=each) for each in self.grids) or (self,)


@dataclass(frozen=True)
class Entrant:
    """A sampler that is ready to run: a contender at a budget.

    Attributes:
        solver: the label of the contender.
        budget: the budget; None for a sampler that is compared as it is.
        pipeline: what runs, with its own score model.
        excess: why it may spend more than its budget.
    """

    solver: str
    budget: int | None
    pipeline: Pipeline
    excess: str = ""

    @property
    def sampler(self) -> str:
        """What runs, for people."""
        return ", ".join(repr(leg.by) for leg in self.pipeline.legs)

    @property
    def grid(self) -> str:
        """The grid of its first leg, for people; all of the leg where it has none."""
        by = self.pipeline.legs[0].by
        return repr(by.grid if isinstance(by, OnGrid) else by)


def default_solvers() -> dict[str, Contender]:
    """The solvers of :data:`DEFAULT_SOLVERS`, built."""
    return {
        label: Contender(solver(name, **options), level)
        for label, (name, options, level) in DEFAULT_SOLVERS.items()
    }
