"""What a solver is: integrators, flow integrators, correctors, and what they claim.

The property that defines an integrator is *marginal consistency*: fed x ~ p_t and the exact
score, it returns p_s, exactly or to a stated order in the step.  A corrector leaves p_t as it
is.  Solvers are frozen dataclasses without the model: values that can be named, compared,
printed, stored and mixed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from sdeplug.errors import PairingError
from sdeplug.kinds import members
from sdeplug.options import Configured, options_of
from sdeplug.reverse import ReverseSDE, Time
from sdeplug.run import Run
from sdeplug.sde import ForwardSDE

Advance = Callable[[Tensor, float, float], Tensor]
"""One step of a solver that has begun: (x, t, s) -> x'."""

Field = Callable[[Tensor, Time], Tensor]
"""Right-hand side of dy/dt = field(y, t).

t is one time, or, for a solver whose rows have steps of their own, a tensor of shape
``(B, 1, ..., 1)`` that broadcasts against y of shape ``(B, *D)``.
"""

TOLERANCES = ("rtol", "atol", "tolerance", "tol")
"""What options are called that say how large an error may be."""


@dataclass(frozen=True)
class Claims:
    """What a solver promises; each claim is a promise that a check tests.

    Attributes:
        order: weak order under refinement of the grid; None: accurate to its own tolerance.
        strong_order: strong order on a shared Brownian path; None: no claim.
        stochastic: whether it draws noise (when the stochasticity of the reverse SDE is not 0).
        affine: whether it is affine in (x, noise) when the score is affine in x.
        couples_batch: whether a sample depends on its neighbours in the batch.
        evaluations: score evaluations of one ``integrate()`` or ``correct()``; None: it varies.
        floor: relative bias that does not vanish with the step; None: consistent.
        needs: the class of forward SDE that it works with.
        steps: name of the option, of the solver or of one in it, that refines a solver which
            brings its own grid; None: it has none, and a grid refines it.
        level: the one stochasticity of the reverse SDE that it works at; None: all.
        differentiable: whether gradients go through it.
        randomised: whether it draws more than the noise of the reverse SDE, such as a time, a
            number of steps, or whether to accept: then it draws at stochasticity 0 too.
    """

    order: float | None = None
    strong_order: float | None = None
    stochastic: bool = True
    affine: bool = True
    couples_batch: bool = False
    evaluations: int | None = None
    floor: float | None = None
    needs: type[ForwardSDE] = ForwardSDE
    steps: str | None = None
    level: float | None = None
    differentiable: bool = True
    randomised: bool = False


class _Claiming(Configured, ABC):
    """A frozen dataclass with a class attribute, or a property, ``claims``."""

    @property
    def claims(self) -> Claims:
        """What the solver promises."""
        return Claims()


