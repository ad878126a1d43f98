"""The ``compare`` command: a comparison with progress, as table, picture, page and JSON."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sdeplug.cli.work.aim import Exact, Learned
from sdeplug.cli.work.bar import Bar
from sdeplug.cli.work.files import demand_picture, write, write_text
from sdeplug.cli.work.grids import open_grids
from sdeplug.cli.work.held import Held, Scene, held
from sdeplug.cli.work.place import Place
from sdeplug.cli.work.pool import demand_processes, processes
from sdeplug.cli.work.terminal import console
from sdeplug.compare import Comparison, Conditions, Contender, Flow, OnData, Work, compare
from sdeplug.compare.contenders import default_solvers
from sdeplug.errors import ArgumentError
from sdeplug.grid import TimeGrid
from sdeplug.registry import named
from sdeplug.solvers import Integrator
from sdeplug.targets import Target

_MOST_SEEDS = 10_000
_ON_NETWORKS = tuple(
    f"exponential/{each}" for each in "auto ipndm dpmpp-2m unipc ddim dpmpp-2m-sde".split()
)  # what is compared on a network when nobody says what


@dataclass(frozen=True)
class Request:
    """What is asked for, in words.

    Attributes:
        scene: a target, or a model and data.
        solvers: each as ``NAME[:OPTION=VALUE,...]``; none: the default ones.
        nfe: budgets, with commas; None: the default ones.
        seeds: how many repetitions.
        metrics: each as ``NAME[:OPTION=VALUE,...]``; none: those that suit the data.
        grids: each as ``NAME[:OPTION=VALUE,...]``; of several each solver gets its best.
        samples: how many in a run.
        score_errors: sizes, with commas; None: the default ones.
        stochasticity: levels, with commas; a stochastic solver runs at each.
    """

    scene: Scene
    solvers: tuple[str, ...] = ()
    nfe: str | None = None
    seeds: int = 3
    metrics: tuple[str, ...] = ()
    grids: tuple[str, ...] = ()
    samples: int | None = None
    score_errors: str | None = None
    stochasticity: str | None = None

    def contenders(self) -> dict[str, Contender]:
        """Label to contender.

        Raises:
            SdeplugError: for a name or option that is not allowed, a corrector, or a flag that
                would change nothing.
        """
        names = self.solvers or (_ON_NETWORKS if self.network else ())
        solvers = {text: _integrator(text) for text in names}
        self._demand_effects([_integrator(text) for text in self.solvers])
        levels, found = self.levels(), {} if solvers else default_solvers()
        for text, by in solvers.items():
            grids = self.time_grids() if len(self.grids) > 1 and by.needs_grid else None
            if len(levels) == 1 or not by.claims.stochastic:
                found[text] = Contender(by, grid=grids)
                continue
            for level in levels:
                found[f"{text}, l = {level:g}"] = Contender(by, level, grids)
        return found

    @property
    def network(self) -> bool:
        """Whether it is on a network."""
        return self.scene.subject.model is not None

    def budgets(self) -> tuple[int, ...]:
        """The budgets.

        Raises:
            ArgumentError: if they are no numbers.
        """
        return numbers("nfe", self.nfe or ("5,10,20" if self.network else "10,20,50,100"), int)

    def conditions(self) -> Conditions:
        """The conditions of all: on a network the converged flow as well.

        Raises:
            SdeplugError: for a grid, sizes or levels that are none.
        """
        levels, text = self.levels(), self.score_errors or ("0" if self.network else "0,0.1")
        return Conditions(
            self.time_grids()[0],
            numbers("score_errors", text, float),
            levels[0] if len(levels) == 1 else 1.0,
            Flow() if self.network else None,
        )

    def levels(self) -> tuple[float, ...]:
        """The stochasticities.

        Raises:
            ArgumentError: if they are no numbers.
        """
        text = "1" if self.stochasticity is None else self.stochasticity
        return numbers("stochasticity", text, float)

    def time_grids(self) -> tuple[TimeGrid, ...]:
        """The grids; their number of steps is what a budget pays for.

        Raises:
            SdeplugError: for a name or option that is not allowed.
        """
        return open_grids(self.grids)

    def _demand_effects(self, solvers: list[Integrator]) -> None:
        """Refuse flags that no solver heeds."""
        claims = [each.claims for each in solvers]
        if self.stochasticity is not None and not any(each.stochastic for each in claims):
            allowed = "given with a SOLVER that draws noise"
            raise ArgumentError("stochasticity", self.stochasticity, allowed)
        if self.grids and claims and all(each.order is None for each in claims):
            raise ArgumentError("grids", self.grids[0], "given with a SOLVER that has fixed steps")

    def command(self) -> str:
        """The command line that repeats it."""
        words = ["sdeplug", "compare", *self.solvers, *self.scene.subject.words]
        for flag, value in (
            ("--data", self.scene.data),
            ("--sde", self.scene.sde),
            ("--nfe", self.nfe),
            ("--seeds", self.seeds),
            *(("--grid", each) for each in self.grids),
            ("--samples", self.samples),
            ("--score-error", self.score_errors),
            ("--stochasticity", self.stochasticity),
            *(("--metric", each) for each in self.metrics),
        ):
            words += [flag, str(value)] if value is not None else []
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
    result = replace(_compared(request, output), command=request.command())
    console().print(result.table())
    _write(result, output)


def _compared(request: Request, output: Output) -> Comparison:
    solvers, conditions, known = request.contenders(), request.conditions(), held(request.scene)
    if request.samples is not None:
        Place().demand_room(request.samples, known.aim.shape)
    if request.seeds > _MOST_SEEDS:
        raise ArgumentError("seeds", request.seeds, f"at most {_MOST_SEEDS}")
    with processes(output.jobs) as executor, Bar("runs") as bar:
        result = compare(
            solvers,
            _what(known),
            None if request.network else known.reverse.linear,
            nfe=request.budgets(),
            seeds=request.seeds,
            samples=request.samples,
            metrics={text: named("metrics", text) for text in request.metrics} or None,
            conditions=conditions,
            work=Work(executor, output.resume, bar.show),
        )
    name = known.aim.name if isinstance(known.aim, Exact) else known.told
    return replace(result, settings={**result.settings, "target": name})


def _what(known: Held) -> Target | OnData:
    if isinstance(known.data, Target):
        return known.data
    assert isinstance(known.aim, Learned)  # data are those of a model
    return OnData(known.aim.bound, known.data)


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
