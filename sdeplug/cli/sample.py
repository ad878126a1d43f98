"""The ``sample`` command: a pipeline from flags or a file, its samples, and their picture."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch

from sdeplug.compose import Corrected, Denoise, OnGrid
from sdeplug.errors import ArgumentError, MissingExtraError, RunError
from sdeplug.observers import Progress
from sdeplug.pipeline import DEFAULT, Leg, Pipeline, Samples
from sdeplug.registry import named, named_grid, read_spec, registry
from sdeplug.reverse import ReverseSDE
from sdeplug.solvers import Integrator
from sdeplug.targets import Target


@dataclass(frozen=True)
class Parts:
    """A pipeline of one leg and a final denoising, as the flags describe it."""

    sde: str = "core/vp"
    solver: str | None = None
    corrector: str | None = None
    grid: str | None = None
    steps: int | None = None
    stochasticity: float = 1.0
    denoise: bool = True

    def pipeline(self, target: Target) -> Pipeline:
        """Build it.

        A solver without an order sets its own steps: it gets no grid unless ``steps`` is given.

        Raises:
            SdeplugError: for names and options that are not allowed.
        """
        forward = named("sdes", self.sde)
        by = self._default() if self.solver is None else self._named(self.solver)
        reverse = ReverseSDE(forward, target.score(forward), self.stochasticity)
        last = (Leg(0.0, Denoise()),) if self.denoise else ()
        return Pipeline(reverse, (Leg(forward.eps, by), *last))

    def _default(self) -> Integrator:
        """The default brings its own grid: ``steps`` are its evaluations."""
        for flag, value in (("--grid", self.grid), ("--corrector", self.corrector)):
            if value is not None:
                raise ArgumentError(
                    flag, value, "given together with --solver",
                    f"The default solver, {DEFAULT}, brings its own grid.",
                )  # fmt: skip
        return self._checked(named("solvers", DEFAULT + _budget(self.steps)))

    def _named(self, name: str) -> Integrator:
        by = self._checked(named("solvers", name))
        needs_grid = by.claims.order is not None or self.steps is not None
        if self.corrector is not None:
            by = Corrected(by, named("solvers", self.corrector))
        if needs_grid or self.corrector is not None:
            grid = "log-snr" if self.grid is None else self.grid
            by = OnGrid(by, named_grid(grid, 100 if self.steps is None else self.steps))
        return by

    def _checked(self, by: object) -> Integrator:
        if not isinstance(by, Integrator):
            raise ArgumentError("--solver", self.solver, "an integrator", "Try it as --corrector.")
        return by


@dataclass(frozen=True)
class Request:
    """What to sample and where to put it.

    Attributes:
        pipeline: flags, or the file of a pipeline.
        target: name of the target.
        samples: how many.
        seed: seed of the noise.
        dtype: dtype of the samples.
        device: device of the samples.
        out: path without ending; OUT.npz and OUT.png are written.
    """

    pipeline: Parts | Path
    target: str
    samples: int
    seed: int
    dtype: torch.dtype
    device: torch.device
    out: Path


def _budget(steps: int | None) -> str:
    return "" if steps is None else f":nfe={steps}"


def run(request: Request) -> None:
    """Sample, write OUT.npz and OUT.png, and say what it cost.

    Raises:
        SdeplugError: for anything that does not fit; before anything is computed, except for a
            run that diverges, whose last finite state is written to OUT-last-finite.npz.
    """
    target: Target = registry().find("targets", request.target).obj()
    if request.samples < 1:
        raise ArgumentError("--samples", request.samples, "at least 1")
    if not request.out.absolute().parent.is_dir():
        raise ArgumentError("--out", str(request.out), "a path in a folder that exists")
    pipeline = (
        request.pipeline.pipeline(target)
        if isinstance(request.pipeline, Parts)
        else Pipeline.from_spec(read_spec(request.pipeline), target.score)
    )
    samples = _sample(pipeline, target, request)
    _write(request.out.with_name(request.out.name + ".npz"), samples, pipeline, request)
    count = f"{request.samples} samples at t = {samples.t:g}"
    click.echo(f"{count}: {samples.nfe} score evaluations, {samples.seconds:.2f} s")
    _picture(samples, target, request)


def _sample(pipeline: Pipeline, target: Target, request: Request) -> Samples:
    shape = (request.samples, *target.shape)
    with Progress(to=pipeline.legs[-1].to) as bar:
        try:
            return pipeline.sample(
                shape,
                seed=request.seed,
                dtype=request.dtype,
                device=request.device,
                observers=(bar,),
            )
        except RunError as error:
            if error.last is not None:
                path = request.out.with_name(request.out.name + "-last-finite.npz")
                times = error.last_t if error.times is None else error.times.cpu().numpy()
                np.savez(path, x=error.last.cpu().numpy(), t=np.array(times))
                click.echo(f"wrote {path}", err=True)
            raise


def _write(path: Path, samples: Samples, pipeline: Pipeline, request: Request) -> None:
    np.savez(
        path,
        x=samples.x.cpu().numpy(),
        t=samples.t,
        nfe=samples.nfe,
        seconds=samples.seconds,
        seed=request.seed,
        target=request.target,
        pipeline=json.dumps(pipeline.to_spec()),
    )
    click.echo(f"wrote {path}")


def _picture(samples: Samples, target: Target, request: Request) -> None:
    try:
        from sdeplug.pictures import draw_samples, save
    except MissingExtraError as error:
        click.echo(f"no picture: {error}", err=True)
        return
    path = request.out.with_name(request.out.name + ".png")
    save(draw_samples(samples.x, target), path)
    click.echo(f"wrote {path}")
