r"""Strong order: on one Brownian path, path by path, and without noise.

For a Gaussian target and a cell structure that all step sizes share, a sampler and the exact
solution are both linear in x and in dW, so that the expected square of their distance follows
from their kernels:

.. math:: E|X_N - X|^2 = (A_N - A)^2 v_T + \int (k_N(u) - k(u))^2\,du + \text{(means)}^2,
          \qquad k(u) = \Phi(\epsilon, u)\, l\, g(u),

with :math:`\Phi(s, t) = (v_s / v_t)^{(1 + l^2) / 2} (\alpha_s / \alpha_t)^{-l^2}`, v the variance
of p_t.  Impulses in the cells of the path give k_N.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from sdeplug.compose import OnGrid
from sdeplug.errors import PairingError
from sdeplug.grid import LogSNR
from sdeplug.noise import BrownianPath, NoiseSource
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Integrator, with_own_steps
from sdeplug.testing.bench import SPECTRUM, Solver, gaussian, gaussian_score, sdes
from sdeplug.testing.claimed import first_level, levels, own_grid
from sdeplug.testing.exact import Impulses, is_affine, marginal_law, probes
from sdeplug.testing.findings import Curve, Finding, NotApplicable, demand
from sdeplug.testing.memory import remembered

_STEPS = (16, 32, 64, 128)
_MORE = (64, 128, 256)  # steps, where the distances on fewer do not tell
_SLACK = 0.15  # in the observed order
_BELOW = 0.01  # the claimed order, from where one that falls on is followed
_PARTIAL = 0.5  # a stochasticity between flow and reverse SDE


_Measured = Callable[["Paths"], tuple[tuple[int, ...], tuple[float, ...]]]


class OnePath(NoiseSource):
    """The noise of one Brownian path, whatever the steps: a unit normal is its scaled increment.

    Args:
        t: upper end of the path.
        s: lower end.
        impulses: what the path is made of.
    """

    def __init__(self, t: float, s: float, impulses: Impulses) -> None:
        self.t, self.s = t, s
        self.impulses = impulses
        self.span: tuple[float, float] | None = None
        self._path: BrownianPath | None = None

    def normal(self, like: Tensor) -> Tensor:
        """The increment over the present step, as a unit normal.

        Raises:
            CheckFailed: for a second draw in one step, which no increment belongs to.
        """
        demand(
            self.span is not None,
            "it draws more than once in a step, or in steps of its own, so that no Brownian path "
            "is behind its noise: ask run.noise.brownian(x, t, s) for the increments of one, or "
            "claim no strong_order",
        )
        assert self.span is not None
        (late, early), self.span = self.span, None
        return self.brownian(like, late, early).increment(early, late) / math.sqrt(late - early)

    def brownian(self, like: Tensor, t: float, s: float) -> BrownianPath:
        """The path itself, which is as long as the run."""
        if self._path is None:
            self._path = self.impulses.brownian(like, self.t, self.s)
        return self._path


@dataclass(frozen=True)
class _Linear:
    """x -> gain x + offset + sum over the cells of noise dW / sqrt(dt); all of shape (..., D)."""

    gain: Tensor
    offset: Tensor
    noise: Tensor


@dataclass(frozen=True)
class Paths:
    """An integrator and the exact solution on one Brownian path.

    Attributes:
        integrator: the integrator, of one step or with a grid of its own.
        sde: the forward SDE.
        level: the stochasticity.
        steps: numbers of steps, each twice the one before.
    """

    integrator: Integrator
    sde: LinearSDE
    level: float
    steps: tuple[int, ...] = _STEPS
    cells: list[float] = field(init=False)
    maps: list[_Linear] = field(init=False)

    def __post_init__(self) -> None:
        most = self.steps[-1]
        fine = list(LogSNR(most).times(self.sde.T, self.sde.eps, self.sde))
        self.sde.prepare(fine)
        grids = [fine[:: most // steps] for steps in self.steps]
        cells = fine[::-1]
        try:  # most ask for the increments over their steps
            maps = [self._run(grid, cells)[0] for grid in grids]
        except PairingError:
            cells = sorted(set(fine).union(*(self._run(grid, [])[1] for grid in grids)))
            maps = [self._run(grid, cells)[0] for grid in grids]
        object.__setattr__(self, "cells", cells)
        object.__setattr__(self, "maps", maps)

    def _run(self, times: list[float], cells: list[float]) -> tuple[_Linear, set[float]]:
        """The map of a run over a grid, and the times that it asks the path for."""
        patterns = probes(len(SPECTRUM), apart=True)
        impulses = Impulses(patterns, [cells] if cells else ())
        noise = OnePath(times[0], times[-1], impulses)
        x = patterns.new_zeros(2 + max(len(cells) - 1, 0), patterns.shape[1])
        x[1] = 1.0
        reverse = ReverseSDE(self.sde, gaussian_score(self.sde), self.level)
        with torch.no_grad():
            if own_grid(self.integrator):
                by = with_own_steps(self.integrator, len(times) - 1)
                x = by.integrate(reverse, x, times[0], times[-1], Run(noise))
            else:
                advance = self.integrator.begin(reverse, Run(noise))
                for late, early in pairwise(times):
                    noise.span = (late, early)
                    x = advance(x, late, early)
        changes = x[1:] - x[0]
        asked = set().union(*impulses.asked)
        return _Linear(changes[0], x[0], changes[1:]), asked

    def between(self) -> tuple[float, ...]:
        """Root mean square distances of each number of steps to the next."""
        variance = marginal_law(gaussian(), self.sde, self.sde.T).covariance.diagonal()
        return tuple(
            self._size(
                (a.gain - b.gain).square() * variance
                + self._mean(a, b).square()
                + (a.noise - b.noise).square().sum(0)
            )
            for a, b in pairwise(self.maps)
        )

    def exact(self) -> tuple[float, ...]:
        """Root mean square distances to the exact solution."""
        start = marginal_law(gaussian(), self.sde, self.sde.T)
        end = marginal_law(gaussian(), self.sde, self.sde.eps)
        nodes, weights = self._nodes()
        kernel = self._kernel(nodes)
        gain = self._transition(torch.tensor([self.sde.T], dtype=torch.float64, device="cpu"))
        lengths = torch.tensor(self.cells, dtype=torch.float64, device="cpu").diff()[:, None, None]
        sizes = []
        for each in self.maps:
            mean = each.gain * start.mean + each.offset - end.mean
            own = each.noise[:, None] / lengths.sqrt()
            # A solver that measures its increments the other way round follows the path -W.
            distance = torch.stack(
                [(weights * (sign * own - kernel).square()).sum((0, 1)) for sign in (1.0, -1.0)]
            ).amin(0)
            spread = (each.gain - gain).square() * start.covariance.diagonal()
            sizes.append(self._size(spread + mean.square() + distance))
        return tuple(sizes)

    def _mean(self, a: _Linear, b: _Linear) -> Tensor:
        mean = marginal_law(gaussian(), self.sde, self.sde.T).mean
        return (a.gain - b.gain) * mean + a.offset - b.offset

    def _size(self, square: Tensor) -> float:
        unit = marginal_law(gaussian(), self.sde, self.sde.eps).covariance.diagonal()
        return float((square / unit).mean().sqrt())

    def _nodes(self) -> tuple[Tensor, Tensor]:
        """Gauss-Legendre nodes and weights in each cell, shape (cells, 6, 1)."""
        ends = torch.tensor(self.cells, dtype=torch.float64, device="cpu")
        points, weights = map(torch.from_numpy, np.polynomial.legendre.leggauss(6))
        half = 0.5 * ends.diff()[:, None]
        nodes = 0.5 * (ends[1:] + ends[:-1])[:, None] + half * points
        return nodes[..., None], (half * weights)[..., None]

    def _transition(self, u: Tensor) -> Tensor:
        """Phi from times u, of shape (..., 1), to eps."""
        spectrum = torch.tensor(SPECTRUM, dtype=torch.float64, device="cpu")
        level = self.level**2
        end = torch.full_like(u, self.sde.eps)
        log_alpha, log_end = self.sde.log_alpha(u), self.sde.log_alpha(end)
        now = (2.0 * log_alpha).exp() * spectrum + self.sde.sigma(u).square()
        last = (2.0 * log_end).exp() * spectrum + self.sde.sigma(end).square()
        ratio: Tensor = (last / now) ** (0.5 * (1.0 + level))
        return ratio * (level * (log_alpha - log_end)).exp()

    def _kernel(self, u: Tensor) -> Tensor:
        return self._transition(u) * self.level * self.sde.diffusion(u)


def check_strong_order(solver: Solver) -> Finding:
    """On one path it converges to a limit of its own, at the claimed rate."""
    return _judged(solver, "its own limit", lambda paths: (paths.steps[:-1], paths.between()))


def check_strong_limit(solver: Solver) -> Finding:
    """On one path that limit is the exact solution."""
    return _judged(solver, "the exact solution", lambda paths: (paths.steps, paths.exact()))


_paths = remembered(8)(Paths)  # two checks ask for them


def _judged(solver: Solver, limit: str, measured: _Measured) -> Finding:
    integrator, order = _claiming(solver)
    curves = []
    for sde, each in _settings(integrator):
        label = f"{sde!r} at stochasticity {each:g}, to {limit}"
        curve = Curve(label, *measured(_paths(integrator, sde, each)))
        if not _settled(curve, order):
            curve = Curve(label, *measured(_paths(integrator, sde, each, _MORE)))
        curves.append(curve)
        demand(
            _order(curve) >= order - _SLACK,
            f"strong order {_order(curve):.2f} observed, {order:g} claimed, on {curve.label}: "
            f"distances {', '.join(f'{each:.2g}' for each in curve.errors)} at {curve.steps} steps",
            (curve,),
        )
    slowest = min(map(_order, curves))
    return Finding(f"strong order {slowest:.2f} observed, {order:g} claimed", tuple(curves))


def _settings(integrator: Integrator) -> Iterator[tuple[LinearSDE, float]]:
    """One SDE between flow and reverse SDE, then all that are tested at one stochasticity."""
    fitting = sdes(integrator)
    if _PARTIAL in levels(integrator):
        yield fitting[0], _PARTIAL
    for sde in fitting:
        yield sde, first_level(integrator)


def _claiming(solver: Solver) -> tuple[Integrator, float]:
    """The solver as an integrator with a strong order, if the check applies to it."""
    if not isinstance(solver, Integrator):
        raise NotApplicable("it is a corrector")
    if solver.claims.strong_order is None:
        raise NotApplicable("it claims no strong order")
    if not is_affine(solver):
        raise NotApplicable("it is not affine: its paths are not to be had exactly")
    inner = solver.integrator if isinstance(solver, OnGrid) else solver
    if isinstance(inner, OnGrid):
        raise NotApplicable("its grid is fixed: check the integrator inside it")
    return inner, solver.claims.strong_order


def _settled(curve: Curve, order: float) -> bool:
    """Whether the distances fall at the order, and not ever slower."""
    before, last = _order(replace(curve, errors=curve.errors[:-1])), _order(curve)
    return last >= order - _SLACK and not last < min(before, order - _BELOW)


def _order(curve: Curve) -> float:
    """Observed order between the two finest grids."""
    return math.log2(curve.errors[-2] / curve.errors[-1]) if curve.errors[-1] > 0.0 else math.inf


CHECKS = (check_strong_order, check_strong_limit)
"""The checks of this module."""
