r"""The longer state: x with its log-density beside it.

Along the probability flow dx/dt = v(x, t)

.. math:: \frac{d}{dt} \log p_t(x(t)) = -\nabla \cdot v(x(t), t),

so that log p_t at one end is log p_T at the other plus the integral of the divergence in between.

Reference: Chen et al., arXiv 1806.07366, theorem 1; Song et al., arXiv 2011.13456, equation 39.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug.errors import PairingError
from sdeplug.reverse import ReverseSDE, Time
from sdeplug.score import Exact, Jacobian, ScoreModel, Trace, Wrapper, with_divergence
from sdeplug.solvers import Field


@dataclass(frozen=True, kw_only=True)
class Longer(ReverseSDE):
    """A reverse SDE whose flow is that of a longer state; it has no score."""

    field: Field

    def flow(self, x: Tensor, t: Time) -> Tensor:
        """Velocity of the longer state: ``(B, n)``."""
        return self.field(x, t)

    def score(self, x: Tensor, t: Time) -> Tensor:
        """Refuse.

        Raises:
            PairingError: always.
        """
        raise PairingError(
            "by asks for the score, which the longer state (x, log p) has not: it must ask for "
            "reverse.flow alone, as solver('adaptive/row-tsit5') does."
        )


class Seen(Wrapper):
    """A score model that is looked at once: its answer has to depend on x, for torch to see.

    One that has a formula for its divergence need not.

    Beside the drift of the forward SDE nobody would miss the derivative of the score.
    """

    def __init__(self, score_model: ScoreModel) -> None:
        self.score_model, self._seen = score_model, False

    def through(self, model: ScoreModel, x: Tensor, t: Tensor) -> Tensor:
        """The score by way of the model.

        Raises:
            PairingError: if it does not depend on x.
        """
        score = model(x, t)
        if not self._seen and isinstance(score, Tensor) and score.shape == x.shape:
            Jacobian(score, x).products(torch.ones_like(score.detach())[None])
            self._seen = True
        return score

    def through_with_divergence(
        self, model: ScoreModel, x: Tensor, t: Tensor
    ) -> tuple[Tensor, Tensor] | None:
        """The score by way of the model and its divergence."""
        return with_divergence(model, x, t)


class Densities:
    """The field of the longer state: of each row the D coordinates, then K log-densities.

    A log-density is kept over the square root of D: in the error of a step, a root of a mean over
    the row, an error in nats per coordinate then weighs as one in every coordinate of x.

    Args:
        reverse: the reverse SDE.
        x: states at the start, shape ``(B, *D)``.
        trace: how the divergence is found.
        directions: its random vectors for these rows, shape ``(P, B, *D)``.
        at_once: how many vector-Jacobian products are computed at once; None: it is seen to.
        graph: whether the field keeps the graph that leads to x and to the network.

    Attributes:
        products: vector-Jacobian products so far, each one for the whole batch.
    """

    def __init__(
        self,
        reverse: ReverseSDE,
        x: Tensor,
        trace: Trace,
        directions: Tensor,
        at_once: int | None,
        graph: bool,
    ) -> None:
        self.reverse, self.trace, self.directions = reverse, trace, directions
        self.at_once, self.graph = at_once, graph
        self.shape: Sequence[int] = x.shape[1:]
        self.size = x[0].numel()
        self.unit = math.sqrt(self.size)
        self.mapped = True
        self.products = 0
        self._rows: Tensor | None = None

    def select(self, rows: Tensor | None) -> None:
        """Hear which rows of the batch the next states are; None: all."""
        self._rows = rows

    def begin(self, x: Tensor) -> Tensor:
        """The longer state with log-densities 0: shape ``(B, D + K)``."""
        return torch.cat((x.flatten(1), x.new_zeros(len(x), self.trace.estimates)), 1)

    def end(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """x, shape ``(B, *D)``, and the K log-densities in nats, ``(K, B)``."""
        x, kept = y[:, : self.size], y[:, self.size :]
        return x.reshape(len(y), *self.shape), kept.T * self.unit

    def __call__(self, y: Tensor, t: Time) -> Tensor:
        """Velocity and divergences: ``(R, D + K)`` to the same shape."""
        velocity, divergence = self.parts(y, t)
        return torch.cat((velocity.flatten(1), divergence.T / self.unit), 1)

    def parts(self, y: Tensor, t: Time) -> tuple[Tensor, Tensor]:
        """Velocity, shape ``(R, *D)``, and divergences, ``(K, R)``."""
        if isinstance(self.trace, Exact):
            with torch.set_grad_enabled(self.graph):
                known = self.reverse.flow_and_divergence(self.end(y)[0], t)
            if known is not None:
                return known[0], known[1][None]
        return self._by_products(y, t)

    def _by_products(self, y: Tensor, t: Time) -> tuple[Tensor, Tensor]:
        directions = self.directions
        if self._rows is not None and len(directions):
            directions = directions.index_select(1, self._rows.to(directions.device))
        with torch.enable_grad():
            x = self.end(y)[0]
            if not (self.graph and x.requires_grad):
                x = x.detach().requires_grad_()
            velocity = self.reverse.flow(x, t)
            jacobian = Jacobian(
                velocity, x, graph=self.graph, at_once=self.at_once, mapped=self.mapped
            )
            divergence = self.trace.of(jacobian, directions)
        self.mapped = jacobian.mapped
        self.products += jacobian.count
        if self.graph:
            return velocity, divergence
        return velocity.detach(), divergence.detach()
