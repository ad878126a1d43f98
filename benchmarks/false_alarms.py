"""How often the checks fail what is right: ``python benchmarks/false_alarms.py [PART ...]``.

Three parts, each with many seeds:

- ``draws``: exact draws of every target of the statistical tier, with all rows.  Every statistic
  has p-values that are uniform, or larger where it is conservative.
- ``samples``: ``check_law_by_sampling`` on every right solver, with all rows: those that mutants
  are made from, the unusual ones among them, and the bundled ones.  What is let pass makes its
  p-values larger; an alarm is a cell that all stages reject.
- ``checks``: all other checks of ``--fast`` on the same solvers.  They have no seed, and say the
  same in every run.  Here each seed in them stands for other numbers, as for another solver.
  Those that say the same with three seeds are exact, and are not asked again.

What was asked is kept in a file (``--log``), a line for each seed, and is not asked again: stop it
whenever you like, or with ``--seconds``, and call it once more.

With ``--together`` many seeds of ``samples`` are asked at once, on the device of your choice.
Start that as often as there are processors, with the same log: they share the work.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from alarms import PARTS, Answer, Checks, Experiment, Samples, kept, moved, troubles
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from scipy import special
from side_by_side import Table as Work
from side_by_side import ask_together

from sdeplug.testing.law.cells import ALPHA

Asked = tuple[str, Experiment]
"""A part, and one of its experiments."""


def asked(parts: Iterable[str], only: str) -> list[Asked]:
    """The experiments of some parts, whose name has a text in it."""
    return [(part, each) for part in parts for each in PARTS[part]() if only in each.who]


def turns(experiments: Sequence[Asked], seeds: int) -> Iterator[tuple[str, Experiment, int]]:
    """Every seed of each, in turns."""
    for seed in range(seeds):
        for part, each in experiments:
            yield part, each, seed


def ask(experiments: Sequence[Asked], seeds: int, seconds: float, log: Path) -> None:
    """Ask what is missing, until the time is over."""
    done, begin = kept(log), time.monotonic()
    missing = [
        (part, each, seed)
        for part, each, seed in turns(experiments, seeds)
        if (part, each.who, seed) not in done
    ]
    with log.open("a") as file, Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=len(missing))
        file.write("\n")  # after a line that was cut short
        before: dict[tuple[str, str], list[Answer]] = defaultdict(list)
        for (part, who, _), answer in done.items():
            before[part, who].append(answer)
        for part, each, seed in missing:
            if time.monotonic() - begin > seconds:
                return
            bar.update(task, advance=1, description=f"{part}: {each.who}")
            if not each.applies:
                continue
            start = time.process_time()
            line: Answer = {"part": part, "who": each.who, "seed": seed}
            line |= each.ask(seed, before[part, each.who])
            before[part, each.who].append(line)
            line["seconds"] = round(time.process_time() - start, 3)
            file.write(json.dumps(line) + "\n")
            file.flush()


def tables(answers: Iterable[Answer]) -> Iterator[Table]:
    """What was seen: a table for each part, and the alarms."""
    by_part: dict[str, dict[str, list[Answer]]] = defaultdict(lambda: defaultdict(list))
    for each in answers:
        by_part[each["part"]][each["who"]].append(each)
    made = {"draws": statistics, "samples": solvers, "checks": answers_of_checks}
    for part, make in made.items():
        if part in by_part:
            yield make(by_part[part])
    alarms = Table("", "seed", "alarm", title="alarms")
    for found in by_part.values():
        for who, lines in found.items():
            for each in lines:
                if each["alarm"] is not None:
                    alarms.add_row(who, str(each["seed"]), each["alarm"])
    yield alarms


def statistics(found: dict[str, list[Answer]]) -> Table:
    """Whether the p-values of exact draws are uniform, or larger."""
    columns = (
        "",
        "seeds",
        "rejected",
        "alarms",
        "statistic least uniform",
        "p of all",
        "smallest p",
    )
    table = Table(*columns, title="draws: p-values of every statistic")
    for who, lines in found.items():
        names = lines[0]["p"]
        excess = {name: too_small([each["p"][name] for each in lines]) for name in names}
        worst = min(excess, key=lambda name: excess[name])
        least = min(1.0, len(names) * excess[worst])
        smallest = min(min(each["p"].values()) for each in lines)
        rejected = sum(len(names) * min(each["p"].values()) < ALPHA for each in lines)
        cells = (len(lines), rejected, alarms(lines), worst, f"{least:.2g}",
                 f"{smallest:.1g}")  # fmt: skip
        table.add_row(who, *map(str, cells))
    return table


def solvers(found: dict[str, list[Answer]]) -> Table:
    """Whether what is let pass covers what a right solver is off by."""
    columns = ("", "seeds", "cells", "rejected", "alarms", "smallest p", "too small", "s")
    table = Table(*columns, title="samples: cells that the first stage rejects, and alarms")
    for who, lines in found.items():
        p = [value for each in lines for value in each["p"].values()]
        rejected = sum(value < ALPHA for value in p)
        seconds = sum(each["seconds"] for each in lines) / len(lines)
        cells = (len(lines), len(p), rejected, alarms(lines), f"{min(p):.1g}",
                 f"{too_small(p):.2g}", f"{seconds:.2g}")  # fmt: skip
        table.add_row(who, *map(str, cells))
    return table


def answers_of_checks(found: dict[str, list[Answer]]) -> Table:
    """Which checks say something else with other numbers, and whether it matters."""
    columns = ("", "seeds", "alarms", "s", "checks that say something else")
    table = Table(*columns, title="checks: the same with other numbers")
    for who, lines in found.items():
        seconds = sum(each["seconds"] for each in lines) / len(lines)
        words = ", ".join(name.removeprefix("check_") for name in moved(lines))
        table.add_row(who, str(len(lines)), str(alarms(lines)), f"{seconds:.2g}", words)
    return table


def alarms(lines: Sequence[Answer]) -> int:
    """How many seeds raised one."""
    return sum(each["alarm"] is not None for each in lines)


def too_small(pvalues: Sequence[float]) -> float:
    """The p-value of p-values being uniform or larger: Smirnov's, on the side that matters."""
    count = len(pvalues)
    above = max((rank + 1) / count - p for rank, p in enumerate(sorted(pvalues)))
    return float(special.smirnov(count, max(above, 0.0)))


