r"""Weights of exponential integrators: a polynomial through some values, integrated exactly.

In :math:`y = x / \alpha` and :math:`\lambda = \log(\alpha / \sigma)` a step of length h is

.. math:: y' = e^{-z} y + z \int_0^1 e^{-z (1 - v)} D(v)\,dv + \text{noise}, \qquad z = \kappa h,

with :math:`D = E[x_0 | x_t]`, :math:`\kappa = 1 + l^2` and v the part of the step that is done.
D is replaced by the polynomial through its values at some points, in :math:`\lambda` or in
another variable; the weight of a value is the integral of its Lagrange polynomial.  (Hochbruck &
Ostermann, Acta Numerica 2010, sections 2.5 and 4; for diffusion models arXiv 2206.00927, 2302.04867
and 2309.05019.)

Everything is a Gauss-Legendre sum of positive terms times Lagrange polynomials: nothing cancels,
however short the step.  All numbers are Python floats.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from math import ceil, exp, factorial, prod
from typing import Any

_COUNT = 16  # nodes: exact to rounding for polynomials of degree 4 times exp(-z (1 - v)), z <= 8
_PANEL = 8.0

Slope = Callable[[float], float]
"""z to the weight that a rule of two points gives to the slope of D, in units of 1/h."""

Measure = Sequence[tuple[float, float]]
"""Nodes and weights of an integral over a step: parts of it in [0, 1], and factors."""

Variable = Callable[[float], float]
"""What D is a polynomial in, from the part of the step that is done; strictly monotone."""


def exact_slope(z: float) -> float:
    """Integral of z exp(-z (1 - v)) v: 1 - (1 - exp(-z)) / z."""
    return sum(weight * v for v, weight in kernel(z))


def mean_slope(z: float) -> float:
    """Half of the weight of D: the slope is taken at the middle, as if the kernel were even.

    DPM-Solver++ 2M, arXiv 2211.01095, algorithm 2; UniPC with B_2, arXiv 2302.04867, section 3.2.
    """
    return 0.5 * decayed(z)


def taylor_slope(z: float) -> float:
    """z / 2, the first term of the exact weight: SA-Solver with two points, as published.

    The modification is in the authors' code for arXiv 2309.05019, and in diffusers.
    """
    return 0.5 * z


def decayed(z: float) -> float:
    """The whole weight of D: 1 - exp(-z), as the sum that the weights are parts of."""
    return sum(weight for _, weight in kernel(z))


def phi(k: int, z: float) -> float:
    r"""The phi-function :math:`\varphi_k(-z)` of exponential integrators, for z at least 0.

    .. math:: \varphi_0(-z) = e^{-z}, \qquad
              \varphi_k(-z) = \int_0^1 e^{-z (1 - v)} \frac{v^{k - 1}}{(k - 1)!}\,dv.

    Hochbruck & Ostermann, Acta Numerica 2010, equation 2.10.
    """
    if k == 0:
        return exp(-z)
    return sum(w * exp(-z * (1.0 - v)) * v ** (k - 1) for v, w in nodes(z)) / factorial(k - 1)


def kernel(z: float) -> Measure:
    """Nodes v in [0, 1] and weights that integrate z exp(-z (1 - v)) times a polynomial."""
    return [(v, z * exp(-z * (1.0 - v)) * weight) for v, weight in nodes(z)]


def nodes(z: float) -> Measure:
    """Nodes v in [0, 1] and weights for what decays as exp(-z v) or as exp(-z (1 - v))."""
    panels = max(1, ceil(z / _PANEL))
    return [
        ((panel + node) / panels, weight / panels)
        for panel in range(panels)
        for node, weight in _gauss()
    ]


@cache
def _gauss() -> tuple[tuple[float, float], ...]:
    """Nodes and weights of Gauss and Legendre on [0, 1]."""
    import numpy as np

    nodes, weights = np.polynomial.legendre.leggauss(_COUNT)
    pairs = zip((0.5 * (1.0 + nodes)).tolist(), (0.5 * weights).tolist(), strict=True)
    return tuple(pairs)


def lagrange_weights(points: Sequence[float], measure: Measure) -> list[float]:
    """Integrals of the Lagrange polynomials through distinct points.

    Args:
        points: where the values are, in units of the step: 0 is its start, 1 its end.
        measure: nodes and weights of the integral, such as ``kernel(z)``.
    """
    return [sum(w * lagrange(points, j, v) for v, w in measure) for j in range(len(points))]


def step_weights(z: float, points: Sequence[float], slope: Slope = exact_slope) -> list[float]:
    """Weights of the values at ``points`` in a step of ``z`` = kappa h.

    Args:
        z: kappa h, above 0.
        points: in units of the step, the newest first; 0 is its start, 1 its end.
        slope: the rule for two points.
    """
    if len(points) == 2:
        first, second = points
        at_start, rate = decayed(z), slope(z)
        later = (rate - second * at_start) / (first - second)
        return [later, at_start - later]
    return lagrange_weights(points, kernel(z))


def bent_weights(measure: Measure, points: Sequence[float], variable: Variable) -> list[float]:
    """Weights of the values at ``points`` for a polynomial in another variable.

    Args:
        measure: nodes and weights of the integral, such as ``kernel(z)``.
        points: in units of the step, distinct.
        variable: what the values are a polynomial in.
    """
    bent = [(variable(v), weight) for v, weight in measure]
    return lagrange_weights([variable(point) for point in points], bent)


def lagrange(points: Sequence[float], j: int, v: Any) -> Any:
    """The Lagrange polynomial of the j-th of distinct points, at one place or an array of them."""
    here = points[j]
    return prod((v - other) / (here - other) for i, other in enumerate(points) if i != j)
