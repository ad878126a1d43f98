"""What is done in each step beside it, and not declared; what is right for Gaussians alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from torch import Tensor

from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.sde import LinearSDE
from sdeplug.solvers import Advance, Claims
from sdeplug.testing.mutants.defect import Act, Begin, Defect


@dataclass(frozen=True)
class Corrects(Defect):
    """A Langevin step after each step, whose bias is not declared.

    Attributes:
        snr: its signal-to-noise ratio.
    """

    snr: float

    @property
    def what(self) -> str:
        """With the number."""
        return f"a Langevin step of snr = {self.snr:g} after each step, whose bias is not declared"

    def start(self, begin: Begin, reverse: ReverseSDE, run: Run) -> Advance:
        """Start the right solver, and correct what comes out."""
        advance = begin(reverse, run)

        def corrected(x: Tensor, t: float, s: float) -> Tensor:
            y = advance(x, t, s)
            length = 2.0 * (self.snr * reverse.linear.at(s).sigma) ** 2
            return y + length * reverse.score(y, s) + math.sqrt(2.0 * length) * run.noise.normal(y)

        return corrected

    def promised(self, claims: Claims) -> Claims:
        """One evaluation more, no strong order, and the noise level is asked for."""
        count = None if claims.evaluations is None else claims.evaluations + 1
        return replace(claims, evaluations=count, strong_order=None, needs=LinearSDE)


@dataclass(frozen=True)
class Shakes(Defect):
    """A little noise of one size after each step, however short it is.

    Attributes:
        size: in units of the noise level.
    """

    size: float

    def start(self, begin: Begin, reverse: ReverseSDE, run: Run) -> Advance:
        """Start the right solver, and shake what comes out."""
        advance = begin(reverse, run)

        def shaken(x: Tensor, t: float, s: float) -> Tensor:
            y = advance(x, t, s)
            return y + self.size * reverse.linear.at(s).sigma * run.noise.normal(y)

        return shaken

    def promised(self, claims: Claims) -> Claims:
        """No strong order, and the noise level is asked for."""
        return replace(claims, strong_order=None, needs=LinearSDE)


@dataclass(frozen=True)
class Shrinks(Defect):
    """The state shrinks by a hundred-thousandth in each step, however short it is."""

    def start(self, begin: Begin, reverse: ReverseSDE, run: Run) -> Advance:
        """Start the right solver, and shrink what comes out."""
        advance = begin(reverse, run)
        return lambda x, t, s: (1.0 - 1e-5) * advance(x, t, s)


@dataclass(frozen=True)
class Curved(Act):
    """What a step does is too large where the score is curved, as that of no Gaussian is.

    Attributes:
        weight: by how much, as a share of it.
        nudge: to both sides, in units of the noise level.
    """

    weight: float
    nudge: float = 0.1

    @property
    def what(self) -> str:
        """With the number."""
        return f"steps up to {self.weight:.0%} too large where the score is curved"

    def act(self, advance: Advance, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        """Scale the change of the state."""
        sigma = reverse.linear.at(t).sigma
        step = self.nudge * sigma
        sides = reverse.score(x + step, t) + reverse.score(x - step, t)
        curved = (sides - 2.0 * reverse.score(x, t)).abs() * (sigma / self.nudge**2)
        return x + (1.0 + self.weight * curved.tanh()) * (advance(x, t, s) - x)

    def promised(self, claims: Claims) -> Claims:
        """Three evaluations more, and the noise level is asked for."""
        count = None if claims.evaluations is None else claims.evaluations + 3
        return replace(claims, evaluations=count, needs=LinearSDE)
