"""Encoding: the probability flow is one to one, so that data have latents and latents data.

Reference: Song et al., arXiv 2011.13456, section 4.3 and appendix D.3; spherical interpolation:
Shoemake, SIGGRAPH 1985.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError
from sdeplug.likelihood.arguments import checked_data, checked_time
from sdeplug.likelihood.transport import carried, flow_solver, last_seen, spending, stretch
from sdeplug.noise import SharedNoise
from sdeplug.pipeline import last_time
from sdeplug.reverse import ReverseSDE, checked_reverse
from sdeplug.run import Run
from sdeplug.solvers import Integrator
from sdeplug.values import number

_FLAT = 1e-6  # sine of an angle below which a great circle is a line, or any one will do


def encode(
    reverse: ReverseSDE,
    x: Tensor,
    by: Integrator | None = None,
    *,
    t: float | None = None,
    nfe: int | None = None,
) -> Tensor:
    """The latents of data: where the probability flow carries them, at T.

    Data and a forward SDE have one latent, whatever network has learned their score.

    Args:
        reverse: the reverse SDE; its stochasticity does not matter.
        x: data, shape ``(B, *D)``, taken as states at time t.
        by: a flow integrator, or one on a grid; None: as in :func:`log_likelihood`, unless nfe is
            given.
        t: the time of the data; None: eps.
        nfe: score evaluations to spend, in the place of by: on ``ode/adams-moulton``.

    Returns:
        Shape, dtype and device of x.

    Raises:
        SdeplugError: as :func:`log_likelihood`.
    """
    return _moved(reverse, x, _chosen(reverse, by, nfe), t, up=True)


def decode(
    reverse: ReverseSDE,
    z: Tensor,
    by: Integrator | None = None,
    *,
    t: float | None = None,
    temperature: float = 1.0,
    nfe: int | None = None,
) -> Tensor:
    """The data of latents: the way back of :func:`encode`.

    Args:
        reverse: the reverse SDE.
        z: latents at T, shape ``(B, *D)``.
        by: as in :func:`encode`.
        t: the time of the data; None: eps.
        temperature: what latents are multiplied with: below 1 data are more usual, and vary less.
        nfe: as in :func:`encode`.

    Returns:
        Shape, dtype and device of z.

    Raises:
        SdeplugError: as :func:`log_likelihood`.
    """
    heat = number(temperature)
    if heat is None or not 0.0 <= heat < math.inf:
        raise ArgumentError("temperature", temperature, "a number of at least 0")
    chosen = _chosen(reverse, by, nfe)
    return _moved(reverse, checked_data(z, "z") * heat, chosen, t, up=False).to(z.dtype)


def interpolate(z0: Tensor, z1: Tensor, n: int) -> Tensor:
    """Latents on the way from one to another, along a great circle.

    Between normal latents, which lie near a sphere, a straight line would leave it.

    Args:
        z0: latents, shape ``(B, *D)``.
        z1: latents, of the same shape.
        n: how many, the ends included.

    Returns:
        Shape ``(n, B, *D)``.

    Raises:
        ArgumentError: for latents of different shapes, or fewer than two points.
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 2:
        raise ArgumentError("n", n, "a whole number of at least 2, the ends included")
    first, last = checked_data(z0, "z0"), checked_data(z1, "z1")
    if first.shape != last.shape:
        raise ArgumentError("z1", tuple(last.shape), f"of the shape of z0, {tuple(first.shape)}")
    unit = [each / each.norm(dim=1, keepdim=True) for each in (first.flatten(1), last.flatten(1))]
    # Twice the arc sine of half the chord has its digits where the angle is small.
    angle = 2.0 * ((unit[0] - unit[1]).norm(dim=1) / 2.0).clamp(max=1.0).asin()
    angle = angle.reshape(-1, *[1] * (first.ndim - 1))
    parts = torch.linspace(0.0, 1.0, n, dtype=first.dtype, device=first.device)
    u = parts.reshape(-1, *[1] * first.ndim)
    weights = [torch.where(angle.sin() > _FLAT, (share * angle).sin() / angle.sin(), share)
               for share in (1.0 - u, u)]  # fmt: skip
    return (weights[0] * first + weights[1] * last).to(z0.dtype)


def _chosen(reverse: ReverseSDE, by: Integrator | None, nfe: int | None) -> Integrator | None:
    """The solver that was given, or that for so many evaluations."""
    if isinstance(by, int):
        raise ArgumentError("by", by, "a flow integrator", f"nfe={by} spends as many evaluations.")
    if nfe is None:
        return by
    if by is not None:
        raise ArgumentError("nfe", nfe, "left out beside by, which has steps of its own")
    return spending(nfe, checked_reverse(reverse))


def _moved(
    reverse: ReverseSDE, x: Tensor, by: Integrator | None, t: float | None, up: bool
) -> Tensor:
    forward = checked_reverse(reverse).forward
    early, late = checked_time(t, forward, last_time(forward)), last_seen(forward)
    solver = flow_solver(by, forward, early)
    state, run = checked_data(x), Run(SharedNoise(0))
    if up:
        z = carried(solver, reverse, state, early, late, run) * stretch(forward)
        return z.to(x.dtype)
    return carried(solver, reverse, state / stretch(forward), late, early, run)
