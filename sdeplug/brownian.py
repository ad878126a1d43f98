r"""Brownian paths that are consistent under refinement, without memory.

A path on [s, t] is the Lévy-Ciesielski sum over the dyadic tree of the interval,

.. math:: W(u) = \tau \sqrt{L}\, Z_0 + \sum_{l} h_l(u)\, Z_{l, k_l(u)},
          \qquad L = t - s,\; \tau = (t - u) / L,

with tent functions h of height :math:`\sqrt{L 2^{-l}} / 2` and counter-based normals Z
(:mod:`sdeplug.philox`).  W(u) is therefore a pure function of (key, row, u): whatever is asked,
in whatever order, belongs to one path.  The last level is an exact Brownian bridge, so that
W(u) has its exact law at every u; joint laws are exact down to L / 2^levels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug.errors import ArgumentError
from sdeplug.philox import normals


@dataclass(frozen=True, eq=False)
class BrownianPath:
    """One Brownian path for each row of a batch, on the time interval [s, t].

    Attributes:
        like: tensor whose shape ``(B, *D)``, dtype and device the increments have.
        t: upper end of the interval.
        s: lower end of the interval.
        key: 64-bit key of the path.
        rows: row numbers, int64, shape ``(B,)``; each row has a path of its own.
        levels: depth of the dyadic tree, 1 to 30.
        scale: factor on all increments; 0 gives the path that does not move.
    """

    like: Tensor
    t: float
    s: float
    key: int
    rows: Tensor
    levels: int = 20
    scale: float = 1.0

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
        values = self._values(torch.stack(torch.broadcast_tensors(self._time(u), self._time(v))))
        return (values[0] - values[1]).to(self.like.dtype).reshape(self.like.shape)

    def _time(self, u: float | Tensor) -> Tensor:
        times = torch.as_tensor(u, dtype=torch.float64, device=self.like.device).reshape(-1)
        if not bool(((times >= self.s) & (times <= self.t)).all()):
            raise ArgumentError("u", u, f"a time in [{self.s}, {self.t}], the span of the path")
        return times

    def _values(self, u: Tensor) -> Tensor:
        """W at times u of shape (Q, 1) or (Q, B): float64, shape (Q, B, numel of a row)."""
        length = self.t - self.s
        tau = ((self.t - u) / length).clamp(0.0, 1.0)
        level = torch.arange(self.levels + 1, device=u.device).reshape(-1, 1, 1)
        cells = (2**level).to(torch.float64)
        index = (tau * cells).floor().clamp(max=cells - 1)
        inside = tau * cells - index
        tent = torch.minimum(inside, 1.0 - inside)
        bridge = (inside * (1.0 - inside)).clamp(min=0.0).sqrt()
        weight = torch.where(level < self.levels, tent, bridge) * (length / cells).sqrt()
        # Node 0 is the end point of the path; the nodes of level l are 2^l ... 2^(l+1) - 1.
        node = torch.cat((torch.zeros_like(index[:1]), index + cells)).to(torch.int64)
        weight = torch.cat(((tau * length**0.5).unsqueeze(0), weight)) * self.scale
        count = self.like[0].numel() if len(self.like) else 0
        noise = normals(self.key, self.rows, node, count)
        return torch.einsum("lqb,lqbn->qbn", weight.expand(noise.shape[:-1]), noise)
