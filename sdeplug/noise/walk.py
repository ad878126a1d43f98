r"""Brownian paths that each row walks down in steps of its own, consistent under rejection.

A solver with a step size for each row asks what lies ahead, looks at the error, and says which
rows have taken the step.  The others have seen their path at a time that is still ahead of them;
a shorter step then sees a part of the same noise, by the bridge of :mod:`sdeplug.noise.brownian`
(rejection sampling with memory: Rackauckas & Nie, arXiv 1804.04344).

Times are numpy arrays: who goes where is decided on the host, once in a round, and only states
are on the device.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sdeplug.errors import ArgumentError
from sdeplug.noise.brownian import Normal

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


class BrownianWalk:
    """One Brownian path for each row, walked down from a time in steps of the row's own.

    Every question costs one draw for the whole batch, so that the numbers of a row do not depend
    on what its neighbours do.

    Args:
        like: tensor whose shape ``(B, *D)``, dtype and device the increments have.
        t: time at which all rows begin.
        normal: where its randomness comes from.
    """

    def __init__(self, like: Tensor, t: float, normal: Normal) -> None:
        rows = len(like)
        self._like, self._normal = like, normal
        self._kept: Tensor | None = None  # numbers of the rows that walk on; None: all
        # Row by row, minus the times at which the path is known, and its values less the present
        # one.  Layer 0 is the present; the order of the others means nothing; infinity is free.
        self._falls = np.full((1, rows), -float(t))
        self._values = like.new_zeros(1, rows, like.numel() // max(rows, 1))
        self._tried = self._falls[0], self._values[0]

    @property
    def here(self) -> Floats:
        """Where the rows are: shape ``(R,)``."""
        here: Floats = -self._falls[0]
        return here

    def ahead(self, to: Floats) -> Tensor:
        """What lies between where the rows are and a time further down: W(to) - W(here).

        Args:
            to: a time for each row, not above where it is: shape ``(R,)``.

        Returns:
            Increments of variance ``here - to``, shape ``(R, *D)``; not to be written to.

        Raises:
            ArgumentError: unless there is a time for each row, finite and not behind it.
        """
        fall = -to
        falls = self._falls
        if fall.shape != falls[0].shape or not ((falls[0] <= fall) & (fall < np.inf)).all():
            raise ArgumentError("to", to, "a time for each row, not above where the row is")
        shares, spread = self._bridge(fall)
        value = self._draw().flatten(1) * self._column(spread)
        if len(shares) > 1:
            value += (self._column(shares) * self._values).sum(0)
        self._tried = fall, value
        return value.reshape(-1, *self._like.shape[1:])

    def settle(self, taken: Mask) -> None:
        """Hear which rows have gone where they last asked about.

        Args:
            taken: mask of rows, shape ``(R,)``; the others are where they were, and what they
                have seen stays ahead of them.

        Raises:
            ArgumentError: unless the mask has one value for each row.
        """
        fall, value = self._tried
        if taken.shape != fall.shape:
            raise ArgumentError("taken", taken, f"a mask of shape {fall.shape}")
        if len(self._falls) == 1 and taken.all():
            self._falls = fall[None]
            return
        # What a rejected step has seen is kept, unless it was known before.
        seen = np.where(taken | (self._falls == fall).any(0), np.inf, fall)
        falls = self._with_room(seen)
        free = np.isinf(falls) & (np.isinf(falls).cumsum(0) == 1)
        falls = np.where(free, seen, falls)
        here = np.where(taken, fall, falls[0])
        falls[falls <= here] = np.inf
        falls[0] = here
        stays = np.isfinite(falls).astype(np.float64)
        stays[0], stays[free] = 0.0, 0.0
        moves = free - stays * taken
        self._values.mul_(self._column(stays)).addcmul_(self._column(moves), value)
        used = np.isfinite(falls).any(1).nonzero()[0]  # the present, and what anyone still needs
        self._falls, self._values = falls[used], self._values[torch.from_numpy(used)]

    def keep(self, rows: Mask) -> None:
        """Let only some rows walk on.

        Args:
            rows: mask of rows, shape ``(R,)``.
        """
        kept = torch.from_numpy(rows.nonzero()[0]).to(self._like.device)
        self._falls, self._values = self._falls[:, rows], self._values.index_select(1, kept)
        self._kept = kept if self._kept is None else self._kept[kept]

    def _bridge(self, fall: Floats) -> tuple[Floats, Floats]:
        """Weights of the known values, shape ``(K, R)``, and of the draw, in those at a time."""
        later = self._falls > fall
        known = np.where(later, -np.inf, self._falls)
        unknown = np.where(later, self._falls, np.inf)
        before, after = known.max(0), unknown.min(0)
        risen = fall - before
        share = risen / (after - before)
        shares = np.where(known == before, 1.0 - share, np.where(unknown == after, share, 0.0))
        return shares, np.sqrt(risen - risen * share)

    def _with_room(self, seen: Floats) -> Floats:
        """The falls, with a free layer in every row that has seen something."""
        if not (np.isfinite(self._falls).all(0) & np.isfinite(seen)).any():
            return self._falls
        self._values = torch.cat((self._values, torch.zeros_like(self._values[:1])))
        return np.concatenate((self._falls, np.full_like(self._falls[:1], np.inf)))

    def _draw(self) -> Tensor:
        drawn = self._normal(self._like)
        return drawn if self._kept is None else drawn.index_select(0, self._kept)

    def _column(self, weights: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(weights).to(self._values).unsqueeze(-1)
