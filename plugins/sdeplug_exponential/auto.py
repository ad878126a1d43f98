"""``auto``: method, stochasticity and grid from a budget of score evaluations.

The policy is a table (:mod:`sdeplug_exponential.policy`).  With an exact score the probability flow
wins at every budget, and many values with it.  With one that may be wrong, as that of a network,
noise forgets a part of the mistakes, and two values are all that can be trusted.  Few steps are
best spent between the noise that hides the data and their details: so the first evaluation finds
out how large the data are.  The first step does without one, since in much noise all that there
is to see of the data is their mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf

from torch import Tensor

from sdeplug import (
    AnalyticFirst,
    ArgumentError,
    Claims,
    Counted,
    Focus,
    ForwardSDE,
    Integrator,
    LinearSDE,
    OnGrid,
    PairingError,
    ReverseSDE,
    Run,
    ScoreModel,
    option,
)
from sdeplug_exponential.adams import Adams
from sdeplug_exponential.policy import Row, row_for
from sdeplug_exponential.scale import Scale, found_scale, noise_ratio

_UNSEEN = Scale(1.0, "as long as nobody has looked: a pipeline does, before the run")
_HIDDEN = 10.0  # standard deviations of the data that noise has where it hides them


@dataclass(frozen=True)
class Choice(Integrator):
    """What :class:`Auto` picks: a whole leg.  Printed, it says why.

    Attributes:
        solver: the method.
        grid: its steps.
        stochasticity: l as a function of time, times that of the reverse SDE; None for the
            probability flow.
        row: the line of the policy.
        scale: the size of the data.
    """

    solver: Adams
    grid: Focus
    stochasticity: Callable[[float], float] | None
    row: Row
    scale: Scale

    @property
    def claims(self) -> Claims:
        """Those of the method on its grid."""
        return replace(self.by.claims, stochastic=self.stochasticity is not None)

    @property
    def by(self) -> OnGrid:
        """The solver on its grid."""
        return OnGrid(self.solver, self.grid)

    def __str__(self) -> str:
        level = "0, the probability flow" if self.row.noise is None else str(self.row.noise)
        steps, low, high = self.grid.steps, self.grid.low, self.grid.high
        return (
            f"auto: {self.solver}\n"
            f"  on Focus(steps={steps}, low={low:.3g}, high={high:.3g})\n"
            f"  stochasticity: {level}\n"
            f"  standard deviation of the data: {self.scale.std:.3g}, {self.scale.origin}\n"
            f"  why: {self.row.why}"
        )

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """The solver on its grid, at the chosen part of the stochasticity."""
        run.note(str(self))
        x, t = reverse.linear.from_horizon(x, t, s)
        if _is_free(self.row, reverse.linear, t, self.scale):
            reverse = replace(reverse, score_model=_opened(reverse, self.scale))
        part = self.stochasticity
        # At stochasticity 0 nothing is drawn, whatever the policy says.
        if part is None or reverse.stochasticity == 0.0:
            reverse = replace(reverse, stochasticity=0.0)
        else:
            level = reverse.level
            reverse = replace(reverse, stochasticity=lambda time: part(time) * level(time))
        return self.by.integrate(reverse, x, t, s, run)


@dataclass(frozen=True)
class Auto(Integrator):
    """The best of this plugin for a budget: it brings method, stochasticity and grid.

    ``Auto(32).choice(reverse)`` says what it picks.  It is a whole leg: no grid is put around it.
    """

    nfe: int = option(32, help="score evaluations of the leg", ge=1)
    score_error: float | None = option(
        None,
        help="error of the predicted noise; None: what the score says, or unknown",
        ge=0.0,
        lt=inf,
    )
    data_std: float | None = option(
        None,
        help="standard deviation of the data; None: found, or 1 with an exact score",
        gt=0.0,
        lt=inf,
    )

    @property
    def claims(self) -> Claims:
        """Those of the method that it picks for so many evaluations, each of which is a step.

        Where nobody says how wrong the score is, they are those for one that may be wrong.
        """
        row = self._row(None)
        return Claims(
            order=row.solver.claims.order,
            steps="nfe",
            stochastic=row.noise is not None,
            evaluations=self.nfe,
            needs=LinearSDE,
        )

    def choice(self, of: ForwardSDE | ReverseSDE, like: Tensor | None = None) -> Choice:
        """What is picked for a run down to eps; printed, it says why.

        Args:
            of: the reverse SDE, whose score may say how wrong it is; of a forward SDE alone the
                score is taken for one that may be.
            like: a state of the run, shape ``(B, *D)``, of which only the form is used: the size
                of the data is found with it, as in the run, by one evaluation of the score.

        Raises:
            PairingError: unless the SDE is linear, or if the network cannot be asked about such a
                state.
            ArgumentError: if the score says of its error what cannot be, or ``like`` is no state.
        """
        sde = of.forward if isinstance(of, ReverseSDE) else of
        if not isinstance(sde, LinearSDE):
            shown = repr(sde) if isinstance(sde, ForwardSDE) else type(sde).__name__
            raise PairingError(
                f"of = {shown}: must be a LinearSDE, such as VPSDE(), or a ReverseSDE of one."
            )
        if isinstance(of, ReverseSDE) and like is not None:
            asked = replace(of, score_model=Counted(of.score_model))
            return self.settled(asked, _state("like", like), sde.T, sde.eps)
        row = self._row(of if isinstance(of, ReverseSDE) else None)
        return _choice(row, self.nfe, sde, self._known(row) or _UNSEEN)

    def settled(self, reverse: ReverseSDE, x: Tensor, t: float, s: float) -> Choice:
        """What is picked for a leg.

        The size of the data is found by the first evaluation of the budget, unless it is given or
        the score is exact.
        """
        sde, row, steps = reverse.linear, self._row(reverse), self.nfe
        scale = self._known(row)
        if scale is None:
            x, t = sde.from_horizon(x, t, s)
            scale = found_scale(reverse, x, t, s)
            steps -= 0 if _is_free(row, sde, t, scale) else scale.evaluations
        return _choice(row, steps, sde, scale)

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """The chosen solver on its grid; nobody looks for the size of the data here."""
        return self.choice(reverse).integrate(reverse, x, t, s, run)

    def _row(self, reverse: ReverseSDE | None) -> Row:
        error = self.score_error
        if error is None and reverse is not None:
            error = reverse.error
        quiet = reverse is not None and reverse.stochasticity == 0.0
        return row_for(self.nfe, None if error is None else error != 0.0, quiet)

    def _known(self, row: Row) -> Scale | None:
        """The size of the data, where nobody has to look for it."""
        if self.data_std is not None:
            return Scale(self.data_std, "as given")
        if row.wrong is False:
            return Scale(1.0, "as long as no other is given, with an exact score")
        return Scale(1.0, "assumed: one evaluation leaves none to look") if self.nfe == 1 else None


def _state(name: str, value: object) -> Tensor:
    """A state of a run."""
    if isinstance(value, Tensor) and value.ndim > 1 and value.numel() and value.is_floating_point():
        return value
    shown = f"{tuple(value.shape)} {value.dtype}" if isinstance(value, Tensor) else value
    raise ArgumentError(
        name, shown, "a floating-point tensor of shape (B, *D), with one row at least",
        "torch.zeros(32, 1, 28, 28) stands for images.",
    )  # fmt: skip


def _choice(row: Row, steps: int, sde: LinearSDE, scale: Scale) -> Choice:
    level = row.noise.level(sde, scale.std) if row.noise else None
    return Choice(row.by(scale.std), row.grid(steps, scale.std), level, row, scale)


def _is_free(row: Row, sde: LinearSDE, t: float, scale: Scale) -> bool:
    """Whether the first step needs no evaluation: at the top, in noise that hides the data."""
    known = row.opens and scale.mean is not None and t >= min(sde.T, sde.horizon)
    return known and noise_ratio(sde, t) > _HIDDEN * scale.std


def _opened(reverse: ReverseSDE, scale: Scale) -> ScoreModel:
    """The score model, but for the first answer: that is of a Gaussian of that scale."""
    assert scale.mean is not None
    model = reverse.score_model
    unasked = iter((AnalyticFirst(model, reverse.linear, scale.mean, scale.std),))
    return lambda x, t: next(unasked, model)(x, t)
