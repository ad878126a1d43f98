"""One call of torchsde."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from sdeplug import Checkpointed, NonFiniteError, ReverseSDE
from sdeplug_torchsde.area import AreaPath
from sdeplug_torchsde.clock import Clock
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
        self.method, self.reverse, self.x, self.y = method, reverse, x, x.reshape(-1, 1)
        self.watch, self.memory = watch, memory
        self.problem = Problem(reverse, x.shape, method, watch, memory)
        self.motion = Motion(self.y, method.area, self._source(), watch)

    @property
    def span(self) -> Tensor:
        """Both ends of the clock: float64, shape ``(2,)``, on the CPU."""
        return torch.tensor([0.0, self.watch.clock.end], dtype=torch.float64, device="cpu")

    def _source(self) -> Source:
        noise, clock, y = self.watch.run.noise, self.watch.clock, self.y
        level = self.reverse.stochasticity
        if not callable(level) and level == 0.0:
            return Still(y)
        like = self.x.detach()
        if self.method.area == "space-time":
            return AreaPath(lambda: noise.normal(like).reshape(y.shape), clock.unit)
        return OfPath(noise.brownian(like, clock.t, clock.s), clock, y.shape)

    def like(self, x: Tensor) -> bool:
        """Whether x could take the place of the state that this call starts from."""
        mine = self.x
        return (x.shape, x.dtype, x.device) == (mine.shape, mine.dtype, mine.device)

    def again(self, x: Tensor, clock: Clock) -> None:
        """Start from another state, on another span, with fresh noise."""
        self.x, self.y, self.watch.clock = x, x.reshape(-1, 1), clock
        self.memory.known.clear()
        self.motion.source = self._source()

    @cached_property
    def solver(self) -> Any:
        """What ``sdeint`` builds anew in every call, for :meth:`step`."""
        from torchsde._core import base_sde, methods

        kind = methods.select(method=self.method.name, sde_type=self.method.calculus)
        return kind(
            sde=base_sde.ForwardSDE(self.problem), bm=self.motion, dt=1.0, adaptive=False,
            rtol=0.0, atol=0.0, dt_min=0.0, options={},
        )  # fmt: skip

    def step(self) -> Tensor:
        """A single step, over the first unit of the clock, as :meth:`fixed` takes it.

        The checks of ``sdeint`` and the solver that it builds cost twice as much as the step.
        """
        memory = self.solver.init_extra_solver_state(0.0, self.y)
        end: Tensor = self.solver.step(0.0, 1.0, self.y, memory)[0]
        return end.reshape(self.x.shape)

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

        The memory hands the same drift to torchsde, so that it costs nothing.  Reversible Heun
        keeps it, with its graph, until the way back: it is a checkpoint, not a graph for each span.
        """
        lean = replace(self.reverse, score_model=Checkpointed(self.reverse.score_model))
        first = Problem(lean, self.x.shape, self.method, self.watch, self.memory)
        drift = first.f(self.span[0], self.y)
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
