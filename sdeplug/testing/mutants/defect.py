"""A mistake that any solver can make: what changes between a solver and the world around it.

``spoil(solver, defect)`` is the solver with the mistake, of the same kind as the right one.  A
:class:`Defect` is a value, so that the spoilt solver is one too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

from sdeplug.noise import NoiseSource
from sdeplug.options import option
from sdeplug.reverse import ReverseSDE
from sdeplug.run import Run
from sdeplug.solvers import Advance, Claims, Corrector, Field, FlowIntegrator, Integrator
from sdeplug.testing.mutants.record import sentence

Begin = Callable[[ReverseSDE, Run], Advance]
"""How a right solver starts: (reverse, run) -> advance; a corrector's advance has s = t."""


@dataclass(frozen=True)
class Defect:
    """A mistake; as it stands, none at all."""

    @property
    def what(self) -> str:
        """The mistake, in words."""
        return sentence(self)

    def start(self, begin: Begin, reverse: ReverseSDE, run: Run) -> Advance:
        """Start the right solver, wrongly."""
        return begin(self.seen(reverse), replace(run, noise=self.heard(run.noise)))

    def seen(self, reverse: ReverseSDE) -> ReverseSDE:
        """What the solver sees of the reverse SDE."""
        return reverse

    def heard(self, noise: NoiseSource) -> NoiseSource:
        """Where the solver takes its noise from."""
        return noise

    def promised(self, claims: Claims) -> Claims:
        """What the solver claims."""
        return claims


@dataclass(frozen=True)
class Act(Defect):
    """A mistake in a step: what is done instead of ``advance(x, t, s)``."""

    def start(self, begin: Begin, reverse: ReverseSDE, run: Run) -> Advance:
        """Start the right solver, and take wrong steps."""
        advance = begin(reverse, run)

        def wrong(x: Tensor, t: float, s: float) -> Tensor:
            return self.act(advance, reverse, x, t, s)

        return wrong

    def act(self, advance: Advance, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Tensor:
        """One wrong step."""
        return advance(x, t, s)


@dataclass(frozen=True)
class Spoilt(Integrator):
    """An integrator with a mistake."""

    right: Integrator = option(help="the right solver")
    defect: Defect = option(help="the mistake")

    @property
    def claims(self) -> Claims:
        """Those of the right solver, unless the mistake is in them."""
        return self.defect.promised(self.right.claims)

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """Carry x from t to s, wrongly."""

        def begin(reverse: ReverseSDE, run: Run) -> Advance:
            return lambda x, t, s: self.right.integrate(reverse, x, t, s, run)

        return self.defect.start(begin, reverse, run)(x, t, s)

    def begin(self, reverse: ReverseSDE, run: Run) -> Advance:
        """Start a sequence of steps, wrongly."""
        return self.defect.start(self.right.begin, reverse, run)


@dataclass(frozen=True)
class SpoiltFlow(Spoilt, FlowIntegrator):
    """A flow integrator with a mistake in its probability flow."""

    right: FlowIntegrator = option(help="the right solver")

    def flow(self, field: Field, y: Tensor, t: float, s: float, run: Run) -> Tensor:
        """Carry y along the field, as the right solver does."""
        return self.right.flow(field, y, t, s, run)


@dataclass(frozen=True)
class SpoiltCorrector(Corrector):
    """A corrector with a mistake."""

    right: Corrector = option(help="the right solver")
    defect: Defect = option(help="the mistake")

    @property
    def claims(self) -> Claims:
        """Those of the right solver, unless the mistake is in them."""
        return self.defect.promised(self.right.claims)

    def correct(self, reverse: ReverseSDE, x: Tensor, t: float, run: Run) -> Tensor:
        """Move x at time t, wrongly."""

        def begin(reverse: ReverseSDE, run: Run) -> Advance:
            return lambda x, t, s: self.right.correct(reverse, x, t, run)

        return self.defect.start(begin, reverse, run)(x, t, t)


def spoil(solver: Integrator | Corrector, defect: Defect) -> Integrator | Corrector:
    """The solver with the mistake: a corrector, flow integrator or integrator, as before."""
    if isinstance(solver, Corrector):
        return SpoiltCorrector(solver, defect)
    if isinstance(solver, FlowIntegrator):
        return SpoiltFlow(solver, defect)
    return Spoilt(solver, defect)
