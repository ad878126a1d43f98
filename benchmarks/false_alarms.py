"""How often the statistical tier rejects what is right: ``python benchmarks/false_alarms.py``.

Every cell is run with many seeds.  A stage should reject at most 1e-3 of them, both stages at
most 1e-6; with exact draws the smallest of m p-values times m should be below 0.05 in at most
5 % of the cases.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from sdeplug import VPSDE, Integrator, LogSNR, OnGrid, ReverseSDE, Run
from sdeplug.targets import Empirical
from sdeplug.testing import Cell, CellVerdict, Specimen, sampling_cells, specimens
from sdeplug_ode import Heun
from sdeplug_song import Ancestral, AnnealedLangevin

SDE = VPSDE()


def as_drawn(x: Tensor, run: Run) -> Tensor:
    """Exact samples, unchanged."""
    return x


def widened(specimen: Specimen, tau: float, x: Tensor, run: Run) -> Tensor:
    """Exact samples, each (1 + tau) times as far from the mean of its component."""
    labels = specimen.target.responsibilities(x, SDE.eps, SDE).argmax(1)
    means = SDE.at(SDE.eps).alpha * specimen.target.means[labels]
    return means + (1.0 + tau) * (x - means)


def carried(by: Integrator, reverse: ReverseSDE, x: Tensor, run: Run) -> Tensor:
    """What a solver makes of exact samples at T."""
    return by.integrate(reverse, x, SDE.T, SDE.eps, run)


def cells() -> Iterator[tuple[str, Cell]]:
    """Cells that have nothing to find."""
    for specimen in specimens():
        small = replace(specimen, rows=max(specimen.rows // 8, 128))
        yield "exact draws, tau 0", Cell(small, SDE, as_drawn, SDE.eps, SDE.eps, 0.0, "exact")
        carry = partial(widened, small, 0.03)
        yield "3 % too wide, tau 3 %", Cell(small, SDE, carry, SDE.eps, SDE.eps, 0.03, "wide")
    point = Empirical(torch.linspace(-1.0, 1.0, 16)[None])
    reverse = ReverseSDE(SDE, point.score(SDE))
    one = Specimen("a point in 16 dimensions", point, 512, 0.0)
    carry = partial(carried, OnGrid(Ancestral(), LogSNR(8)), reverse)
    yield "ancestral, tau 0", Cell(one, SDE, carry, SDE.T, SDE.eps, 0.0, "ancestral")
    for solver in (Heun(), AnnealedLangevin()):
        cell = next(iter(sampling_cells(solver)))
        small = replace(cell, specimen=replace(cell.specimen, rows=1024))
        yield f"{solver!r}, tau {cell.tau:.1%}", small


def measured(cell: Cell, seeds: int) -> tuple[int, int, int]:
    """Seeds with a first p-value below 0.05, below 1e-3, and rejected by all stages."""
    low, first, both = 0, 0, 0
    for seed in range(1, seeds + 1):
        pvalue = CellVerdict.of(cell.pvalues(3 * seed)).pvalue
        low, first = low + (pvalue < 0.05), first + (pvalue < 1e-3)
        both += pvalue < 1e-3 and not cell.verdict(seed).passed
    return low, first, both


def main() -> None:
    """Print a line for each cell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1000)
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    total = [0, 0, 0, 0]
    for label, cell in cells():
        begin = time.perf_counter()
        low, first, both = measured(cell, seeds)
        total = [a + b for a, b in zip(total, (seeds, low, first, both), strict=True)]
        print(
            f"{cell.specimen.name}, {label}: {seeds} seeds, p < 0.05: {low}, stage 1 rejects: "
            f"{first}, all stages: {both} ({time.perf_counter() - begin:.0f} s)",
            flush=True,
        )
    print("all: {} seeds, p < 0.05: {}, stage 1 rejects: {}, all stages: {}".format(*total))


if __name__ == "__main__":
    main()
