r"""Exponential Runge-Kutta methods as tableaux: every weight is a sum of phi-functions.

For :math:`y' = -z y + z D` over a step of length 1, the stages and the result are

.. math:: y_i = e^{-c_i z} y + z \sum_{j < i} a_{ij}(z) D_j, \qquad
          y' = e^{-z} y + z \sum_i b_i(z) D_i.

The weights are written as in the papers: ``phi(2)`` is :math:`\varphi_2(-z)`, and ``phi(2, 0.5)``
is :math:`\varphi_2(-z / 2)`.  (Hochbruck & Ostermann, SIAM J. Numer. Anal. 43, 2005; Cox &
Matthews, J. Comput. Phys. 176, 2002; Krogstad, J. Comput. Phys. 203, 2005; Lawson, SIAM J. Numer.
Anal. 4, 1967.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sdeplug_exponential import weights


@dataclass(frozen=True, eq=False)
class Weight:
    """A sum of phi-functions at parts of -z.

    Attributes:
        terms: from k and the part of z to the factor of that phi-function.
    """

    terms: Mapping[tuple[int, float], float]

    def at(self, z: float) -> float:
        """Its value; z is at least 0."""
        return sum(factor * weights.phi(k, part * z) for (k, part), factor in self.terms.items())

    def __add__(self, other: Weight) -> Weight:
        keys = {**self.terms, **other.terms}
        return Weight({key: self.terms.get(key, 0.0) + other.terms.get(key, 0.0) for key in keys})

    def __rmul__(self, factor: float) -> Weight:
        return Weight({key: factor * each for key, each in self.terms.items()})

    def __sub__(self, other: Weight) -> Weight:
        return self + -1.0 * other


@dataclass(frozen=True, eq=False)
class Tableau:
    """An exponential Runge-Kutta method; it is known by which it is, not by what is in it.

    Attributes:
        source: where it is from.
        order: with steps that are short against everything, without noise.
        stiff: without noise, whatever z is: as Hochbruck & Ostermann count it, the conditions of
            the last order where z is 0.
        fractions: where the stages are, in units of the step; the first is 0.
        rows: weights of the stages before, for each stage but the first; ``ZERO`` for no weight.
        result: weights of the stages in the result.
    """

    source: str
    order: int
    stiff: int
    fractions: tuple[float, ...]
    rows: tuple[tuple[Weight, ...], ...]
    result: tuple[Weight, ...]


def phi(k: int, part: float = 1.0) -> Weight:
    """One phi-function at a part of -z."""
    return Weight({(k, part): 1.0})


ZERO = Weight({})
_HALF, _THIRD = 1 / 2, 1 / 3
_EULER = 0.5 * phi(1, 0.5)  # exponential Euler to the middle
_SIMPSON = phi(1) - 3 * phi(2) + 4 * phi(3), 4 * phi(2) - 8 * phi(3), 4 * phi(3) - phi(2)


RES_2S = Tableau(
    source="Hochbruck & Ostermann 2005, equation 5.3; RES, arXiv 2308.02157",
    order=2,
    stiff=2,
    fractions=(0, _HALF),
    rows=((_EULER,),),
    result=(phi(1) - 2 * phi(2), 2 * phi(2)),
)

SEEDS_2 = Tableau(
    source="Hochbruck & Ostermann 2005, equation 5.4; SEEDS-2, arXiv 2305.14267",
    order=2,
    stiff=2,
    fractions=(0, _HALF),
    rows=((_EULER,),),
    result=(ZERO, phi(1)),
)

ETDRK2 = Tableau(
    source="Cox & Matthews 2002, equation 22",
    order=2,
    stiff=2,
    fractions=(0, 1),
    rows=((phi(1),),),
    result=(phi(1) - phi(2), phi(2)),
)

RES_3S = Tableau(
    source="Hochbruck & Ostermann 2005, equation 5.9; RES with three stages",
    order=3,
    stiff=3,
    fractions=(0, _HALF, 1),
    rows=(
        (_EULER,),
        (phi(1) - 2 * phi(2) - 2 * phi(2, 0.5), 2 * phi(2) + 2 * phi(2, 0.5)),
    ),
    result=(phi(1) - (5 / 3) * phi(2), (4 / 3) * phi(2), (1 / 3) * phi(2)),
)

SEEDS_3 = Tableau(
    source="Hochbruck & Ostermann 2005, equation 5.8; SEEDS-3; DPM-Solver-3, arXiv 2206.00927",
    order=3,
    stiff=3,
    fractions=(0, _THIRD, 2 / 3),
    rows=(
        (_THIRD * phi(1, _THIRD),),
        ((2 / 3) * phi(1, 2 / 3) - (4 / 3) * phi(2, 2 / 3), (4 / 3) * phi(2, 2 / 3)),
    ),
    result=(phi(1) - 1.5 * phi(2), ZERO, 1.5 * phi(2)),
)

ETDRK3 = Tableau(
    source="Cox & Matthews 2002, equations 23 to 25",
    order=3,
    stiff=2,
    fractions=(0, _HALF, 1),
    rows=((_EULER,), (-1 * phi(1), 2 * phi(1))),
    result=_SIMPSON,
)

ETDRK4 = Tableau(
    source="Cox & Matthews 2002, equations 26 to 29",
    order=4,
    stiff=2,
    fractions=(0, _HALF, _HALF, 1),
    rows=((_EULER,), (ZERO, _EULER), (phi(1) - phi(1, 0.5), ZERO, phi(1, 0.5))),
    result=(_SIMPSON[0], 0.5 * _SIMPSON[1], 0.5 * _SIMPSON[1], _SIMPSON[2]),
)

KROGSTAD = Tableau(
    source="Krogstad 2005, equation 51",
    order=4,
    stiff=3,
    fractions=(0, _HALF, _HALF, 1),
    rows=(
        (_EULER,),
        (_EULER - phi(2, 0.5), phi(2, 0.5)),
        (phi(1) - 2 * phi(2), ZERO, 2 * phi(2)),
    ),
    result=ETDRK4.result,
)

STREHMEL_WEINER = Tableau(
    source="Strehmel & Weiner 1992, example 4.5.5",
    order=4,
    stiff=3,
    fractions=(0, _HALF, _HALF, 1),
    rows=(
        (_EULER,),
        (_EULER - 0.5 * phi(2, 0.5), 0.5 * phi(2, 0.5)),
        (phi(1) - 2 * phi(2), -2 * phi(2), 4 * phi(2)),
    ),
    result=(_SIMPSON[0], ZERO, _SIMPSON[1], _SIMPSON[2]),
)

_FIFTH = 0.5 * phi(2, 0.5) - phi(3) + 0.25 * phi(2) - 0.5 * phi(3, 0.5)

HOCHBRUCK_OSTERMANN = Tableau(
    source="Hochbruck & Ostermann 2005, equation 5.19",
    order=4,
    stiff=4,
    fractions=(0, _HALF, _HALF, 1, _HALF),
    rows=(
        (_EULER,),
        (_EULER - phi(2, 0.5), phi(2, 0.5)),
        (phi(1) - 2 * phi(2), phi(2), phi(2)),
        (_EULER - 0.25 * phi(2, 0.5) - _FIFTH, _FIFTH, _FIFTH, 0.25 * phi(2, 0.5) - _FIFTH),
    ),
    result=(_SIMPSON[0], ZERO, ZERO, _SIMPSON[2], _SIMPSON[1]),
)

LAWSON2 = Tableau(
    source="Lawson 1967, on Heun's method",
    order=2,
    stiff=1,
    fractions=(0, 1),
    rows=((phi(0),),),
    result=(0.5 * phi(0), 0.5 * phi(0, 0)),
)

LAWSON4 = Tableau(
    source="Lawson 1967, on the classical Runge-Kutta method",
    order=4,
    stiff=1,
    fractions=(0, _HALF, _HALF, 1),
    rows=((0.5 * phi(0, 0.5),), (ZERO, 0.5 * phi(0, 0)), (ZERO, ZERO, phi(0, 0.5))),
    result=((1 / 6) * phi(0), (1 / 3) * phi(0, 0.5), (1 / 3) * phi(0, 0.5), (1 / 6) * phi(0, 0)),
)
