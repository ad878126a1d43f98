r"""Brownian motion with its space-time Levy area, consistent under refinement.

On an interval of length h, W is the increment and

.. math:: H = \frac1h \int_a^b \Big(W_u - W_a - \frac{u - a}{h} W\Big)\,du \sim N(0, h / 12)

is independent of it; the integral that Runge-Kutta methods of strong order 1.5 ask for is
:math:`\int_a^b (W_u - W_a)\,du = h (W / 2 + H)`.  An interval of length h = l + r is split at l by

.. math:: W_l = \tfrac{l}{h} W + \tfrac{6 l r}{h^2} H + 2 \tfrac{a l + b r}{h} X, \qquad
          H_l = \tfrac{l^2}{h^2} H - a X + c\,r\,Y, \qquad
          H_r = \tfrac{r^2}{h^2} H - b X - c\,l\,Y

with X, Y ~ N(0, 1), :math:`v = \tfrac12 \sqrt{l r / (l^3 + r^3)}`, :math:`a = v l^2 / h`,
:math:`b = v r^2 / h`, :math:`c = v / \sqrt3`.  J. Foster, T. Lyons and H. Oberhauser, "An optimal
polynomial approximation of Brownian motion", arXiv 1904.06998; J. Foster, "Numerical
approximations for stochastic differential equations", PhD thesis, Oxford 2020.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


class Piece(NamedTuple):
    """W and H on one interval, both of shape ``(B, *D)``."""

    increment: Tensor
    area: Tensor


class AreaPath:
    """A Brownian path with its area, drawn where it is asked for, from time 0 upwards.

    Args:
        normal: gives fresh N(0, I) numbers of shape ``(B, *D)``; two for each new time.
        rate: variance of W in a unit of time.
    """

    def __init__(self, normal: Callable[[], Tensor], rate: float = 1.0) -> None:
        self.normal, self.root = normal, math.sqrt(rate)
        self.knots = [0.0]
        self.pieces: list[Piece] = []

    def increment(self, start: float, end: float) -> tuple[Tensor, Tensor]:
        """W(end) - W(start), and the integral of W(u) - W(start) over u in [start, end]."""
        first, last = self._index(start), self._index(end)
        total, area = self.pieces[first]
        length = self.knots[first + 1] - start
        integral = length * (0.5 * total + area)
        for index in range(first + 1, last):
            length = self.knots[index + 1] - self.knots[index]
            increment, area = self.pieces[index]
            integral = integral + length * (total + 0.5 * increment + area)
            total = total + increment
        return total, integral

    def forget(self, before: float) -> None:
        """Drop what is known before a time that has been asked for."""
        index = bisect_left(self.knots, before)
        del self.knots[:index], self.pieces[:index]

    def _index(self, time: float) -> int:
        """Where a time is in the list, once it is known."""
        index = bisect_left(self.knots, time)
        if index == len(self.knots):
            length = time - self.knots[-1]
            self.pieces.append(
                Piece(self._draw(math.sqrt(length)), self._draw(math.sqrt(length / 12.0)))
            )
            self.knots.append(time)
        elif self.knots[index] != time:
            left, right = time - self.knots[index - 1], self.knots[index] - time
            self.pieces[index - 1 : index] = self._split(self.pieces[index - 1], left, right)
            self.knots.insert(index, time)
        return index

    def _draw(self, size: float) -> Tensor:
        return self.normal() * (size * self.root)

    def _split(self, whole: Piece, left: float, right: float) -> tuple[Piece, Piece]:
        """The two parts of a piece."""
        length = left + right
        share = left / length
        size = 0.5 * math.sqrt(left * right / (left**3 + right**3))
        first, second = self._draw(size), self._draw(size / math.sqrt(3.0))
        # The factors of X: a of H_l, b of H_r, and 2 (a l + b r) / h of W_l, each over v.
        of_left, of_right = left * share, right * (1.0 - share)
        of_increment = 2.0 * (of_left * share + of_right * (1.0 - share))
        increment = (
            share * whole.increment
            + (6.0 * share * (1.0 - share)) * whole.area
            + of_increment * first
        )
        return (
            Piece(increment, share**2 * whole.area - of_left * first + right * second),
            Piece(
                whole.increment - increment,
                (1.0 - share) ** 2 * whole.area - of_right * first - left * second,
            ),
        )
