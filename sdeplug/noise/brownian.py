r"""Brownian paths that are consistent under refinement: drawn where they are asked for.

A path is known at some times.  Between two of them, a > u > b, it is a Brownian bridge,

.. math:: W(u) - W(a) = \tfrac{a - u}{a - b}\,(W(b) - W(a))
          + \sqrt{\tfrac{(a - u)(u - b)}{a - b}}\; z, \qquad z \sim N(0, I),

and past the last of them it moves on freely.  Each new time costs one draw, and whatever is
asked, in whatever order, belongs to one path: a step that is rejected and tried again with
another length sees the same noise.  What is stored are the increments between neighbouring
times, not the values, so that a short increment loses nothing to the length of the path.
Rows with steps of their own have :mod:`sdeplug.noise.walk`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError

Normal = Callable[[Tensor], Tensor]
"""Fresh N(0, I) numbers of the shape, dtype and device of the argument."""


class BrownianPath(ABC):
    """One Brownian path for each row of a batch, on the time interval [s, t].

    Args:
        like: tensor whose shape ``(B, *D)``, dtype and device the increments have.
        t: upper end of the interval.
        s: lower end of the interval.

    Raises:
        ArgumentError: unless s < t.
    """

    def __init__(self, like: Tensor, t: float, s: float) -> None:
        if not s < t:
            raise ArgumentError("s", s, f"below t = {t}", "A path spans an interval of time.")
        self.like, self.t, self.s = like, t, s

    @abstractmethod
    def increment(self, u: float, v: float) -> Tensor:
        """W(u) - W(v), of variance ``abs(u - v)``.

        Args:
            u: one end, a time in [s, t].
            v: the other end, likewise.

        Returns:
            Tensor of the shape, dtype and device of ``like``.

        Raises:
            ArgumentError: if a time is outside [s, t].
        """

    def forget(self, above: float) -> None:  # noqa: B027  some have no memory
        """Hear that no time above is asked for again, so that it need not be remembered.

        Args:
            above: a time that has been asked for.
        """


class BrownianBridge(BrownianPath):
    """A path that is drawn where it is asked for, and remembers until it is told to forget.

    Args:
        like: tensor whose shape ``(B, *D)``, dtype and device the increments have.
        t: upper end of the interval.
        s: lower end of the interval.
        normal: where its randomness comes from: one draw for each new time.

    Raises:
        ArgumentError: unless s < t.
    """

    def __init__(self, like: Tensor, t: float, s: float, normal: Normal) -> None:
        super().__init__(like, t, s)
        self._normal = normal
        self._falls = [-t]  # minus the known times, rising
        self._increments: list[Tensor] = []  # W(later in the list) - W(earlier)

    def increment(self, u: float, v: float) -> Tensor:
        """W(u) - W(v); see :meth:`BrownianPath.increment`."""
        if u == v:
            return torch.zeros_like(self.like)
        first, last = sorted((-self._time("u", u), -self._time("v", v)))
        start, end = self._index(first), self._index(last)
        total = self._increments[start]
        for each in self._increments[start + 1 : end]:
            total = total + each
        return total if u < v else -total

    def forget(self, above: float) -> None:
        """Drop what is known above a time; it must have been asked for."""
        index = bisect_left(self._falls, -above)
        del self._falls[:index], self._increments[:index]

    def _time(self, name: str, u: float) -> float:
        time = float(u)
        if not self.s <= time <= self.t:
            raise ArgumentError(name, u, f"a time in [{self.s}, {self.t}], the span of the path")
        return time

    def _index(self, fall: float) -> int:
        """Where a time is in the list, once it is known."""
        falls, increments = self._falls, self._increments
        index = bisect_left(falls, fall)
        if index == len(falls):
            increments.append(self._normal(self.like) * (fall - falls[-1]) ** 0.5)
            falls.append(fall)
        elif falls[index] != fall:
            if index == 0:
                raise ArgumentError(
                    "u", -fall, f"at most {-falls[0]}",
                    "What is above was forgotten: ask first, forget later.",
                )  # fmt: skip
            before, after = falls[index - 1 : index + 1]
            share = (fall - before) / (after - before)
            whole = increments[index - 1]
            part = whole * share + self._normal(self.like) * (share * (after - fall)) ** 0.5
            falls.insert(index, fall)
            increments[index - 1 : index] = [part, whole - part]
        return index
