"""The ``compare`` command: a comparison with progress, as table, picture, page and JSON."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sdeplug.cli.work.bar import Bar
from sdeplug.cli.work.files import demand_picture, write, write_text
from sdeplug.cli.work.place import Place
from sdeplug.cli.work.pool import demand_processes, processes
from sdeplug.cli.work.terminal import console
from sdeplug.compare import Comparison, Conditions, Contender, Work, compare
from sdeplug.compare.contenders import default_solvers
from sdeplug.errors import ArgumentError
from sdeplug.grid import TimeGrid
from sdeplug.registry import named, named_grid, split, target
from sdeplug.solvers import Integrator

_MOST_SEEDS = 10_000


@dataclass(frozen=True)
class Request:
    """What is asked for, in words.

    Attributes:
        solvers: each as ``NAME[:OPTION=VALUE,...]``; none: the default ones.
        target: name of the target.
        sde: the forward SDE, as ``NAME[:OPTION=VALUE,...]``.
        nfe: budgets, with commas.
        seeds: how many repetitions.
        metrics: each as ``NAME[:OPTION=VALUE,...]``; none: those that suit the target.
        grid: the grid, as ``NAME[:OPTION=VALUE,...]``.
        samples: how many in a run.
        score_errors: sizes, with commas.
        stochasticity: levels, with commas; a stochastic solver runs at each.
    """

    solvers: tuple[str, ...] = ()
    target: str = "core/eight-gaussians"
    sde: str = "core/vp"
    nfe: str = "10,20,50,100"
    seeds: int = 3
    metrics: tuple[str, ...] = ()
    grid: str | None = None
    samples: int | None = None
    score_errors: str = "0,0.1"
    stochasticity: str | None = None

    def contenders(self) -> dict[str, Contender]:
        """Label to contender.

        Raises:
            SdeplugError: for a name or option that is not allowed, a corrector, or a flag that
                would change nothing.
        """
        solvers = {text: _integrator(text) for text in self.solvers}
        self._demand_effects([*solvers.values()])
        levels, found = self.levels(), {} if solvers else default_solvers()
        for text, by in solvers.items():
            if len(levels) == 1 or not by.claims.stochastic:
                found[text] = Contender(by)
                continue
            for level in levels:
                found[f"{text}, l = {level:g}"] = Contender(by, level)
        return found

    def levels(self) -> tuple[float, ...]:
        """The stochasticities.

        Raises:
            ArgumentError: if they are no numbers.
        """
        text = "1" if self.stochasticity is None else self.stochasticity
        return numbers("stochasticity", text, float)

    def time_grid(self) -> TimeGrid:
        """The grid; its number of steps is what a budget pays for.

        Raises:
            SdeplugError: for a name or option that is not allowed.
        """
        text = self.grid or "log-snr"
        if "steps" in split(text)[1]:
            raise ArgumentError("grid", text, "given without steps: --nfe decides on them")
        return named_grid(text, None)

    def _demand_effects(self, solvers: list[Integrator]) -> None:
        """Refuse flags that no solver heeds."""
        claims = [each.claims for each in solvers]
        if self.stochasticity is not None and not any(each.stochastic for each in claims):
            allowed = "given with a SOLVER that draws noise"
            raise ArgumentError("stochasticity", self.stochasticity, allowed)
        if self.grid is not None and claims and all(each.order is None for each in claims):
            raise ArgumentError("grid", self.grid, "given with a SOLVER that has fixed steps")

    def command(self) -> str:
        """The command line that repeats it."""
        words = ["sdeplug", "compare", *self.solvers]
        for flag, value in (
            ("--target", self.target),
            ("--sde", self.sde),
            ("--nfe", self.nfe),
            ("--seeds", str(self.seeds)),
            ("--grid", self.grid or ""),
            ("--samples", str(self.samples or "")),
            ("--score-error", self.score_errors),
            ("--stochasticity", self.stochasticity or ""),
        ):
            words += [flag, value] if value else []
        for each in self.metrics:
            words += ["--metric", each]
        return shlex.join(words)


@dataclass(frozen=True)
class Output:
    """Where a comparison goes, besides the screen, and how it is run.

    Attributes:
        plot: picture file, if any.
        html: page, if any.
        json: JSON file, if any.
        jobs: processes.
        resume: folder for finished runs, if any.
    """

    plot: Path | None = None
    html: Path | None = None
    json: Path | None = None
    jobs: int = 1
    resume: Path | None = None


def run(request: Request, output: Output) -> None:
    """Compare, show the table, write what was asked for.

    Raises:
        SdeplugError: for anything that does not fit, before anything is run.
    """
    demand_processes(output.jobs)
    if output.plot is not None or output.html is not None:
        demand_picture("plot", output.plot)
    result = _compared(request, output)
    settings = {**result.settings, "target": request.target}
    result = replace(result, settings=settings, command=request.command())
    console().print(result.table())
    _write(result, output)


def _compared(request: Request, output: Output) -> Comparison:
    solvers, levels = request.contenders(), request.levels()
    forward, aim = named("sdes", request.sde), target(request.target)
    if request.samples is not None:
        Place().demand_room(request.samples, aim.shape)
    if request.seeds > _MOST_SEEDS:
        raise ArgumentError("seeds", request.seeds, f"at most {_MOST_SEEDS}")
    with processes(output.jobs) as executor, Bar("runs") as bar:
        return compare(
            solvers,
            aim,
            forward,
            nfe=numbers("nfe", request.nfe, int),
            seeds=request.seeds,
            samples=request.samples,
            metrics={text: named("metrics", text) for text in request.metrics} or None,
            conditions=Conditions(
                request.time_grid(),
                numbers("score_errors", request.score_errors, float),
                levels[0] if len(levels) == 1 else 1.0,
            ),
            work=Work(executor, output.resume, bar.show),
        )


def _write(result: Comparison, output: Output) -> None:
    if output.json is not None:
        write_text(output.json, result.to_json())
    if output.html is not None:
        write_text(output.html, result.to_html())
    if output.plot is not None:
        from sdeplug.pictures import save

        figure = result.plot()
        write(output.plot, lambda path: save(figure, path))


def _integrator(text: str) -> Integrator:
    by = named("solvers", text)
    if not isinstance(by, Integrator):
        raise ArgumentError("solvers", text, "an integrator", "Correctors need a predictor.")
    return by


def numbers(argument: str, text: str, kind: Callable[[str], float]) -> tuple[Any, ...]:
    """Numbers with commas between.

    Raises:
        ArgumentError: if they are none.
    """
    try:
        return tuple(kind(each) for each in text.split(","))
    except ValueError:
        raise ArgumentError(argument, text, "numbers with commas between, such as 10,20") from None
