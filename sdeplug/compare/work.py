"""Run cells: here, in a pool, on a cluster; what is finished is kept."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from sdeplug.compare.cells import Cell, Floor, Outcome
from sdeplug.compare.identity import keys
from sdeplug.errors import RESUMED, ArgumentError, argument_type, write_text

Job = Cell | Floor
OnCell = Callable[[int, int], None]
"""Called with the number of finished cells and the number of all."""

Keep = Callable[[int, Outcome], None]


@dataclass(frozen=True)
class Work:
    """How the runs of a comparison are done; none of it changes a number. ::

        compare(solvers, target, sde, work=Work(executor=pool, resume="cells"))

    Attributes:
        executor: where the runs go: any executor, such as a process pool or that of a Dask
            client; None: here, one after the other.  The numbers are the same to the bit.
        resume: folder where finished runs are kept, and found by the next call.
        on_cell: called with the number of finished runs and that of all.

    Raises:
        ArgumentError: if the executor has no ``submit``, ``resume`` can be no folder, or
            ``on_cell`` cannot be called.
    """

    executor: Executor | None = None
    resume: Path | str | None = None
    on_cell: OnCell | None = None

    def __post_init__(self) -> None:
        if self.executor is not None and not callable(getattr(self.executor, "submit", None)):
            argument_type("executor", self.executor, "an Executor", "ProcessPoolExecutor() is one.")
        if self.on_cell is not None and not callable(self.on_cell):
            argument_type("on_cell", self.on_cell, "a function of two numbers")
        if self.resume is not None:
            checked_folder(self.resume)

    @property
    def store(self) -> Store | None:
        """Where finished runs are kept, if anywhere."""
        return None if self.resume is None else Store(Path(self.resume))


def checked_folder(resume: object) -> Path:
    """The folder of ``resume``, which is made when something is kept.

    Raises:
        ArgumentError: for what is no path of a folder, or of one that cannot be made.
    """
    if not isinstance(resume, (str, os.PathLike)):
        argument_type("resume", resume, "the path of a folder")
    folder = Path(resume)
    there = folder.absolute()
    while not os.path.exists(there) and there != there.parent:
        there = there.parent
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise ArgumentError(
            "resume", str(resume), "a folder, or a path where one can be made",
            f"{there} is no folder, or cannot be written to.",
        )  # fmt: skip
    return folder


@dataclass(frozen=True)
class Store:
    """Finished cells in a folder, a file for each.

    Attributes:
        folder: where; it is made with the first of them.
    """

    folder: Path

    def get(self, name: str) -> Outcome | None:
        """A finished cell; None if it is not there, or not whole."""
        try:
            return Outcome(**json.loads(self._path(name).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def put(self, name: str, outcome: Outcome) -> None:
        """Keep a cell: the file is there whole, or not at all."""
        write_text("resume", self._path(name), json.dumps(asdict(outcome)), RESUMED)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def run_all(jobs: Sequence[Job], work: Work) -> list[Outcome]:
    """Outcomes of all cells, in their order.

    Args:
        jobs: the cells.
        work: where they run, where finished ones are looked for and kept, and who is told: once
            at the start, and after each.
    """
    store = work.store
    names = keys(jobs) if store else []
    outcomes = {n: o for n, name in enumerate(names) if store and (o := store.get(name))}
    missing = [n for n in range(len(jobs)) if n not in outcomes]

    def keep(n: int, outcome: Outcome) -> None:
        if store:
            store.put(names[n], outcome)

    report = work.on_cell or _silent
    report(len(outcomes), len(jobs))
    with _one_thread():
        for n, outcome in _finished(jobs, missing, work.executor, keep):
            outcomes[n] = outcome
            report(len(outcomes), len(jobs))
    return [outcomes[n] for n in range(len(jobs))]


def _finished(
    jobs: Sequence[Job], missing: Sequence[int], executor: Executor | None, keep: Keep
) -> Iterator[tuple[int, Outcome]]:
    """Numbers and outcomes, as they come; each is kept before it is told of."""
    if executor is None:
        for n in missing:
            outcome = jobs[n].run()
            keep(n, outcome)
            yield n, outcome
        return
    futures: dict[Future[Outcome], int] = {}
    kept = set()
    try:
        for n in missing:
            futures[executor.submit(_run, jobs[n])] = n
        for future in as_completed(futures):
            outcome = future.result()
            keep(futures[future], outcome)
            kept.add(future)
            yield futures[future], outcome
    finally:
        for future, n in futures.items():
            # After an interrupt: what was finished in the meantime is not lost either.
            over = not future.cancel() and future not in kept and future.done()
            if over and future.exception() is None:
                keep(n, future.result())


def _run(job: Job) -> Outcome:
    return job.run()


def _silent(done: int, of: int) -> None:
    pass


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread while cells run here: with more of them the last bits may differ."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
