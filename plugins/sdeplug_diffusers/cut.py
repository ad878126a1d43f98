"""A solver cut into the calls of a scheduler: one for each evaluation of the network.

A pipeline of diffusers asks its network once, hands over what it said, and gets the state to ask
it about next.  A solver with one evaluation at the start of its step is called as it is.  One with
several stages is run again from the start of the step with what the network has said so far, until
it asks for something that was not said: that state is next.  Such a solver is a function of its
arguments, so that a scheduler can be copied between two calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from sdeplug import (
    ArgumentError,
    Denoise,
    Integrator,
    LinearSDE,
    Parametrisation,
    ReverseSDE,
    Run,
    Silence,
    SolverError,
)
from sdeplug_diffusers.handed import Drawing, Generators


class Ask(NamedTuple):
    """One evaluation of the network.

    Attributes:
        step: number of the solver's step.
        stage: number of the evaluation in the step, from 0.
        stages: evaluations of the step.
        time: time at which the network is asked.
        of_output: factor of what it says in the score.
        of_x: factor of the state in the score.
    """

    step: int
    stage: int
    stages: int
    time: float
    of_output: float = 1.0
    of_x: float = 0.0


def asks(by: Integrator, sde: LinearSDE, nodes: Sequence[float]) -> list[Ask]:
    """The evaluations of a run over some times; the last step is the denoising.

    Args:
        by: a solver of single steps.
        sde: the forward SDE.
        nodes: falling times, from the start to the last level.

    Raises:
        ArgumentError: for a solver whose evaluations depend on the state.
    """
    found: list[Ask] = []
    for number, (t, s) in enumerate(pairwise(nodes)):
        once = number > 0 and found[0].stages == 1
        times = [t] if once else _times(by, sde, (t, s), sure=number > 0)
        found += [Ask(number, k, len(times), time) for k, time in enumerate(times)]
    return [*found, Ask(len(nodes) - 1, 0, 1, nodes[-1])]


def in_units(found: list[Ask], predicts: type[Parametrisation], sde: LinearSDE) -> list[Ask]:
    """The evaluations with the factors that make a score of what the network says."""
    times = torch.tensor([ask.time for ask in found], dtype=torch.float64, device="cpu")
    units = predicts.units(sde, times)
    of_x = torch.zeros_like(times) if units.of_x is None else units.of_x
    factors = zip(units.of_output.expand_as(times).tolist(), of_x.tolist(), strict=True)
    return [
        ask._replace(of_output=one, of_x=other)
        for ask, (one, other) in zip(found, factors, strict=True)
    ]


def _times(by: Integrator, sde: LinearSDE, span: tuple[float, float], sure: bool) -> list[float]:
    """When a step asks for the score; the same for two states, unless that is known already."""
    runs = [_asked(by, sde, span, value) for value in ((0.0,) if sure else (0.0, 1.0))]
    if runs[0] != runs[-1] or not runs[0] or abs(runs[0][0] - span[0]) > 1e-9 * sde.T:
        raise ArgumentError(
            "integrator", by, "a solver of single steps that asks for the score where they begin",
            "score_of(pipeline) gives the score of a pipeline, on which every solver works.",
        )  # fmt: skip
    return runs[0]


def _asked(by: Integrator, sde: LinearSDE, span: tuple[float, float], value: float) -> list[float]:
    """When a step asks for the score, from one state."""
    seen: list[float] = []

    def watched(x: Tensor, time: Tensor) -> Tensor:
        seen.append(float(time[0]))
        return -x

    x = torch.full((1, 1), value, dtype=torch.float64, device="cpu")
    by.integrate(ReverseSDE(sde, watched), x, *span, Run(Silence()))
    return seen


class _Unsaid(Exception):
    """The solver asks for what the network has not said yet."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.x = x


@dataclass
class _Said:
    """A score model that says in turn what was said, and stops the solver after that."""

    scores: list[Tensor] = field(default_factory=list)
    turn: int = 0

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        if self.turn == len(self.scores):
            raise _Unsaid(x)
        self.turn += 1
        return self.scores[self.turn - 1]


@dataclass
class _Replayed(Drawing):
    """Noise of one step: drawn once, and the same again when the step is run again."""

    generator: Generators = None
    drawn: list[Tensor] = field(default_factory=list)
    turn: int = 0

    def normal(self, like: Tensor) -> Tensor:
        """The next numbers of the step."""
        if self.turn == len(self.drawn):
            self.drawn.append(super().normal(like))
        self.turn += 1
        return self.drawn[self.turn - 1].to(like.device, like.dtype)


class Course:
    """One run of a solver, called once for each evaluation.

    Args:
        by: a solver of single steps.
        sde: the forward SDE.
        stochasticity: of the reverse SDE.
        nodes: the times.
    """

    def __init__(
        self,
        by: Integrator,
        sde: LinearSDE,
        stochasticity: float,
        nodes: Sequence[float],
    ) -> None:
        self.by, self.nodes, self.stochasticity = by, nodes, stochasticity
        self.said, self.noise = _Said(), _Replayed()
        self.reverse = ReverseSDE(sde, self.said, stochasticity)
        self.run = Run(self.noise)
        self.advance = by.begin(self.reverse, self.run)
        self.start: Tensor | None = None

    def copied(self) -> Course:
        """A run of its own at the same place, in the middle of a step too; its memory is new."""
        sde = self.reverse.linear
        twin = Course(self.by, sde, self.stochasticity, self.nodes)
        twin.start, twin.said.scores = self.start, list(self.said.scores)
        twin.noise.drawn = list(self.noise.drawn)
        return twin

    def __call__(self, ask: Ask, output: Tensor, x: Tensor, generator: Generators) -> Tensor:
        """The state to ask the network about next, or to end with: ``(B, *D)``.

        Args:
            ask: which evaluation this is.
            output: what the network said.
            x: the state that it was asked about.
            generator: where noise comes from.
        """
        self.noise.generator, self.noise.turn, self.said.turn = generator, 0, 0
        if ask.stage == 0 or self.start is None:
            self.start, self.said.scores, self.noise.drawn = x, [], []
        score = ask.of_output * output
        del self.said.scores[ask.stage :]  # of a call that failed
        self.said.scores.append(score.add_(x, alpha=ask.of_x) if ask.of_x else score)
        del score
        try:
            moved = self._moved(ask.step, self.start, once=ask.stages == 1)
        except _Unsaid as asked:
            if ask.stage + 1 == ask.stages:
                raise SolverError(f"{self.by!r} asks for more evaluations than it did.") from None
            return asked.x
        # Nothing of a step that is over takes memory while the network runs.
        self.start, self.said.scores, self.noise.drawn = None, [], []
        return moved

    def _moved(self, step: int, x: Tensor, once: bool) -> Tensor:
        """The end of a step from x."""
        t = self.nodes[step]
        if step == len(self.nodes) - 1:
            return Denoise().integrate(self.reverse, x, t, 0.0, self.run)
        s = self.nodes[step + 1]
        if once:
            return self.advance(x, t, s)
        return self.by.integrate(self.reverse, x, t, s, self.run)
