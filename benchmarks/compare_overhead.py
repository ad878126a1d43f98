"""What a comparison costs: the default one in two processes, and what is not the solvers' own.

python benchmarks/compare_overhead.py [--quick] [--json FILE]

The default comparison is that of `sdeplug compare`: eight solvers, four budgets, three seeds, exact
and perturbed scores, 20,000 samples of a mixture in the plane.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from lines import Line, reported

from sdeplug import VPSDE, targets
from sdeplug.compare import Comparison, Work, compare
from sdeplug.compare.contenders import default_solvers


def default(seeds: int, **options: object) -> Comparison:
    return compare(default_solvers(), targets.eight_gaussians(), VPSDE(), seeds=seeds, **options)


def whole(quick: bool) -> Iterator[Line]:
    """Wall time in two processes, their start included; and that the numbers repeat."""
    seeds = 1 if quick else 3
    results = []
    for _ in range(2):
        begin = time.perf_counter()
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            results.append(default(seeds, work=Work(pool)).to_json(times=False))
        took = time.perf_counter() - begin
    yield Line(f"default comparison, {seeds} seeds, two processes", took, "s", 60.0)
    yield Line("numbers that differ in a second run", float(results[0] != results[1]), "", 0.0)


def parts(quick: bool) -> Iterator[Line]:
    """Of a comparison in one process, what the runs take, the metrics, and all the rest."""
    with tempfile.TemporaryDirectory() as folder:
        default(1, samples=100, nfe=(10,))  # what is imported and tabulated once
        begin = time.perf_counter()
        default(1 if quick else 3, work=Work(resume=folder))
        total = time.perf_counter() - begin
        cells = [json.loads(path.read_text()) for path in Path(folder).glob("*.json")]
    runs, metrics = (sum(cell[key] for cell in cells) for key in ("seconds", "measuring"))
    yield Line("runs of the solvers, one process", runs, "s")
    rest = total - runs - metrics
    yield Line("metrics over runs", 100.0 * metrics / runs, "%")
    yield Line("all the rest of the harness over runs", 100.0 * rest / runs, "%", 5.0)


if __name__ == "__main__":
    sys.exit(reported("Overhead of a comparison", __doc__, whole, parts))