class Integrator(_Claiming):
    """Carry x ~ p_t to x' ~ p_s.

    An implementation asks for the score only at times in [s, t], does not write to x, and takes
    noise only from ``run.noise``.  It is a frozen dataclass whose fields are its options, and
    declares :class:`Claims` as a class attribute, or as a property where an option changes them.
    """

    @abstractmethod
    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """Carry x from time t down to time s.

        Args:
            reverse: the reverse SDE.
            x: state at t, shape ``(B, *D)``, float32 or float64; a pipeline in half precision
                carries its state in float32.
            t: time to start from, at most T.
            s: time to reach, 0 <= s < t.
            run: noise and observers of this call.

        Returns:
            State at s: shape, dtype and device of x.
        """

    def begin(self, reverse: ReverseSDE, run: Run) -> Advance:
        """Start a sequence of steps; a multistep method keeps its memory in this closure."""

        def advance(x: Tensor, t: float, s: float) -> Tensor:
            return self.integrate(reverse, x, t, s, run)

        return advance

    def settled(self, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Integrator:
        """The solver with what it has to know of the score model or of the data; most know enough.

        A pipeline asks for it before a leg and runs what it gets.  It may ask for scores at times
        in [s, t], which count as those of the run do.

        Args:
            reverse: the reverse SDE of the leg.
            x: state at t, shape ``(B, *D)``.
            t: time at which the leg starts.
            s: time at which it ends.
        """
        return self

    @property
    def ends_at(self) -> float | None:
        """The time to which it goes, where it goes to no other; None: to any."""
        return None

    @property
    def needs_grid(self) -> bool:
        """Whether it takes a single step from t to s, so that a whole leg of it needs a grid.

        True for every solver with an order, which is what it gains by shorter steps, unless it
        brings its own grid, which ``claims.steps`` refines.
        """
        return self.claims.order is not None and self.claims.steps is None


class FlowIntegrator(Integrator):
    """Solves any dy/dt = field(y, t), down or up in time; as an integrator, the probability flow.

    The stochasticity of the reverse SDE does not matter to it: the marginals are the same.
    """

    @property
    def claims(self) -> Claims:
        """What the solver promises: no noise is drawn."""
        return Claims(stochastic=False)

    @abstractmethod
    def flow(self, field: Field, y: Tensor, t: float, s: float, run: Run) -> Tensor:
        """Carry y from time t to time s along the field; s may be below or above t.

        Args:
            field: right-hand side, asked only at times between t and s.
            y: value at t, shape ``(B, *D)``.
            t: time to start from.
            s: time to reach.
            run: observers of this call.

        Returns:
            Value at s: shape, dtype and device of y.
        """

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """Carry x along the probability flow: :meth:`flow` of ``reverse.flow``."""
        return self.flow(reverse.flow, x, t, s, run)


class Corrector(_Claiming):
    """Leave p_t as it is."""

    @abstractmethod
    def correct(self, reverse: ReverseSDE, x: Tensor, t: float, run: Run) -> Tensor:
        """Move x ~ p_t to another x' ~ p_t.

        Args:
            reverse: the reverse SDE, asked for the score at t only.
            x: state at t, shape ``(B, *D)``.
            t: time.
            run: noise and observers of this call.

        Returns:
            State at t: shape, dtype and device of x.
        """


def own_steps(by: Integrator) -> int | None:
    """The number of steps of a solver that brings its own grid; None: it brings none.

    Raises:
        PairingError: if what it claims to be refined by is no whole number among its options.
    """
    if by.claims.steps is None:
        return None
    value = getattr(by, _refining(by))
    return own_steps(value) if isinstance(value, Integrator) else value


def with_own_steps(by: Integrator, steps: int) -> Integrator:
    """A solver that brings its own grid, with so many steps.

    Args:
        by: one with ``claims.steps``, or made of such a one.
        steps: how many.

    Raises:
        PairingError: if what it claims to be refined by is no whole number among its options.
        ArgumentError: for a number of steps that it does not allow.
    """
    name: str = _refining(by)
    value: Any = getattr(by, name)
    new = with_own_steps(value, steps) if isinstance(value, Integrator) else steps
    changed: Integrator = replace(by, **{name: new})  # type: ignore[type-var]
    return changed


def tolerances(by: Integrator) -> tuple[float, ...]:
    """The tolerances of a solver, and of the solvers in it: its options that are called as in
    :data:`TOLERANCES`."""
    found: list[float] = []
    for each in options_of(type(by)):
        value = getattr(by, each.name)
        if isinstance(value, Integrator):
            found += tolerances(value)
        elif each.name in TOLERANCES and isinstance(value, (int, float)):
            found.append(value)
    return tuple(found)


def with_tolerances(by: Integrator, factor: float) -> Integrator:
    """A solver with its tolerances, and those of the solvers in it, times a factor; one that has
    none as it is.

    Args:
        by: a solver.
        factor: less than 1 for tighter ones.

    Raises:
        ArgumentError: for a tolerance that it does not allow.
    """

    def scaled(name: str, value: Any) -> Any:
        told = name in TOLERANCES and isinstance(value, (int, float))
        return factor * value if told else value

    return _with_options(by, scaled)


def with_first_step(by: Integrator, length: float) -> Integrator:
    """A solver whose options ``first_step``, and those of the solvers in it, have a new value.

    Raises:
        ArgumentError: for one that it does not allow.
    """
    return _with_options(by, lambda name, value: length if name == "first_step" else value)


def _with_options(by: Integrator, new: Callable[[str, Any], Any]) -> Integrator:
    """A solver with new values of its options, of name and value, at any depth."""
    changed: dict[str, Any] = {}
    for each in options_of(type(by)):
        value = getattr(by, each.name)
        of = isinstance(value, Integrator)
        changed[each.name] = _with_options(value, new) if of else new(each.name, value)
    tuned: Integrator = replace(by, **changed)  # type: ignore[type-var]
    return tuned


def _refining(by: Integrator) -> str:
    """The option that counts the steps, or has the solver in it whose option does."""
    name, options = by.claims.steps, options_of(type(by))
    for each in options:
        if each.name == name and int in members(each.type):
            return each.name
    for each in options:
        value = getattr(by, each.name)
        if isinstance(value, Integrator) and value.claims.steps == name:
            return each.name
    whole = [each.name for each in options if int in members(each.type)]
    raise PairingError(
        f"{by!r} claims steps={name!r}: must name an option that is a whole number. "
        f"It has {', '.join(whole) or 'none'}."
    )


def found_instead(by: object) -> str:
    """What to write where an integrator is wanted and something else was given, a sentence."""
    if isinstance(by, Corrector):
        return "Corrected(integrator, corrector) makes an integrator of it."
    if isinstance(by, str):
        return f"solver({by!r}) is the one of that name."
    if isinstance(by, int):
        return f"solver('auto', nfe={by}) spends as many evaluations."
    return "solver(name) builds one."
