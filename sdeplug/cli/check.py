"""The ``check`` command: checks with progress, and the report as table, JSON and picture."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from sdeplug.cli.tables import report_table
from sdeplug.cli.terminal import console
from sdeplug.errors import ArgumentError
from sdeplug.registry import named
from sdeplug.testing import Report, Result, check_solver
from sdeplug.testing.doors import selected


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        solver: the solver, as ``NAME[:OPTION=VALUE,...]``.
        fast: only the checks that are free of noise.
        json: where to write the report, if anywhere.
        picture: where to draw it, if anywhere.
    """

    solver: str
    fast: bool = False
    json: Path | None = None
    picture: Path | None = None


def run(request: Request) -> bool:
    """Check a solver and report; what cannot succeed is refused before the checks run.

    Returns:
        Whether all promises are kept.

    Raises:
        SdeplugError: for a name or option that is not allowed, a path that cannot be written,
            or an extra that is missing.
    """
    solver = named("solvers", request.solver)
    for flag, path in (("--json", request.json), ("--picture", request.picture)):
        if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
            raise ArgumentError(flag, str(path), "a file in a folder that exists")
    if request.picture is not None:
        _demand_kind(request.picture)
    with _no_folder_left():
        report = _checked(solver, request.fast)
    console().print(report_table(report))
    if request.json is not None:
        request.json.write_text(report.to_json() + "\n", encoding="utf-8")
    if request.picture is not None:
        from sdeplug.pictures import save

        save(report.picture(), request.picture)
    return report.passed


def _checked(solver: Any, fast: bool) -> Report:
    """The report; a bar on standard error tells how far it is, where a person looks on."""
    screen = Console(stderr=True)
    words = TextColumn("{task.description}")
    columns = (words, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    checks = selected(fast)
    with Progress(
        *columns, console=screen, transient=True, disable=not screen.is_terminal
    ) as progress:
        task = progress.add_task(checks[0].__name__, total=len(checks))

        def show(result: Result) -> None:
            done = int(progress.tasks[task].completed) + 1
            following = checks[done].__name__ if done < len(checks) else "done"
            progress.update(task, advance=1, description=following)

        return check_solver(solver, fast=fast, on_result=show)


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


def _demand_kind(path: Path) -> None:
    """Refuse an ending that matplotlib does not know."""
    from sdeplug.pictures import blank_figure

    kinds = blank_figure(1.0, 1.0).canvas.get_supported_filetypes()
    if path.suffix[1:] not in kinds:
        raise ArgumentError("--picture", str(path), f"a file that ends in {', '.join(kinds)}")
