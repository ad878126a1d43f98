r"""The implicit midpoint rule, solved to rounding: a flow that is undone by running it back.

.. math:: y' = y + h\, v\Big(\frac{y + y'}{2},\; \frac{t + s}{2}\Big), \qquad h = s - t.

To swap (y, t) with (y', s) leaves the equation as it is, so that the step from s to t undoes the
one from t to s.  The state is one tensor and stays so.  Explicit methods that can be undone carry
a pair of states, and the difference between the two grows in one of the two directions where the
flow contracts: a latent that they return is then far from the flow's own.

Hairer, Lubich & Wanner, "Geometric numerical integration", sections II.3 and V.1; the iteration is
Anderson's, J. ACM 12 (1965).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sdeplug import Claims, Field, FlowIntegrator, Run, StepError, option

Map = Callable[[Tensor], Tensor]

_WINDOW = 4  # earlier differences that the iteration learns from
_DONE, _ROUNDED = 8.0, 1e3  # residuals in units of rounding: solved; solved if it gets no better
_PATIENCE = 3


@dataclass(frozen=True)
class Reversible(FlowIntegrator):
    """The implicit midpoint rule: order 2, and exactly undone by the same steps the other way.

    A step asks for the field until its equation is solved to rounding, some five to ten times;
    rows that are solved stand still, so that no row depends on its neighbours.
    """

    most: int = option(60, help="evaluations of one step, at most", ge=2)

    @property
    def claims(self) -> Claims:
        """Order 2, no noise; how often a step asks for the score depends on the field."""
        return Claims(order=2, stochastic=False)

    def flow(self, field: Field, y: Tensor, t: float, s: float, run: Run) -> Tensor:
        """One step from t to s; the step from s to t returns to y, up to rounding.

        Raises:
            StepError: if the equation of the step is not solved in ``most`` evaluations.
        """
        h, middle = s - t, t + 0.5 * (s - t)

        def moved(point: Tensor) -> Tensor:
            return y.add(field(point, middle), alpha=0.5 * h)

        with torch.no_grad():
            point, residuals = _solved(moved, y, self.most)
        row = int(residuals.argmax())
        left = float(residuals[row])
        if not left <= _ROUNDED:
            raise StepError(
                f"{self!r}: the step from t = {t:.6g} to {s:.6g} is not solved, as its equation "
                f"is still {left:.0e} roundings off. Take more steps, or a larger most; a "
                "score in half precision is too rough for it.",
                t=t, row=row, last=y, last_t=t, step=h, solver=repr(self),
            )  # fmt: skip
        if torch.is_grad_enabled():
            point = self._tracked(moved, point)
        return y.add(point - y, alpha=2.0)

    def _tracked(self, moved: Map, point: Tensor) -> Tensor:
        """The solution with its gradients, by the implicit function theorem."""
        inner = point.detach().requires_grad_()
        image, again = moved(point.detach()), moved(inner)

        def through(gradient: Tensor) -> Tensor:
            def back(u: Tensor) -> Tensor:
                (pulled,) = torch.autograd.grad(
                    again, inner, u, retain_graph=True, materialize_grads=True
                )
                return gradient + pulled

            return _solved(back, gradient, self.most)[0]

        if image.requires_grad:
            image.register_hook(through)
        return image


def _solved(function: Map, start: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """The fixed point of a function, row by row, and what each row is off, in roundings."""
    best = point = start
    least = start.new_full(start.shape[:1], float("inf"))
    waited = torch.zeros_like(least)
    memory: deque[tuple[Tensor, Tensor]] = deque(maxlen=_WINDOW + 1)
    for _ in range(most):
        image = function(point)
        residual = _roundings(image - point, start, image)
        better = residual < least
        best = _chosen(better, image, best)
        least, waited = torch.where(better, residual, least), torch.where(better, 0.0, waited + 1)
        done = (least <= _DONE) | ((waited >= _PATIENCE) & (least <= _ROUNDED))
        if bool(done.all()):
            break
        memory.appendleft((image, image - point))
        point = _chosen(done, point, _mixed(memory))
    return best, least


def _mixed(memory: deque[tuple[Tensor, Tensor]]) -> Tensor:
    """The next point: what would leave no residual if the function were affine in the memory."""
    image, residual = memory[0]
    if len(memory) == 1:
        return image
    images = torch.stack([image - each for each, _ in list(memory)[1:]], 1).flatten(2)
    steps = torch.stack([residual - each for _, each in list(memory)[1:]], 1)
    steps = steps.flatten(2).to(torch.float64)
    gram = steps @ steps.mT
    diagonal = gram.diagonal(dim1=1, dim2=2)
    diagonal.add_(1e-12 * diagonal.sum(1, keepdim=True))  # rows that stand still have none
    pull = steps @ residual.flatten(1).to(torch.float64)[..., None]
    weights = torch.linalg.solve_ex(gram, pull)[0].nan_to_num(0.0, 0.0, 0.0).to(image.dtype)
    learned: Tensor = (weights * images).sum(1)
    return image - learned.reshape(image.shape)


def _roundings(difference: Tensor, start: Tensor, image: Tensor) -> Tensor:
    """The largest number of a row, in units of the rounding of the rows that it is between."""
    known = torch.finfo(start.dtype)
    size = torch.maximum(_largest(start), _largest(image)).clamp(min=known.tiny / known.eps)
    return _largest(difference) / (size * known.eps)


def _largest(x: Tensor) -> Tensor:
    largest: Tensor = x.flatten(1).abs().amax(1)
    return largest


def _chosen(rows: Tensor, one: Tensor, other: Tensor) -> Tensor:
    return torch.where(rows.reshape(-1, *(1,) * (one.ndim - 1)), one, other)