def main() -> None:
    """Ask, and print what was seen."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all without")
    parser.add_argument("--seeds", type=int, default=1000, help="of each")
    parser.add_argument("--only", default="", help="those whose name has this in it")
    parser.add_argument("--check", default="", help="of the checks, those named so, in part")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so many")
    parser.add_argument(
        "--dearest",
        type=float,
        default=float("inf"),
        help="seconds of a seed: leave out those that took more",
    )
    parser.add_argument("--together", type=int, help="seeds of samples that are asked at once")
    parser.add_argument("--device", default="cpu", help="where, with --together")
    parser.add_argument("--adaptive-first", action="store_true", help="likewise, in that order")
    parser.add_argument("--log", type=Path, default=Path("false_alarms.jsonl"))
    parser.add_argument("--table", action="store_true", help="ask nothing, show what is kept")
    given = parser.parse_args()
    torch.set_num_threads(1)
    unknown = sorted(set(given.parts) - set(PARTS))
    if unknown:
        parser.error(f"no part is called {', '.join(unknown)}: they are {', '.join(PARTS)}")
    if not given.table:
        dear = {
            (part, who)
            for (part, who, _), each in kept(given.log).items()
            if each["seconds"] > given.dearest
        }
        experiments = [
            (part, replace(each, named=given.check) if isinstance(each, Checks) else each)
            for part, each in asked(given.parts or PARTS, given.only)
            if (part, each.who) not in dear
        ]
        if not experiments:
            parser.error(f"--only {given.only}: no name has this in it")
        if given.together is None:
            ask(experiments, given.seeds, given.seconds, given.log)
        else:
            work = Work(given.log, given.seconds)
            samples = [
                replace(each, device=given.device)
                for _, each in experiments
                if isinstance(each, Samples)
            ]
            ask_together(samples, given.seeds, given.together, work, given.adaptive_first)
            return  # the processes share a log, and it may be long: --table shows it
    for who, error in troubles(given.log).items():
        print(f"{who} could not be asked: {error}", file=sys.stderr)
    for table in tables(kept(given.log).values()):
        Console(width=130).print(table)


if __name__ == "__main__":
    main()
