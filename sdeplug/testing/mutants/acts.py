"""Mistakes in a step: what is done around it, and what comes out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Advance, Claims
from sdeplug.testing.mutants.defect import Act, Begin, Defect, Spoilt


@dataclass(frozen=True)
class InPlace(Act):
    """The result is written into x."""

    def act(self, advance: Advance, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        """Write to x."""
        return x.copy_(advance(x, t, s))


@dataclass(frozen=True)
class InFloat32(Act):
    """The step is taken in float32, whatever the dtype of the state is."""

    def act(self, advance: Advance, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        """There and back."""
        return advance(x.float(), t, s).to(x.dtype)


@dataclass(frozen=True)
class Promoted(Act):
    """A coefficient is a float64 array: the state becomes float64."""

    def act(self, advance: Advance, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        """Multiply by one."""
        return advance(x, t, s) * torch.ones_like(x, dtype=torch.float64)


@dataclass(frozen=True)
class Squeezed(Act):
    """Axes of length 1 are lost."""

    def act(self, advance: Advance, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        """Squeeze what comes out."""
        return advance(x, t, s).squeeze()


@dataclass(frozen=True)
class Misaligned(Act):
    """A coefficient for each row, of shape (B,), meets the last axis of x."""

    def act(self, advance: Advance, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        """Multiply by one."""
        return advance(x, t, s) * x.new_ones(len(x) if x.ndim > 2 else 1)


@dataclass(frozen=True)
class Detached(Act):
    """The result is cut off from the graph."""

    def act(self, advance: Advance, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        """Detach what comes out."""
        return advance(x, t, s).detach()


@dataclass(frozen=True)
class Centred(Act):
    """The mean of the batch is taken off, in part."""

    def act(self, advance: Advance, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        """Towards a batch of mean 0."""
        return advance(x, t, s) - 1e-3 * x.mean(0, keepdim=True)


@dataclass(frozen=True)
class Leaking(Act):
    """Something of each row gets into the next one; the first is as it should be."""

    def act(self, advance: Advance, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        """Add a little of the row before."""
        before = torch.cat((torch.zeros_like(x[:1]), x[:-1]))
        return advance(x, t, s) + 1e-6 * before


@dataclass(frozen=True)
class BatchSize(Act):
    """The result depends on how many rows there are."""

    def act(self, advance: Advance, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        """Divide by B where it should be B - 1, or so."""
        return advance(x, t, s) * (1.0 + 1e-6 / len(x))


@dataclass(frozen=True)
class FirstRowLeft(Act):
    """The first row is left as it was."""

    def act(self, advance: Advance, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        """All rows but one."""
        return torch.cat((x[:1], advance(x, t, s)[1:]))


@dataclass(frozen=True)
class ExtraEvaluation(Act):
    """The score is asked for once more than is claimed, inside the span."""

    def act(self, advance: Advance, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        """Ask, and throw away."""
        reverse.score(x, t)
        return advance(x, t, s)


@dataclass(frozen=True)
class Outside(ExtraEvaluation):
    """The score is asked for below the span, and that evaluation is claimed."""

    def act(self, advance: Advance, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        """Ask, and throw away."""
        reverse.score(x, 0.999 * s)
        return advance(x, t, s)

    def promised(self, claims: Claims) -> Claims:
        """One evaluation more."""
        evaluations = None if claims.evaluations is None else claims.evaluations + 1
        return replace(claims, evaluations=evaluations)


@dataclass(frozen=True)
class NanNearEps(Act):
    """0/0 in the step that ends at eps."""

    def act(self, advance: Advance, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        """Divide by a distance to eps that is 0."""
        gap = max(s - reverse.forward.eps, 0.0)
        return advance(x, t, s) * (1.0 if gap else math.nan)


@dataclass(frozen=True)
class StopsEarly(Act):
    """Times below a fixed one are not reached, for fear of the score there."""

    factor: float = 2.0

    @property
    def what(self) -> str:
        """With the number."""
        return f"times below {self.factor:g} eps are not reached, for fear of the score there"

    def act(self, advance: Advance, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        """Stop at a multiple of eps."""
        end = self.factor * reverse.forward.eps
        return x if t <= end else advance(x, t, max(s, end))

    def promised(self, claims: Claims) -> Claims:
        """The evaluations vary."""
        return replace(claims, evaluations=None)


@dataclass(frozen=True)
class Skipped(Act):
    """The step is not taken."""

    def act(self, advance: Advance, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        """Stay."""
        return x + 0.0 * reverse.score(x, t)

    def promised(self, claims: Claims) -> Claims:
        """The evaluations vary."""
        return replace(claims, evaluations=None)


@dataclass(frozen=True)
class SkipsLast(Act):
    """The step that ends at eps is not taken."""

    def act(self, advance: Advance, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        """Stay."""
        return x if s <= reverse.forward.eps else advance(x, t, s)

    def promised(self, claims: Claims) -> Claims:
        """The evaluations vary."""
        return replace(claims, evaluations=None)


@dataclass(frozen=True)
class DenoisesLast(Act):
    """The state at eps is replaced by the denoised data."""

    def act(self, advance: Advance, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        """A step, then Tweedie's formula."""
        y = advance(x, t, s)
        return reverse.denoised(y, s) if s <= reverse.forward.eps else y

    def promised(self, claims: Claims) -> Claims:
        """The evaluations vary, and the noise level is asked for."""
        return replace(claims, evaluations=None, needs=LinearSDE)


@dataclass(frozen=True)
class StepBefore(Defect):
    """Each step is taken over the span of the one before: the grid is off by one."""

    def start(self, begin: Begin, reverse: ReverseSDE, run: Run) -> Advance:
        """Start the right solver, and keep the spans."""
        advance, spans = begin(reverse, run), list[tuple[float, float]]()

        def late(x: Tensor, t: float, s: float) -> Tensor:
            spans.append((t, s))
            return advance(x, *spans[-2:][0])

        return late


@dataclass(frozen=True)
class Remembered(Defect):
    """A table that outlives the run: what the same step gave in an earlier one gets into it."""

    def start(self, begin: Begin, reverse: ReverseSDE, run: Run) -> Advance:
        """Add something of what the same time gave in an earlier run."""
        advance = begin(reverse, run)

        def stale(x: Tensor, t: float, s: float) -> Tensor:
            y = advance(x, t, s)
            before = TABLE.pop((t, s, y.shape, y.dtype), y)
            TABLE[(t, s, y.shape, y.dtype)] = y.detach()
            return y + 1e-3 * (before - y)

        return stale


TABLE: dict[object, Tensor] = {}
"""What :class:`Remembered` keeps."""


@dataclass(frozen=True)
class SpoiltCall(Spoilt):
    """Steps of a sequence are right; a single ``integrate()`` has the mistake."""

    def begin(self, reverse: ReverseSDE, run: Run) -> Advance:
        """Start a sequence of steps, rightly."""
        return self.right.begin(reverse, run)
