"""The ``tune`` command: samplers race on a network, the best goes into a file."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import click

from sdeplug.cli.work.bar import Bar
from sdeplug.cli.work.files import demand_picture, write, write_text
from sdeplug.cli.work.grids import DEFAULT, open_grid
from sdeplug.cli.work.held import Scene, held
from sdeplug.cli.work.terminal import console
from sdeplug.compare import Contender
from sdeplug.errors import ArgumentError
from sdeplug.registry import named
from sdeplug.solvers import Integrator
from sdeplug.tuning import Race, Tuning, tune

_ENDINGS = (".toml", ".json")


@dataclass(frozen=True)
class Request:
    """What races on what, and where it goes; the names are those of the flags."""

    scene: Scene
    resume: Path | None
    solvers: tuple[str, ...]
    nfe: int
    grids: tuple[str, ...]
    levels: tuple[float, ...]
    samples: int
    rounds: int
    search: int
    batch: int
    seed: int
    out: Path
    plot: Path | None
    json: Path | None

    def candidates(self) -> dict[str, Contender] | None:
        """Each solver on each grid at each stochasticity; None: those of :func:`tune`.

        Raises:
            SdeplugError: for names or options that are not allowed, flags that would change
                nothing, and solvers that no budget can be given to.
        """
        if not self.solvers:
            for argument, given in (("grids", self.grids), ("levels", self.levels)):
                if given:
                    raise ArgumentError(argument, given[0], "given with a SOLVER")
            return None
        for size in self.levels:
            if not size >= 0.0:
                raise ArgumentError("levels", size, "at least 0", "0 is the probability flow.")
        found: dict[str, Contender] = {}
        for text in self.solvers:
            by = _integrator(text)
            grids = (self.grids or (DEFAULT,)) if by.needs_grid else ("",)
            levels = self.levels if self.levels and by.claims.stochastic else (None,)
            for grid, level in product(grids, levels):
                steps = open_grid(grid) if grid else None
                found[_label(text, grid, level)] = Contender(by, level, steps)
        if self.levels and all(each.stochasticity is None for each in found.values()):
            raise ArgumentError("levels", self.levels[0], "given with a SOLVER that draws noise")
        return found


def run(request: Request) -> None:
    """Let them race, show the table, write the best and what was asked for.

    Raises:
        SdeplugError: for anything that does not fit, before anything is run.
    """
    if request.out.suffix not in _ENDINGS:
        raise ArgumentError("out", str(request.out), f"a file that ends in {', '.join(_ENDINGS)}")
    if request.plot is not None:
        demand_picture("plot", request.plot)
    race = Race(request.samples, request.rounds, request.batch, request.search)
    candidates = request.candidates()
    known = held(request.scene)
    request.scene.place.demand_room(request.samples, known.aim.shape)
    click.echo(known.told)
    with Bar("runs") as bar:
        ran = [0]

        def on_run(number: int, label: str) -> None:
            bar.name(f"round {number}: {label}")
            ran[0] += 1
            bar.count(ran[0])

        found = tune(
            known.reverse, known.data, request.nfe, candidates=candidates, race=race,
            seed=request.seed, on_run=on_run, resume=request.resume,
        )  # fmt: skip
    _show(found)
    _write(found, request)


def _show(found: Tuning) -> None:
    console().print(found.table())
    click.echo(f"{found.rows} rows evaluated, {found.seconds:.1f} s")


def _write(found: Tuning, request: Request) -> None:
    write(request.out, found.save)
    if request.json is not None:
        write_text(request.json, found.to_json())
    if request.plot is not None:
        from sdeplug.pictures import save

        figure = found.plot()
        write(request.plot, lambda path: save(figure, path))
    subject = request.scene.subject
    if subject.has_units:
        words = ["sdeplug", "sample", "--pipeline", str(request.out), *subject.words]
        click.echo(f"next: {shlex.join(words)}")


def _label(text: str, grid: str, level: float | None) -> str:
    parts = (text, grid, "" if level is None else f"l = {level:g}")
    return ", ".join(each for each in parts if each)


def _integrator(text: str) -> Integrator:
    by = named("solvers", text)
    if not isinstance(by, Integrator):
        raise ArgumentError("solvers", text, "an integrator", "Correctors need a predictor.")
    if not by.needs_grid and by.claims.steps is None and by.ends_at is None:
        raise ArgumentError(
            "solvers", text, "one whose evaluations are known", "This one sets its own steps."
        )
    return by
