"""The conditions that all solvers of a comparison meet."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from sdeplug.compare.flow import Flow
from sdeplug.errors import ArgumentError
from sdeplug.grid import LogSNR, TimeGrid
from sdeplug.options import Configured, option


@dataclass(frozen=True)
class Conditions(Configured):
    """Where steps end, how noisy the reverse SDE is, and how wrong the score. ::

        compare(solvers, target, sde, conditions=Conditions(score_errors=(0.0,)))

    Attributes:
        grid: where fixed steps end, with any number of steps, which is replaced.
        score_errors: relative sizes of a smooth error of the score (:class:`PerturbedScore`), one
            axis of the comparison for each; 0 is the exact score.  One number will do.
        stochasticity: of the reverse SDE, for solvers that bring none of their own.
        flow: the converged flow, which runs without noise are held against; None: none.

    Raises:
        ArgumentError: for a value that is not allowed.
    """

    grid: TimeGrid = option(LogSNR(1), help="where fixed steps end; their number is replaced")
    score_errors: tuple[float, ...] = option((0.0, 0.1), help="sizes of the error", ge=0.0, le=10.0)
    stochasticity: float = option(1.0, help="of the reverse SDE", ge=0.0)
    flow: Flow | None = option(None, help="the converged flow to hold runs against")

    def __post_init__(self) -> None:
        given: object = self.score_errors
        sizes = tuple(given) if isinstance(given, (tuple, list)) else (given,)
        object.__setattr__(self, "score_errors", sizes)
        super().__post_init__()
        checked_grid(self.grid)
        if not sizes:
            raise ArgumentError("score_errors", given, "at least one size", "0 is the exact score.")


def checked_grid(grid: TimeGrid) -> None:
    """Refuse a grid whose number of steps cannot be set."""
    if not isinstance(grid, TimeGrid) or "steps" not in {each.name for each in fields(grid)}:  # type: ignore[arg-type]
        raise ArgumentError("grid", grid, "a grid with a number of steps, such as LogSNR(1)")


def with_steps(grid: TimeGrid, steps: int) -> TimeGrid:
    """The same grid with so many steps."""
    changed: TimeGrid = replace(grid, steps=steps)  # type: ignore[type-var]
    return changed
