"""One call into torchdiffeq."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from sdeplug import Field, FlowIntegrator, Run
from sdeplug_torchdiffeq.adjoint import parameters_of
from sdeplug_torchdiffeq.rhythm import rhythm
from sdeplug_torchdiffeq.span import Span
from sdeplug_torchdiffeq.tolerances import Tolerances
from sdeplug_torchdiffeq.watch import AdjointWatch, Watch


class ByTorchdiffeq(FlowIntegrator):
    """A method of torchdiffeq over a span, as a flow integrator.

    States narrower than float32 are float32 between evaluations: error estimates of eight bits
    would say nothing.  The field sees the dtype of y, and so does the caller.
    """

    method: ClassVar[str]
    adaptive: ClassVar[bool]
    adjoint: bool

    @property
    @abstractmethod
    def budget(self) -> int:
        """Attempts at a step, at most."""

    @abstractmethod
    def settings(self, watch: Watch, span: Span, y: Tensor) -> dict[str, Any]:
        """The options of torchdiffeq for the way there."""

    @abstractmethod
    def settings_back(self, settings: dict[str, Any], span: Span, y: Tensor) -> dict[str, Any]:
        """Those for the way back, in the adjoint method."""

    @property
    def tolerances(self) -> Tolerances:
        """What torchdiffeq is to be given as tolerances."""
        return Tolerances()

    def flow(self, field: Field, y: Tensor, t: float, s: float, run: Run) -> Tensor:
        """Carry y from t to s, down or up in time; a span of length 0 leaves it as it is.

        Raises:
            StepError: if a step becomes too short, or they become too many.
            NonFiniteError: if that is so since the field is not finite.
        """
        return self.carry(field, y, Span(t, s), run)[0]

    def carry(
        self, field: Field, y: Tensor, span: Span, run: Run, step: float = 0.0
    ) -> tuple[Tensor, float]:
        """The work of :meth:`flow`.

        Args:
            field: right-hand side.
            y: value at the start.
            span: the span.
            run: observers of this call.
            step: the step to try first; 0: the method chooses.

        Returns:
            The value at the end, and the length of the last step that was tried.
        """
        if not span.length or not y.numel():
            return y, step
        adjoint = self.adjoint and torch.is_grad_enabled()
        kind = AdjointWatch if adjoint else Watch
        watch = kind(field, y, span, rhythm(self.method, self.adaptive), self.budget, run)
        watch.step = step
        start = y if y.dtype.itemsize >= 4 else y.float()
        try:
            if isinstance(watch, AdjointWatch):
                parameters = parameters_of(field, y, span)
                end = self._with_adjoint(watch, start, parameters)
            else:
                end = self._directly(watch, start)
        except AssertionError as error:
            # torchdiffeq asserts that states are finite; the score may assert things of its own.
            refused = watch.refused_start()
            if refused is None:
                raise
            raise refused from error
        return end.to(y.dtype), watch.step

    def _directly(self, watch: Watch, y: Tensor) -> Tensor:
        from torchdiffeq import odeint

        span, given = watch.span, self.tolerances
        solution: Tensor = odeint(
            watch,
            y,
            span.tensor(y.device, 0.0, 1.0),
            rtol=given.rtol,
            atol=given.atol,
            method=self.method,
            options=self.settings(watch, span, y),
        )
        return solution[-1]

    def _with_adjoint(
        self, watch: AdjointWatch, y: Tensor, parameters: tuple[Tensor, ...]
    ) -> Tensor:
        from torchdiffeq import odeint_adjoint

        span, given = watch.span, self.tolerances
        settings = self.settings(watch, span, y)
        solution: Tensor = odeint_adjoint(
            watch,
            y,
            span.tensor(y.device, 0.0, 1.0),
            rtol=given.rtol,
            atol=given.atol,
            method=self.method,
            options=settings,
            adjoint_options=self.settings_back(settings, span, y),
            adjoint_params=parameters,
        )
        watch.returning = True
        return solution[-1]
