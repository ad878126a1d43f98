r"""Consistency at a point: how fast the law of a solver leaves the marginals.

Over a span of H nats of log-SNR a consistent solver is off by some :math:`H^2` at most, whatever
the forward SDE, the stochasticity and the number of steps in the span: its *leak*, the error per
nat in the limit of short spans, is nothing.  Two spans tell the limit, by extrapolation, and each
is a run of few steps.  So what whole runs prove in a few settings is proven here in many.

A solver that makes its own steps may do something else in the last of them, as one that returns
its mean; its leak is the limit of ever more steps over one span.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from sdeplug.compose import OnGrid
from sdeplug.grid import TimeGrid, Uniform
from sdeplug.noise import SharedNoise
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Integrator
from sdeplug.testing.bench import SPECTRUM, Solver, gaussian_law, gaussian_score, jumps, sdes
from sdeplug.testing.claimed import Level, first_level, own_grid
from sdeplug.testing.exact.affine import is_affine
from sdeplug.testing.exact.laws import (
    Law,
    counted_columns,
    exact_spectrum,
    extrapolated_columns,
    relative_error,
)
from sdeplug.testing.exact.refine import refinements
from sdeplug.testing.findings import NotApplicable
from sdeplug.testing.memory import remembered

Gridded = Callable[[int], TimeGrid]
"""Number of steps to a grid."""

SPAN = 0.01
"""Nats of log-SNR in the span of a leak."""

LEAK = 1e-3
"""What the leak of a consistent solver stays under; measured in right solvers: 2e-4."""

_MANY = 8  # steps over one span of a solver that makes its own; then twice as many
_WIDER = 20.0  # that span, in usual ones: times that are kept in float32 tell its steps apart
_FIRST = 1e-3  # of T: where a log-SNR that is infinite at eps is looked at
_UNITS = (-2.0, -0.5, 0.5, 2.0)  # standard deviations from the mean, where paths start


@dataclass(frozen=True)
class Ramp:
    """A stochasticity that goes from one value at time 0 to another at T, evenly."""

    start: float
    end: float
    T: float

    def __call__(self, t: float) -> float:
        """The stochasticity at time t."""
        return self.start + (self.end - self.start) * t / self.T

    def __str__(self) -> str:
        return f"from {self.start:g} at t = 0 to {self.end:g} at T"


@dataclass(frozen=True)
class Place:
    """Where a solver is watched.

    Attributes:
        sde: the forward SDE.
        level: the stochasticity.
        t: time to start from.
        ends: times to reach; for a leak after one span, half of it, and twenty.
    """

    sde: LinearSDE
    level: Level
    t: float
    ends: tuple[float, ...]

    @property
    def noise(self) -> str:
        """The stochasticity, in words."""
        return str(self.level) if callable(self.level) else f"{self.level:g}"

    def __str__(self) -> str:
        return f"from t = {self.t:.3g} on, {self.sde!r}, stochasticity {self.noise}"


@remembered(64)  # the same for every solver
def places(sde: LinearSDE, level: Level, *log_snrs: float) -> tuple[Place, ...]:
    """Places at which the log-SNR has the given values."""
    starts = torch.tensor(log_snrs, dtype=torch.float64, device="cpu")
    spans = SPAN * torch.tensor((0.0, 1.0, 0.5, _WIDER), dtype=torch.float64, device="cpu")
    times = sde.time_at(starts[:, None] + spans).tolist()
    sde.prepare([each for row in times for each in row])
    return tuple(Place(sde, level, t, tuple(ends)) for t, *ends in times)


def inner(sde: LinearSDE, *fractions: float) -> tuple[float, ...]:
    """Log-SNRs between those at T (0) and at eps (1)."""
    low, high = sde.at(sde.T).log_snr, sde.at(sde.eps).log_snr
    if not math.isfinite(high):
        high = sde.at(_FIRST * sde.T).log_snr
    return tuple(low + each * (high - low) for each in fractions)


@dataclass(frozen=True)
class Watched:
    """A consistent solver whose errors are known without chance.

    Attributes:
        integrator: the solver.
        affine: whether its law is known; else it follows the flow, and its paths are.
    """

    integrator: Integrator
    affine: bool

    @classmethod
    def of(cls, solver: Solver) -> Watched:
        """A solver, if it claims to be consistent and its errors can be known.

        Raises:
            NotApplicable: if it does not, or they cannot.
        """
        if not isinstance(solver, Integrator):
            raise NotApplicable("it is a corrector")
        claims = solver.claims
        if jumps(solver):
            raise NotApplicable("it runs to 0 only, in one step")
        if claims.floor is not None:
            raise NotApplicable(f"it declares a bias that does not vanish (floor={claims.floor:g})")
        if claims.order is None:
            raise NotApplicable("it claims no order")
        affine = is_affine(solver)
        if not affine and claims.stochastic:
            raise NotApplicable("it is not affine: its law is not to be had exactly")
        return cls(solver, affine)

    def leak(self, place: Place, steps: int) -> Tensor:
        """The errors per nat of log-SNR in the limit, those of :meth:`error`.

        Args:
            place: where.
            steps: in each of two spans; of no meaning where it makes its own steps.
        """
        full, half, wide = place.ends
        runs = ((steps, full), (steps, half))
        if own_grid(self.integrator):
            runs = ((_MANY, wide), (2 * _MANY, wide))
        coarse, fine = (
            self.error(place, end, count) / _nats(place.sde, place.t, end) for count, end in runs
        )
        return 2.0 * fine - coarse

    def error(self, place: Place, end: float, steps: int, grid: Gridded = Uniform) -> Tensor:
        """How far it is off at the end of a span, in standard deviations, if right at its start.

        Returns:
            As :func:`relative_error` has it, shape ``(2 D,)``; for paths, what the straight line
            through their errors makes of the standard deviations and means.
        """
        sampler = partial(_carried, _on(self, place.sde, steps, grid), place, end)
        law = gaussian_law(place.sde)
        (mean, variance), (there, wanted) = law(place.t), law(end)
        if self.affine:
            columns = extrapolated_columns(partial(_counted, self), steps)
            reached = exact_spectrum(sampler, Law(mean, torch.diag(variance)), columns)
            return relative_error(reached, Law(there, torch.diag(wanted)))
        units = torch.tensor(_UNITS, dtype=torch.float64, device="cpu")[:, None]
        with torch.no_grad():
            y = sampler(mean + units * variance.sqrt(), Run(SharedNoise(0)))
        off = (y - there) / wanted.sqrt() - units
        return torch.cat(((off * units).mean(0) / units.square().mean(), off.mean(0)))


@remembered(64)
def _counted(watched: Watched, steps: int) -> int:
    """How many draws it makes, wherever it is."""
    sde, solver = sdes(watched.integrator)[0], watched.integrator
    (place,) = places(sde, first_level(solver), 0.0)
    sampler = partial(_carried, _on(watched, sde, steps, Uniform), place, place.ends[0])
    return counted_columns(sampler, len(SPECTRUM))


def _on(watched: Watched, sde: LinearSDE, steps: int, grid: Gridded) -> Integrator:
    """The solver on so many steps of any span."""
    if own_grid(watched.integrator):
        return refinements(watched.integrator, sde)[0](steps)
    if not watched.integrator.needs_grid:
        return watched.integrator
    return OnGrid(watched.integrator, grid(steps))


def _carried(by: Integrator, place: Place, end: float, x: Tensor, run: Run) -> Tensor:
    reverse = ReverseSDE(place.sde, gaussian_score(place.sde), place.level)
    return by.integrate(reverse, x, place.t, end, run)


def _nats(sde: LinearSDE, t: float, s: float) -> float:
    return sde.at(s).log_snr - sde.at(t).log_snr
