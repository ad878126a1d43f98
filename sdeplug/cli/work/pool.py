"""Processes that a comparison runs in, and that end with it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context

from sdeplug.errors import ArgumentError

_DEADLY = (signal.SIGINT, signal.SIG_DFL)


def demand_processes(jobs: int) -> None:
    """Refuse, with :class:`ArgumentError`, none, and many more than there are cores."""
    most = 4 * (os.cpu_count() or 1)
    if not 1 <= jobs <= most:
        raise ArgumentError("jobs", jobs, f"from 1 to {most} on this machine")


@contextmanager
def processes(jobs: int) -> Iterator[Executor | None]:
    """A pool of processes that know nothing of this one; None for one job.

    Args:
        jobs: how many.
    """
    if jobs == 1:
        yield None
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), signal.signal, _DEADLY) as pool:
        try:
            _start(pool, jobs)
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in active_children():
                process.terminate()
            raise


def _start(pool: Executor, jobs: int) -> None:
    """Start the processes deaf to Ctrl-C, until each of them can die of it without a traceback."""
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for _ in range(jobs):
            pool.submit(int)
    finally:
        signal.signal(signal.SIGINT, heard)
