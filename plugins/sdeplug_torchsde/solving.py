"""One call of torchsde."""

from __future__ import annotations

import torch
from torch import Tensor

from sdeplug import NonFiniteError, ReverseSDE
from sdeplug_torchsde.area import AreaPath
from sdeplug_torchsde.memory import Memory
from sdeplug_torchsde.method import Method
from sdeplug_torchsde.motion import Motion, OfPath, Source, Still
from sdeplug_torchsde.problem import Problem
from sdeplug_torchsde.watch import Watch


class Call:
    """One call of torchsde, over the span of a clock.

    Only the ends of the span are asked for, so that memory does not grow with the steps.

    Args:
        method: the method.
        reverse: the reverse SDE.
        x: state to start from, shape ``(B, *D)``.
        watch: follows the steps; has clock, noise and observers.
        memory: the drifts that are known.
    """

    def __init__(
        self, method: Method, reverse: ReverseSDE, x: Tensor, watch: Watch, memory: Memory
    ) -> None:
        self.method, self.x, self.y = method, x, x.reshape(-1, 1)
        self.watch, self.memory = watch, memory
        self.problem = Problem(reverse, x.shape, method, watch, memory)
        self.motion = Motion(self.y, method.area, self._source(reverse), watch)
        self.span = torch.tensor([0.0, watch.clock.end], dtype=torch.float64)

    def _source(self, reverse: ReverseSDE) -> Source:
        noise, clock, y = self.watch.run.noise, self.watch.clock, self.y
        if not callable(reverse.stochasticity) and reverse.stochasticity == 0.0:
            return Still(y)
        like = self.x.detach()
        if self.method.area == "space-time":
            return AreaPath(lambda: noise.normal(like).reshape(y.shape), clock.unit)
        return OfPath(noise.brownian(like, clock.t, clock.s), clock, y.shape)

    def fixed(self) -> Tensor:
        """Steps of one unit of the clock."""
        import torchsde

        ys = torchsde.sdeint(
            self.problem, self.y, self.span, bm=self.motion, method=self.method.name, dt=1.0
        )
        return self._end(ys)

    def adaptive(self, first: float, rtol: float, atol: float) -> Tensor:
        """Steps of torchsde's own choice.

        Raises:
            NonFiniteError: if a drift is not finite.
            StepError: from the watch.
        """
        import torchsde

        try:
            ys = torchsde.sdeint(
                self.problem,
                self.y,
                self.span,
                bm=self.motion,
                method=self.method.name,
                dt=first,
                adaptive=True,
                rtol=rtol,
                atol=atol,
                dt_min=0.0,
            )
        except (AssertionError, ZeroDivisionError) as error:
            # What torchsde makes of an error estimate that is not a number, or infinite.
            self._blame(error)
            raise
        return self._end(ys)

    def with_adjoint(self) -> Tensor:
        """As :meth:`fixed`; gradients come from a solution backwards along the same path."""
        import torchsde

        parameters = self._parameters()
        ys = torchsde.sdeint_adjoint(
            self.problem,
            self.y,
            self.span,
            bm=self.motion,
            method=self.method.name,
            dt=1.0,
            adjoint_params=parameters,
        )
        self.memory.close()
        self.watch.close()
        return self._end(ys)

    def _end(self, ys: Tensor) -> Tensor:
        end: Tensor = ys[-1]
        return end.reshape(self.x.shape)

    def _parameters(self) -> tuple[Tensor, ...]:
        """What requires gradients in the first drift, other than x, whoever holds it.

        The memory hands the same drift to torchsde, so that it costs nothing.
        """
        drift = self.problem.f(self.span[0], self.y)
        found: dict[Tensor, None] = {}
        waiting, seen = [drift.grad_fn], {None, self.y.grad_fn}
        while waiting:
            node = waiting.pop()
            if node in seen or node is None:
                continue
            seen.add(node)
            leaf = getattr(node, "variable", None)
            if leaf is not None and leaf is not self.y:
                found[leaf] = None
            waiting += [parent for parent, _ in node.next_functions]
        return tuple(found)

    def _blame(self, error: Exception) -> None:
        """Raise :class:`NonFiniteError` if it was the drift that was not finite."""
        rows = len(self.x)
        for tau, y, drift in self.memory.known:
            broken = ~(drift.isfinite() & y.isfinite()).reshape(rows, -1).all(1)
            if bool(broken.any()):
                row = int(broken.nonzero()[0])
                last_t, last = self.watch.last or (None, None)
                time = self.watch.clock.time(tau)
                raise NonFiniteError(
                    f"state or drift became non-finite at t = {time:g}, first in row {row}.",
                    t=time,
                    row=row,
                    last=None if last is None else last.detach(),
                    last_t=last_t,
                ) from error
