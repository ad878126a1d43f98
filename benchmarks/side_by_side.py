"""Samples of many seeds at once, by processes side by side that share the work and a log.

Each process takes seeds of a solver, some hundreds, and keeps a lock on them in a folder beside the
log until it ends; the others leave them alone.  Start as many as there are processors.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import IO

from alarms import Answer, Samples, parsed

_PORTION = 250  # seeds that one process takes at a time


@dataclass
class Table:
    """Where the work lies that processes take, and where they put what they have done.

    Attributes:
        log: the log of all processes.
        seconds: how long there is.
    """

    log: Path
    seconds: float
    _begin: float = field(default_factory=time.monotonic)
    _locks: list[IO[str]] = field(default_factory=list)
    _seconds: dict[tuple[str, int], float] = field(default_factory=dict)
    _seen: int = 0

    def answered(self) -> dict[tuple[str, int], float]:
        """Whose seeds have been answered, by any process so far, and how long each took."""
        if self.log.exists():
            with self.log.open("rb") as file:
                file.seek(self._seen)
                new = file.read()
            whole = new[: new.rfind(b"\n") + 1]
            self._seen += len(whole)
            for each in parsed(whole.decode()):
                if each["part"] == "samples" and "error" not in each:
                    self._seconds[each["who"], each["seed"]] = each["seconds"]
        return self._seconds

    def take(self, who: str, first: int) -> bool:
        """Take a portion of the work, unless somebody has it; it is ours until we end."""
        folder = self.log.with_suffix(".taken")
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / f"{blake2b(who.encode(), digest_size=8).hexdigest()}-{first}").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            return False
        self._locks.append(lock)
        return True

    @property
    def left(self) -> float:
        """How many seconds are left."""
        return self.seconds - (time.monotonic() - self._begin)

    def put(self, lines: Sequence[Answer]) -> None:
        """Add lines to the log, all at once, so that those of others do not come between."""
        with self.log.open("ab", buffering=0) as file:
            file.write("".join(json.dumps(line) + "\n" for line in lines).encode())


def ask_together(
    experiments: Sequence[Samples], seeds: int, together: int, table: Table, adaptive_first: bool
) -> None:
    """Ask what is missing in the log, what is known to be cheap first, until time is over.

    An error ends the portion in which it comes, and is a line of the log for each seed; another
    call asks these seeds again.

    Args:
        experiments: whose seeds.
        seeds: of each.
        together: how many seeds are asked at once.
        table: where the work is shared.
        adaptive_first: whether those that keep the host busy come before those that do not.
    """
    for each in _in_order(experiments, table, adaptive_first):
        for first in range(0, seeds, _PORTION):
            if table.left < 0.0:
                return
            if table.take(each.who, first):
                _ask_portion(each, range(first, min(first + _PORTION, seeds)), together, table)


def _ask_portion(each: Samples, portion: Sequence[int], together: int, table: Table) -> None:
    """Ask what nobody has asked, until there may be no time for another call."""
    done, slowest = table.answered(), 0.0
    missing = [seed for seed in portion if (each.who, seed) not in done]
    for first in range(0, len(missing), together):
        before = table.left
        if before < slowest or not _asked(each, missing[first : first + together], table):
            return
        slowest = max(slowest, before - table.left)


def _in_order(experiments: Sequence[Samples], table: Table, adaptive_first: bool) -> list[Samples]:
    """Those whose seeds have been timed come first, then others by what they may cost."""
    seconds = {who: taken for (who, _), taken in table.answered().items()}

    def place(one: Samples) -> tuple[bool, bool, float]:
        known = seconds.get(one.who)
        return one.adaptive != adaptive_first, known is None, known or one.cost

    return sorted((one for one in experiments if one.applies), key=place)


def _asked(each: Samples, seeds: Sequence[int], table: Table) -> bool:
    """Whether some seeds have been answered; if not, the log says why."""
    begin = time.monotonic()
    found: list[Answer]
    try:
        found = each.ask_many(seeds)
    except Exception as error:  # of one solver is no reason not to ask the others
        found = [{"error": f"{type(error).__name__}: {error}"[:500]} for _ in seeds]
    seconds = round((time.monotonic() - begin) / len(seeds), 4)
    lines = [
        {"part": "samples", "who": each.who, "seed": seed, **answer, "seconds": seconds}
        for seed, answer in zip(seeds, found, strict=True)
    ]
    table.put(lines)
    return "error" not in found[0]
