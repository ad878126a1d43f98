"""Processes that a comparison runs in, and that end with it."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, InvalidStateError, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context
from typing import Any, TypeVar

from sdeplug.errors import ArgumentError

_Value = TypeVar("_Value")
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
    context = get_context("spawn")
    with _calm(), _Pool(jobs, context, signal.signal, _DEADLY) as pool:
        try:
            _start(pool, jobs)
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in active_children():
                process.terminate()
            raise


class _Pool(ProcessPoolExecutor):
    """Sends the numbers of tensors, not the handles of their memory.

    torch would hand these out in a thread of this process, which complains when the process that
    it talks to dies.
    """

    def submit(  # type: ignore[override]  # what runs here has no names of arguments
        self, fn: Callable[..., _Value], /, *args: Any
    ) -> Future[_Value]:
        return super().submit(_unpacked, pickle.dumps((fn, args)))


def _unpacked(packed: bytes) -> Any:
    function, args = pickle.loads(packed)
    return function(*args)


@contextmanager
def _calm() -> Iterator[None]:
    """No traceback from the thread of a pool whose processes die when its runs are called off.

    It tells each run that its process has died, and stumbles over those that were cancelled.
    """
    told = threading.excepthook

    def hook(args: threading.ExceptHookArgs) -> None:
        if not issubclass(args.exc_type, InvalidStateError):
            told(args)

    threading.excepthook = hook
    yield
    threading.excepthook = told  # not after an interrupt: the thread of the pool dies later


def _start(pool: Executor, jobs: int) -> None:
    """Start the processes deaf to Ctrl-C, until each of them can die of it without a traceback."""
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for _ in range(jobs):
            pool.submit(int)
    finally:
        signal.signal(signal.SIGINT, heard)
