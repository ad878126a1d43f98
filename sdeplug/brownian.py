r"""Brownian paths that are consistent under refinement: drawn where they are asked for.

A path is known at some times.  Between two of them, a > u > b, it is a Brownian bridge,

.. math:: W(u) - W(a) = \tfrac{a - u}{a - b}\,(W(b) - W(a))
          + \sqrt{\tfrac{(a - u)(u - b)}{a - b}}\; z, \qquad z \sim N(0, I),

and past the last of them it moves on freely.  Each new time costs one draw, and whatever is
asked, in whatever order, belongs to one path: a step that is rejected and tried again with
another length sees the same noise.  What is stored are the increments between neighbouring
times, not the values, so that a short increment loses nothing to the length of the path.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable
from typing import NoReturn

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
    def increment(self, u: float | Tensor, v: float | Tensor) -> Tensor:
        """W(u) - W(v), of variance ``abs(u - v)``.

        Args:
            u: one end, a time in [s, t]; a tensor of shape ``(B,)`` gives each row its own.
            v: the other end, likewise.

        Returns:
            Tensor of the shape, dtype and device of ``like``.

        Raises:
            ArgumentError: if a time is outside [s, t].
        """

    def forget(self, above: float | Tensor) -> None:  # noqa: B027  some have no memory
        """Hear that no time above is asked for again, so that it need not be remembered.

        Args:
            above: a time; a tensor of shape ``(B,)`` gives each row its own.
        """


class BrownianBridge(BrownianPath):
    """A path that is drawn where it is asked for, and remembers until it is told to forget.

    Args:
        like: tensor whose shape ``(B, *D)``, dtype and device the increments have.
        t: upper end of the interval.
        s: lower end of the interval.
        normal: where its randomness comes from: one draw for each new time; where rows have
            times of their own, one for each end that is asked for, unless it is the one up to
            which the path is forgotten.

    Raises:
        ArgumentError: unless s < t.
    """

    def __init__(self, like: Tensor, t: float, s: float, normal: Normal) -> None:
        super().__init__(like, t, s)
        self.normal = normal
        self._known: _Shared | _ByRow = _Shared(t, like, normal)

    def increment(self, u: float | Tensor, v: float | Tensor) -> Tensor:
        """W(u) - W(v); see :meth:`BrownianPath.increment`."""
        if isinstance(self._known, _Shared) and not (_by_row(u) or _by_row(v)):
            return self._known.increment(self._time(u), self._time(v))
        return self._rows().increment(self._times(u), self._times(v))

    def forget(self, above: float | Tensor) -> None:
        """Drop what is known above a time; it must have been asked for."""
        if isinstance(self._known, _Shared) and not _by_row(above):
            self._known.forget(self._time(above))
        else:
            self._rows().forget(self._times(above))

    def _rows(self) -> _ByRow:
        if isinstance(self._known, _Shared):
            self._known = _ByRow.of(self._known, self.like, self.normal)
        return self._known

    def _time(self, u: float | Tensor) -> float:
        time = float(u)
        if not self.s <= time <= self.t:
            self._refuse(u)
        return time

    def _times(self, u: float | Tensor) -> Tensor:
        times = torch.as_tensor(u, dtype=torch.float64, device=self.like.device).reshape(-1)
        first, last = times.aminmax() if times.numel() else (self.s, self.t)
        if not self.s <= first <= last <= self.t:
            self._refuse(u)
        return times.expand(len(self.like))

    def _refuse(self, u: float | Tensor) -> None:
        raise ArgumentError("u", u, f"a time in [{self.s}, {self.t}], the span of the path")


def _by_row(u: float | Tensor) -> bool:
    return isinstance(u, Tensor) and u.ndim > 0


def _forgotten(u: float, above: float) -> NoReturn:
    raise ArgumentError(
        "u", u, f"at most {above}", "What is above was forgotten: ask first, forget later."
    )


class _Shared:
    """What is known of a path whose rows are asked for the same times."""

    def __init__(self, t: float, like: Tensor, normal: Normal) -> None:
        self.falls = [-t]  # minus the known times, rising
        self.increments: list[Tensor] = []  # W(later in the list) - W(earlier)
        self.like, self.normal = like, normal

    def increment(self, u: float, v: float) -> Tensor:
        if u == v:
            return torch.zeros_like(self.like)
        first, last = sorted((-u, -v))
        start, end = self._index(first), self._index(last)
        total = self.increments[start]
        for each in self.increments[start + 1 : end]:
            total = total + each
        return total if u < v else -total

    def forget(self, above: float) -> None:
        index = bisect_left(self.falls, -above)
        del self.falls[:index], self.increments[:index]

    def _index(self, fall: float) -> int:
        """Where a time is in the list, once it is known."""
        index = bisect_left(self.falls, fall)
        if index == len(self.falls):
            self.increments.append(self.normal(self.like) * (fall - self.falls[-1]) ** 0.5)
            self.falls.append(fall)
        elif self.falls[index] != fall:
            if index == 0:
                _forgotten(-fall, -self.falls[0])
            before, after = self.falls[index - 1 : index + 1]
            share = (fall - before) / (after - before)
            whole = self.increments[index - 1]
            part = whole * share + self.normal(self.like) * (share * (after - fall)) ** 0.5
            self.falls.insert(index, fall)
            self.increments[index - 1 : index] = [part, whole - part]
        return index


class _ByRow:
    """What is known of a path each of whose rows is asked for times of its own.

    Rows that know fewer times than others are filled up with times at infinity.
    """

    def __init__(self, falls: Tensor, increments: Tensor, like: Tensor, normal: Normal) -> None:
        self.falls = falls  # minus the known times, rising, then infinity: (K + 1, B)
        self.increments = increments  # (K, B, numel of a row)
        self.like, self.normal = like, normal

    @classmethod
    def of(cls, known: _Shared, like: Tensor, normal: Normal) -> _ByRow:
        falls = torch.tensor(known.falls, dtype=torch.float64, device=like.device)
        increments = [each.flatten(1) for each in known.increments]
        empty = like.new_zeros(0, len(like), like[0].numel() if len(like) else 0)
        return cls(
            falls[:, None].expand(-1, len(like)),
            torch.stack(increments) if increments else empty,
            like,
            normal,
        )

    def increment(self, u: Tensor, v: Tensor) -> Tensor:
        self._learn(-u)
        self._learn(-v)
        first, last = torch.minimum(-u, -v), torch.maximum(-u, -v)
        inside = (self.falls[:-1] >= first) & (self.falls[1:] <= last)
        signs = inside.to(self.like.dtype) * torch.sign(v - u).to(self.like.dtype)
        return (self.increments * signs.unsqueeze(-1)).sum(0).reshape(self.like.shape)

    def forget(self, above: Tensor) -> None:
        """Roll each row until it begins at its time, then cut what no row needs."""
        gone = (self.falls[1:] <= -above).sum(0)
        ahead = self.falls.isfinite().sum(0) - 1 - gone
        keep = int(ahead.max()) if ahead.numel() else 0
        place = torch.arange(keep + 1, device=gone.device)[:, None]
        falls = self.falls.gather(0, (place + gone).clamp(max=len(self.increments)))
        self.falls = falls.masked_fill(place > ahead, torch.inf)
        index = (place[:-1] + gone).clamp(max=max(len(self.increments) - 1, 0)).unsqueeze(-1)
        index = index.expand(-1, -1, self.increments.shape[-1])
        unknown = (place[:-1] >= ahead).unsqueeze(-1)
        self.increments = self.increments.gather(0, index).masked_fill(unknown, 0.0)

    def _learn(self, fall: Tensor) -> None:
        """Make a time known in every row."""
        # A row must not draw more or less often because of its neighbours: whether this time is
        # known to a row does not matter, only whether all rows ask for where they have got to.
        if torch.equal(self.falls[0], fall):
            return
        if bool((fall < self.falls[0]).any()):
            row = int((fall < self.falls[0]).nonzero()[0])
            _forgotten(-float(fall[row]), -float(self.falls[0, row]))
        index = (self.falls < fall).sum(0).sub_(1).clamp_(min=0)
        share, spread, inside = self._bridge(fall, index)
        count, wide = len(self.increments), self.increments.shape[-1]
        padded = torch.cat((self.increments, self.like.new_zeros(1, len(index), wide)))
        at = index[None, :, None].expand(1, -1, wide)
        whole = padded.gather(0, at)[0]
        part = whole * share + self.normal(self.like).reshape(len(index), wide) * spread
        rest = torch.where(inside, whole - part, 0.0)
        # What comes after the split moves up by one place; the two parts fill the gap.
        order = torch.arange(count + 2, device=index.device)[:, None]
        source = (order - (order > index).to(order.dtype)).clamp(max=count)
        moved = padded.gather(0, source.unsqueeze(-1).expand(-1, -1, wide))
        moved.scatter_(0, at, part[None]).scatter_(0, at + 1, rest[None])
        self.increments = moved[: count + 1]
        self.falls = torch.cat((self.falls, fall[None])).sort(0).values

    def _bridge(self, fall: Tensor, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Weight of the whole increment and of the draw in the part up to ``fall``, and whether
        there is a known time after it: (B, 1)."""
        ends = torch.cat((self.falls, torch.full_like(self.falls[:1], torch.inf)))
        before, after = ends.gather(0, index[None])[0], ends.gather(0, index[None] + 1)[0]
        share = (fall - before) / (after - before).clamp(min=torch.finfo(torch.float64).tiny)
        spread = ((fall - before) * (1.0 - share)).clamp(min=0.0).sqrt()
        dtype = self.like.dtype
        return share.to(dtype)[:, None], spread.to(dtype)[:, None], after.isfinite()[:, None]
