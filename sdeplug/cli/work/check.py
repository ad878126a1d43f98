"""The ``check`` command: checks with progress, and the report as table, JSON and picture."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sdeplug.cli.work.bar import Bar
from sdeplug.cli.work.files import demand_picture, write, write_text
from sdeplug.cli.work.tables import report_table
from sdeplug.cli.work.terminal import console
from sdeplug.errors import ArgumentError
from sdeplug.grid import TimeGrid
from sdeplug.registry import named, named_grid
from sdeplug.testing import Report, Result, Verdict, check_grid, check_solver
from sdeplug.testing.doors import selected

_STATUS = {Verdict.PASSED: 0, Verdict.FAILED: 1, Verdict.UNPROVEN: 3}  # 2 is wrong input


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        solver: the solver, as ``NAME[:OPTION=VALUE,...]``.
        fast: only the checks that are free of noise.
        json: where to write the report, if anywhere.
        picture: where to draw it, if anywhere.
        sdes: further forward SDEs to check it on, named likewise.
        grid: it is the name of a time grid.
    """

    solver: str
    fast: bool = False
    json: Path | None = None
    picture: Path | None = None
    sdes: tuple[str, ...] = ()
    grid: bool = False


def run(request: Request) -> int:
    """Check a solver and report; what cannot succeed is refused before the checks run.

    Returns:
        The exit status: 0 if it passed, 1 if it failed, 3 if it is unproven.

    Raises:
        SdeplugError: for a name or option that is not allowed, a path that cannot be written,
            or an extra that is missing.
    """
    sdes = tuple(named("sdes", name) for name in request.sdes)
    if request.grid:
        report = _checked_grid(request, sdes)
    else:
        solver = named("solvers", request.solver)
        if request.picture is not None:
            demand_picture("picture", request.picture)
        with _no_folder_left():
            report = _checked(solver, request.fast, sdes)
    console().print(report_table(report))
    if request.json is not None:
        write_text(request.json, report.to_json())
    if request.picture is not None:
        from sdeplug.pictures import save

        figure = report.picture()
        write(request.picture, lambda path: save(figure, path))
    return _STATUS[report.verdict]


def _checked_grid(request: Request, sdes: Sequence[Any]) -> Report:
    """The report on a grid; it takes a second and has nothing to draw."""
    if request.picture is not None:
        raise ArgumentError("picture", str(request.picture), "left out for a grid")

    def made(steps: int) -> TimeGrid:
        return named_grid(request.solver, steps)

    made(1)
    return replace(check_grid(made, sdes), solver=request.solver)


def _checked(solver: Any, fast: bool, sdes: Sequence[Any]) -> Report:
    """The report; a bar tells how far it is."""
    names = [check.__name__ for check in selected(fast, sdes)]
    done = 0
    with Bar(names[0]) as bar:

        def show(result: Result) -> None:
            nonlocal done
            done += 1
            bar.show(done, len(names))
            bar.name(names[done] if done < len(names) else "done")

        bar.show(0, len(names))
        return check_solver(solver, fast=fast, on_result=show, sdes=sdes)


@contextmanager
def _no_folder_left() -> Iterator[None]:
    """Let hypothesis keep what it remembers out of the folder that the user is in."""
    name = "HYPOTHESIS_STORAGE_DIRECTORY"
    if name in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ[name] = folder
        try:
            yield
        finally:
            del os.environ[name]
