"""The ``sample`` command: a pipeline from flags or a file, its samples, and their picture."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from sdeplug.cli.work.aim import Aim, Subject
from sdeplug.cli.work.files import write
from sdeplug.cli.work.place import Place
from sdeplug.compose import Corrected, OnGrid
from sdeplug.errors import ArgumentError, MissingExtraError, RunError
from sdeplug.observers import Progress
from sdeplug.options import options_of
from sdeplug.pipeline import DEFAULT, Pipeline, Samples, whole_run
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
    """What to sample and where to put it.

    Attributes:
        pipeline: flags, or the file of a pipeline.
        subject: what is sampled.
        samples: how many.
        seed: seed of the noise.
        place: device and dtype of the samples.
        out: path without ending; OUT.npz and OUT.png are written.
    """

    pipeline: Parts | Path
    subject: Subject
    samples: int
    seed: int
    place: Place
    out: Path

    def beside(self, ending: str) -> Path:
        """The path with an ending."""
        return self.out.with_name(self.out.name + ending)


def run(request: Request) -> None:
    """Sample, write OUT.npz and OUT.png, and say what it cost.

    Raises:
        SdeplugError: for anything that does not fit; before anything is computed, except for a
            run that diverges, whose last finite state is written to OUT-last-finite.npz, and
            for a file that cannot be written: the samples are then in another one.
    """
    aim = request.subject.aim(request.samples, request.place)
    request.place.demand_room(request.samples, aim.shape)
    pipeline = (
        request.pipeline.pipeline(aim)
        if isinstance(request.pipeline, Parts)
        else Pipeline.from_spec(_spec(request.pipeline), aim.score)
    )
    samples = _sample(pipeline, aim, request)
    _write(samples, pipeline, aim, request)
    count = f"{request.samples} samples at t = {samples.t:g}"
    click.echo(f"{count}: {samples.nfe} score evaluations, {samples.seconds:.2f} s")
    _picture(samples, aim, request.beside(".png"))


def _spec(path: Path) -> Spec:
    try:
        return read_spec(path)
    except ArgumentError as error:
        raise ArgumentError("pipeline", error.value, error.allowed, error.hint) from error


def _sample(pipeline: Pipeline, aim: Aim, request: Request) -> Samples:
    looked_on = sys.stderr.isatty()
    with Progress(to=pipeline.legs[-1].to) as bar:
        try:
            return pipeline.sample(
                (request.samples, *aim.shape),
                seed=request.seed,
                dtype=request.place.torch_dtype,
                device=request.place.device,
                observers=(bar,) if looked_on else (),
            )
        except RunError as error:
            if error.last is not None:
                times = error.last_t if error.times is None else error.times.cpu().numpy()
                last: dict[str, Any] = {"x": error.last.cpu().numpy(), "t": np.array(times)}
                write(request.beside("-last-finite.npz"), lambda path: np.savez(path, **last))
            raise


def _write(samples: Samples, pipeline: Pipeline, aim: Aim, request: Request) -> None:
    arrays: dict[str, Any] = {
        **aim.arrays(samples.x),
        "t": samples.t,
        "nfe": samples.nfe,
        "seconds": samples.seconds,
        "seed": request.seed,
        "pipeline": json.dumps(pipeline.to_spec()),
    }
    write(request.beside(".npz"), lambda path: np.savez(path, **arrays))


def _picture(samples: Samples, aim: Aim, path: Path) -> None:
    try:
        from sdeplug.pictures import save
    except MissingExtraError as error:
        click.echo(f"no picture: {error}", err=True)
        return
    figure = aim.picture(samples.x)
    write(path, lambda place: save(figure, place))
