r"""Tier 2: the weak error with a nonlinear score, without noise.

In one dimension the expectation of a feature phi over the output of N steps follows the backward
equation of the discrete chain,

.. math:: u_N = \varphi, \qquad
          u_i(x) = E_z[u_{i+1}(\mathrm{step}_i(x, z))], \qquad
          E[\varphi(x_N)] = \int u_0(x)\, p_T(x)\, dx .

The mean over the draws z is a Gauss-Hermite quadrature, u is known at 700 points and a polynomial
between them, and the step is the solver as a black box: all points and nodes are one batch.
Where nothing is drawn the points are carried along, and nothing is interpolated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sdeplug.grid import TimeGrid, checked_times
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Integrator
from sdeplug.targets import GaussianMixture
from sdeplug.testing.findings import NotApplicable
from sdeplug.testing.memory import remembered
from sdeplug.testing.weak.between import means_between
from sdeplug.testing.weak.features import Bias, features
from sdeplug.testing.weak.nodes import Nodes

_POINTS = 700
_REACH = 8.5  # standard deviations, of a mode at either end
RESOLVED = 5e-7
"""Weak errors below this are those of the quadrature."""


def weak_error(
    integrator: Integrator,
    reverse: ReverseSDE,
    target: GaussianMixture,
    grid: TimeGrid,
    t: float | None = None,
    s: float | None = None,
) -> float:
    """The weak error of a one-step solver, without noise.

    Args:
        integrator: asked for one step at a time, with at most three draws in each.
        reverse: the reverse SDE of the target, with a linear forward SDE.
        target: a mixture in one dimension, of shape ``(1,)``.
        grid: where the steps end.
        t: time to start from, with the exact law; T unless given.
        s: time to reach; eps unless given.

    Returns:
        Root mean square, over x, x^2, x^3, cos 2x, cos 5x and a smoothed indicator of x > 0.3, of
        the bias of their means in units of their standard deviations.

    Raises:
        NotApplicable: if it draws more than three times in a step, or differently for other data.
    """
    start = reverse.forward.T if t is None else t
    end = reverse.forward.eps if s is None else s
    times = checked_times(grid, start, end, reverse.linear)
    return weak_bias(integrator, reverse, target, times).size


def weak_bias(
    integrator: Integrator,
    reverse: ReverseSDE,
    target: GaussianMixture,
    times: Sequence[float],
    more: bool = False,
) -> Bias:
    """Likewise all of the biases, at the last of the times; by more nodes, to see whether they
    matter."""
    sde = reverse.linear
    points = _points(target, sde, times[-1])
    law, values = _density(target, sde, times[-1], points), features(points)
    mean = law @ values
    spread = (law @ (values - mean).square()).sqrt()
    if draws(integrator, reverse, *times[:2]):
        values, points = _backward(integrator, reverse, target, times, values, more)
    else:
        values, points = _forward(integrator, reverse, target, times)
    return Bias(_density(target, sde, times[0], points) @ values - mean, mean, spread)


def _forward(
    integrator: Integrator, reverse: ReverseSDE, target: GaussianMixture, times: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Features at the ends of deterministic steps, and the points where these start."""
    points = _points(target, reverse.linear, times[0], 4 * _POINTS)
    run, x = Run(Nodes(0)), points[:, None]
    with torch.no_grad():
        for late, early in pairwise(times):
            x = integrator.integrate(reverse, x, late, early, run)
    return features(x[:, 0]), points


def _backward(
    integrator: Integrator,
    reverse: ReverseSDE,
    target: GaussianMixture,
    times: Sequence[float],
    values: Tensor,
    more: bool,
) -> tuple[Tensor, Tensor]:
    """u_0 and the points where it is known, from u_N at the points at the last time."""
    later = _points(target, reverse.linear, times[-1])
    for early, late in pairwise(reversed(times)):
        points = _points(target, reverse.linear, late)
        noise = Nodes(draws(integrator, reverse, late, early), more)
        rows = points.repeat_interleave(noise.repeats)[:, None]
        with torch.no_grad():
            ends = integrator.integrate(reverse, rows, late, early, Run(noise))[:, 0]
        if noise.draws != noise.expected:
            raise NotApplicable("how often it draws depends on the data")
        places = ends.reshape(len(points), noise.repeats)
        values, later = means_between(values, later, places, noise.weights), points
    return values, later


def draws(integrator: Integrator, reverse: ReverseSDE, t: float, s: float) -> int:
    """How many draws a step takes."""
    counting = Nodes(0)
    with torch.no_grad():
        x = torch.zeros(1, 1, dtype=torch.float64, device="cpu")
        integrator.integrate(reverse, x, t, s, Run(counting))
    return counting.draws


@remembered(1024)  # solvers are put on the same grids
def _points(target: GaussianMixture, sde: LinearSDE, t: float, count: int = _POINTS) -> Tensor:
    """Equidistant points that hold all but 1e-15 of p_t."""
    mean, covariance = target.moments(t, sde)
    reach = _REACH * math.sqrt(float(covariance))
    wide = float(mean) + torch.linspace(-reach, reach, 2001, dtype=torch.float64, device="cpu")
    log_prob = target.log_prob(wide[:, None], t, sde)
    inside = wide[log_prob > log_prob.max() - 0.5 * _REACH**2]
    return torch.linspace(
        float(inside[0]), float(inside[-1]), count, dtype=torch.float64, device="cpu"
    )


def _density(target: GaussianMixture, sde: LinearSDE, t: float, points: Tensor) -> Tensor:
    """p_t as weights on the points; on such points sums are as good as integrals."""
    weights = target.log_prob(points[:, None], t, sde).exp()
    return weights / weights.sum()
