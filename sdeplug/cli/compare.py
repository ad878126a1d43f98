"""The ``compare`` command: a comparison with progress, as table, picture, page and JSON."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from sdeplug.cli.terminal import console
from sdeplug.compare import Comparison, Conditions, Contender, Work, compare
from sdeplug.compare.contenders import default_solvers
from sdeplug.errors import ArgumentError
from sdeplug.registry import named, named_grid, target
from sdeplug.solvers import Integrator


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
    grid: str = "log-snr"
    samples: int | None = None
    score_errors: str = "0,0.1"
    stochasticity: str = "1"

    def contenders(self) -> dict[str, Contender]:
        """Label to contender.

        Raises:
            SdeplugError: for a name or option that is not allowed, or a corrector.
        """
        levels = self.levels()
        if not self.solvers:
            if levels != (1.0,):
                raise ArgumentError("--stochasticity", self.stochasticity, "given with a SOLVER")
            return default_solvers()
        found = {}
        for text in self.solvers:
            by = named("solvers", text)
            if not isinstance(by, Integrator):
                raise ArgumentError("SOLVER", text, "an integrator", "Correctors need a predictor.")
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
        return numbers("--stochasticity", self.stochasticity, float)

    def command(self) -> str:
        """The command line that repeats it."""
        words = ["sdeplug", "compare", *self.solvers]
        for flag, value, default in (
            ("--target", self.target, ""),
            ("--sde", self.sde, ""),
            ("--nfe", self.nfe, ""),
            ("--seeds", str(self.seeds), ""),
            ("--grid", self.grid, "log-snr"),
            ("--samples", str(self.samples or ""), ""),
            ("--score-error", self.score_errors, ""),
            ("--stochasticity", self.stochasticity, "1"),
        ):
            words += [] if value == default else [flag, value]
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
    for flag, path in (("--plot", output.plot), ("--html", output.html), ("--json", output.json)):
        if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
            raise ArgumentError(flag, str(path), "a file in a folder that exists")
    if output.jobs < 1:
        raise ArgumentError("--jobs", output.jobs, "at least 1")
    if output.plot is not None or output.html is not None:
        _demand_pictures(output.plot)
    result = _compared(request, output)
    settings = {**result.settings, "target": request.target}
    result = replace(result, settings=settings, command=request.command())
    console().print(result.table())
    for note in result.notes:
        click.echo(note)
    _write(result, output)


def _compared(request: Request, output: Output) -> Comparison:
    solvers, levels = request.contenders(), request.levels()
    forward = named("sdes", request.sde)
    with _executor(output.jobs) as executor, _bar() as show:
        return compare(
            solvers,
            target(request.target),
            forward,
            nfe=numbers("--nfe", request.nfe, int),
            seeds=request.seeds,
            samples=request.samples,
            metrics={text: named("metrics", text) for text in request.metrics} or None,
            conditions=Conditions(
                named_grid(request.grid, 1),
                numbers("--score-error", request.score_errors, float),
                levels[0] if len(levels) == 1 else 1.0,
            ),
            work=Work(executor, output.resume, show),
        )


def _write(result: Comparison, output: Output) -> None:
    if output.json is not None:
        output.json.write_text(result.to_json() + "\n", encoding="utf-8")
        click.echo(f"wrote {output.json}")
    if output.html is not None:
        output.html.write_text(result.to_html(), encoding="utf-8")
        click.echo(f"wrote {output.html}")
    if output.plot is not None:
        from sdeplug.pictures import save

        save(result.plot(), output.plot)
        click.echo(f"wrote {output.plot}")


def numbers(flag: str, text: str, kind: Callable[[str], float]) -> tuple[Any, ...]:
    """Numbers with commas between.

    Raises:
        ArgumentError: if they are none.
    """
    try:
        return tuple(kind(each) for each in text.split(","))
    except ValueError:
        raise ArgumentError(flag, text, "numbers with commas between, such as 10,20") from None


@contextmanager
def _executor(jobs: int) -> Iterator[Executor | None]:
    """A pool of processes that know nothing of this one; None for one job."""
    if jobs == 1:
        yield None
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, where a person looks on."""
    screen = Console(stderr=True)
    columns = (TextColumn("runs"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(
        *columns, console=screen, transient=True, disable=not screen.is_terminal
    ) as progress:
        task = progress.add_task("runs", total=None)
        yield lambda done, of: progress.update(task, completed=done, total=of)


def _demand_pictures(path: Path | None) -> None:
    """Refuse, before the work, what matplotlib cannot do."""
    from sdeplug.pictures import blank_figure

    kinds = blank_figure(1.0, 1.0).canvas.get_supported_filetypes()
    if path is not None and path.suffix[1:] not in kinds:
        raise ArgumentError("--plot", str(path), f"a file that ends in {', '.join(kinds)}")
