"""The ``calibrate`` command: a solver that is fitted to a network, in a file."""

from __future__ import annotations

import shlex
import warnings
from dataclasses import dataclass
from pathlib import Path

import click
from torch import Tensor

from sdeplug.cli.work.aim import Subject
from sdeplug.cli.work.bar import Bar
from sdeplug.cli.work.files import write
from sdeplug.cli.work.place import Place
from sdeplug.errors import ArgumentError
from sdeplug.reverse import ReverseSDE
from sdeplug.score import ScoreModel, Wrapper
from sdeplug.tuning import Calibrated, Fitting, calibrate


@dataclass(frozen=True)
class Request:
    """What is fitted to what, and where it goes.

    Attributes:
        subject: the model or the target.
        sde: forward SDE of a target.
        place: device.
        nfe: score evaluations of the solver.
        noises: how many it is fitted to, and held out.
        seed: of the noises.
        fitting: how it is fitted.
        out: file of the solver.
        resume: folder where rounds of the fit are kept, if anywhere.
    """

    subject: Subject
    sde: str | None
    place: Place
    nfe: int
    noises: int
    seed: int
    fitting: Fitting
    out: Path
    resume: Path | None


@dataclass(eq=False)
class _Watched(Wrapper):
    """A score model whose evaluations a bar counts."""

    score_model: ScoreModel
    bar: Bar
    count: int = 0

    def through(self, model: ScoreModel, x: Tensor, t: Tensor) -> Tensor:
        self.count += 1
        self.bar.count(self.count)
        return model(x, t)


def run(request: Request) -> None:
    """Fit, say how near it comes, write the solver.

    Raises:
        SdeplugError: for anything that does not fit, before anything is run; for a network whose
            flow is not finite.
    """
    if request.noises < 2:
        raise ArgumentError("noises", request.noises, "at least 2", "Some of them are held out.")
    if len(request.subject.labels) > 1:
        raise ArgumentError("labels", request.subject.labels[1], "given once: one class a solver")
    aim = request.subject.aim(1, request.place)
    request.place.demand_room(request.noises, aim.shape)
    forward = aim.forward(request.sde)
    with Bar("evaluations of the network") as bar:
        reverse = ReverseSDE(forward, _Watched(aim.score(forward), bar))
        found, told = _fitted(request, reverse, aim.shape)
    for each in told:
        click.echo(each, err=True)
    click.echo(_told(found))
    write(request.out, found.save)
    click.echo(f"next: {_next(request)}")


def _fitted(
    request: Request, reverse: ReverseSDE, shape: tuple[int, ...]
) -> tuple[Calibrated, list[str]]:
    """The solver, and what was warned of."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = calibrate(
            reverse, request.nfe, (request.noises, *shape), seed=request.seed,
            fitting=request.fitting, resume=request.resume,
        )  # fmt: skip
    return found, [str(each.message) for each in said]


def _told(found: Calibrated) -> str:
    """How near it is to the run of many steps, by noises that the fit has not seen."""
    return (
        f"{found.nfe} evaluations: error {found.fitted[1]:.3g} on noises that the fit has not "
        f"seen, {found.theory[1]:.3g} before it"
    )


def _next(request: Request) -> str:
    words = ["sdeplug", "sample", "--solver", f"calibrated:file={request.out}"]
    sde = [] if request.sde is None else ["--sde", request.sde]
    return shlex.join([*words, *request.subject.words, *sde])
