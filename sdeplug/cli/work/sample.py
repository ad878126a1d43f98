"""The ``sample`` command: a pipeline from flags or a file, its samples, and their picture."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import click

from sdeplug.cli.work.aim import Aim, Subject
from sdeplug.cli.work.drawn import Drawn
from sdeplug.compose import Corrected, OnGrid
from sdeplug.errors import ArgumentError
from sdeplug.options import options_of
from sdeplug.pipeline import DEFAULT, Pipeline, whole_run
from sdeplug.registry import Spec, named, named_grid, read_spec, split
from sdeplug.reverse import ReverseSDE
from sdeplug.solvers import Integrator


@dataclass(frozen=True)
class Parts:
    """A pipeline of one leg and a final denoising, as the flags describe it."""

    sde: str | None = None
    solver: str = DEFAULT
    corrector: str | None = None
    grid: str | None = None
    steps: int | None = None
    stochasticity: float | None = None
    denoise: bool = True

    def pipeline(self, aim: Aim) -> Pipeline:
        """Build it.

        Raises:
            SdeplugError: for names and options that are not allowed, and for flags that would
                change nothing.
        """
        forward = aim.forward(self.sde)
        by = self._stepped(_integrator(self.solver))
        level = 1.0 if self.stochasticity is None else self.stochasticity
        reverse = ReverseSDE(forward, aim.score(forward), level)
        if self.stochasticity is not None and not by.claims.stochastic:
            raise ArgumentError(
                "stochasticity", self.stochasticity, f"left out: {self.solver} draws no noise"
            )
        legs = whole_run(forward, by)
        return Pipeline(reverse, legs if self.denoise else legs[:1])

    def _stepped(self, by: Integrator) -> Integrator:
        """The solver with its steps: those of a grid, or its own; unsaid, the pipeline's."""
        if self.grid is None and self.steps is None and self.corrector is None:
            return by
        own = _own_steps(by)
        if own is not None:
            return self._with_own_steps(by, own)
        if by.claims.order is None and self.corrector is None:
            hint = "It sets its own: change its tolerances, as in NAME:rtol=1e-5."
            hint = hint if by.ends_at is None else "Its steps are part of it."
            for argument, value in (("grid", self.grid), ("steps", self.steps)):
                self._refuse(argument, value, "takes no grid", hint)
            return by
        if self.corrector is not None:
            by = Corrected(by, named("solvers", self.corrector))
        return OnGrid(by, named_grid(self.grid or "log-snr", self.steps))

    def _with_own_steps(self, by: Integrator, own: str) -> Integrator:
        for argument, value in (("grid", self.grid), ("corrector", self.corrector)):
            hint = "Choose one without, such as ode/heun or song/ancestral, with --solver."
            self._refuse(argument, value, "brings its own grid", hint)
        if self.steps is None:
            return by
        if own in split(self.solver)[1]:
            raise ArgumentError("steps", self.steps, f"given once: {self.solver} has {own}")
        joint = "," if ":" in self.solver else ":"
        try:
            return _integrator(f"{self.solver}{joint}{own}={self.steps}")
        except ArgumentError as error:
            raise ArgumentError("steps", self.steps, error.allowed, error.hint) from error

    def _refuse(self, argument: str, value: object, reason: str, hint: str) -> None:
        if value is not None:
            allowed = f"left out, or given with another solver: {self.solver} {reason}"
            raise ArgumentError(argument, value, allowed, hint)


def _integrator(text: str) -> Integrator:
    by = named("solvers", text)
    if not isinstance(by, Integrator):
        raise ArgumentError("solver", text, "an integrator", "Try it as --corrector.")
    return by


def _own_steps(by: Integrator) -> str | None:
    """The option that counts the steps of a solver that brings its own grid; None: it has none."""
    if by.claims.steps is not None or by.claims.order is not None:
        return by.claims.steps
    options = [each.name for each in options_of(type(by))]
    return next((name for name in ("nfe", "steps") if name in options), None)


@dataclass(frozen=True)
class Request:
    """What to sample.

    Attributes:
        pipeline: flags, or the file of a pipeline.
        subject: what is sampled.
        drawn: how many, and where they are put.
    """

    pipeline: Parts | Path
    subject: Subject
    drawn: Drawn


def run(request: Request) -> None:
    """Sample, write OUT.npz and OUT.png, and say what it cost.

    Raises:
        SdeplugError: for anything that does not fit; before anything is computed, except for a
            run that diverges, whose last finite state is written to OUT-last-finite.npz, and
            for a file that cannot be written: the samples are then in another one.
    """
    drawn = request.drawn
    aim = request.subject.aim(drawn.samples, drawn.place)
    drawn.place.demand_room(drawn.samples, aim.shape)
    pipeline = (
        request.pipeline.pipeline(aim)
        if isinstance(request.pipeline, Parts)
        else Pipeline.from_spec(_spec(request.pipeline), aim.score)
    )
    samples = drawn.draw(pipeline, aim)
    drawn.keep(samples, aim, {"pipeline": json.dumps(pipeline.to_spec())})
    count = f"{drawn.samples} samples at t = {samples.t:g}"
    click.echo(f"{count}: {samples.nfe} score evaluations, {samples.seconds:.2f} s")
    for note in samples.notes:
        click.echo(note)
    drawn.show(samples, aim)


def _spec(path: Path) -> Spec:
    try:
        return read_spec(path)
    except ArgumentError as error:
        raise ArgumentError("pipeline", error.value, error.allowed, error.hint) from error
