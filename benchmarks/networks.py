"""Where every sampler stands on a network: ours and those of other libraries.

python benchmarks/networks.py --data FOLDER [--out FOLDER] [--only WORD ...] [--quick]
                              [--device NAME] [--share K/N]

The folder is that of benchmarks/mnist.py.  Every run spends exactly its budget or less, the final
denoising counted.  Two errors: the distance to the converged flow from the same noise, where
nothing is drawn on the way, and the Frechet distance of a classifier's features to digits that the
network has not seen.  The grid of each sampler is the one that was best in a short run from other
noise, for each error by itself.  What is finished is kept in FOLDER/cells.jsonl: a run that is
broken off goes on from there.  Processes with different shares of the samplers may run side by
side, on one GPU as well.  benchmarks/networks_page.py makes the page of them.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path

import mnist
import torch
from kept import HELD_OUT, Cells, Errors
from networks_page import tables
from rivals import Sampler, groups, ours, theirs
from torch import Tensor

from sdeplug import (
    Chunked,
    Karras,
    NonFiniteError,
    OnGrid,
    ReverseSDE,
    SharedNoise,
    sample,
    solver,
)
from sdeplug.metrics import FeatureFrechet, frechet, moments

BUDGETS = (6, 10, 25, 5, 8, 16, 4, 50)
"""The ones that say most first."""

FLOW, PILOT = 64, 128
"""Rows of an error to the flow; rows of a pilot run."""

SHAPE, CHUNK = (1, 28, 28), 50


@dataclass
class Bench:
    """The network, the digits, and the runs.

    Attributes:
        data: the folder of benchmarks/mnist.py.
        cells: finished runs.
        device: where they run.
        count: samples of a run that a distance is measured from.
    """

    data: Path
    cells: Cells
    device: str = "cpu"
    count: int = 500

    def __post_init__(self) -> None:
        model = mnist.network(self.data, self.device)
        self.sde, self.score = model.sde, model.score
        if self.device == "cpu":  # few rows at once stay in the cache
            self.score = Chunked(self.score, CHUNK)
        features = mnist.features(self.data, self.device)
        self.features = FeatureFrechet(features, "digit classifier")
        self.digits = mnist.digits(self.data)[0].to(self.device)

    @cached_property
    def law(self) -> tuple[Tensor, Tensor]:
        """Moments of the features of digits that the network has not seen."""
        return moments(self.features.of(self.digits))

    @cached_property
    def analytic(self) -> object:
        """The score whose first evaluation is that of a Gaussian with the moments of the data."""
        from sdeplug import AnalyticFirst

        mean, std = self.digits.mean(0), float(self.digits.std())
        return AnalyticFirst(self.score, self.sde, mean, std)

    def start(self, seed: int) -> Tensor:
        """The same noise for every sampler, on every device."""
        return self.sde.prior((self.count, *SHAPE), SharedNoise(seed)).to(self.device)

    def ends(self, by: Sampler, grid: str, nfe: int, seed: int, rows: int) -> Tensor | None:
        """Samples; None where they are not finite, or the budget has no step for it."""
        reverse = ReverseSDE(
            self.sde, self.analytic if by.analytic else self.score, by.stochasticity
        )
        # One evaluation is the final denoising; one more where the first one is free.
        leg = nfe - 1 + by.analytic
        try:
            made = by.made(grid, leg)
        except ValueError:
            return None
        try:
            out = sample(reverse, by=made, x=self.start(seed)[:rows], noise=SharedNoise(seed + 7))
        except NonFiniteError:
            return None
        if out.nfe > nfe:
            raise RuntimeError(f"{by.name}, {grid}: {out.nfe} evaluations, {nfe} are the budget")
        return out.x

    def flow(self, seed: int) -> Tensor:
        """The converged probability flow from the first rows of the noise, kept in a file."""
        return self._converged(seed, 640)

    def _converged(self, seed: int, steps: int) -> Tensor:
        path = self.cells.path.with_name(f"flow-{seed}-{steps}.pt")
        if not path.exists():
            by = OnGrid(solver("exponential/adams", predictor=4, corrector=4), Karras(steps))
            x = self.start(seed)[:FLOW]
            ends = sample(ReverseSDE(self.sde, self.score, 0.0), by=by, x=x).x.cpu()
            part = path.with_suffix(f".{os.getpid()}")  # another process may be at it too
            torch.save(ends, part)
            part.replace(path)
        return torch.load(path, weights_only=True)

    def run(self, by: Sampler, grid: str, nfe: int, seed: int) -> Errors:
        """Both errors; None for one that there is not."""
        key = (by.name, grid, nfe, seed)
        if key not in self.cells.found:
            rows = PILOT if seed == HELD_OUT else self.count
            x = self.ends(by, grid, nfe, seed, rows)
            values: Errors = {"rmse": None, "frechet": None}
            if x is not None:
                values["frechet"] = frechet(self.features.of(x), self.law)
                if by.stochasticity == 0.0:
                    values["rmse"] = rmse(x[:FLOW].cpu(), self.flow(seed))
            self.cells.put(key, values)
        return self.cells.found[key]

    def pilots(self, by: Sampler, nfe: int) -> None:
        """Short runs on all grids, from noise that no table is made of."""
        for grid in by.grids:
            self.run(by, grid, nfe, HELD_OUT)


def rmse(x: Tensor, y: Tensor) -> float:
    return float((x - y).square().mean().sqrt())


def work(bench: Bench, samplers: list[Sampler], quick: bool) -> Iterator[None]:
    """All runs, first seeds before further ones; the table may be looked at after each."""
    for rounds, group, nfe in product((1, 3), groups(samplers), BUDGETS):
        for by in group:
            bench.pilots(by, nfe)
            for error in ("frechet", "rmse"):
                grid = bench.cells.grid(by, nfe, error)
                for seed in range(1 if quick else rounds) if grid else ():
                    bench.run(by, grid, nfe, seed)
            yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=Path("networks"), metavar="FOLDER")
    parser.add_argument("--only", nargs="*", default=[], metavar="WORD", help="in a sampler's name")
    parser.add_argument("--quick", action="store_true", help="one seed")
    parser.add_argument("--device", default="cpu", metavar="NAME", help="cuda, or cpu")
    parser.add_argument("--share", default="0/1", metavar="K/N", help="each N-th sampler from K on")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = False  # as on the CPU
    samplers = [
        by for by in (*theirs(), *ours())
        if not options.only or any(word in f"{by.library}: {by.name}" for word in options.only)
    ]  # fmt: skip
    first, every = map(int, options.share.split("/"))
    samplers = samplers[first::every]
    bench = Bench(options.data, Cells(options.out / "cells.jsonl"), options.device)
    for _ in work(bench, samplers, options.quick):
        (options.out / "networks.md").write_text(tables(bench.cells, samplers))


if __name__ == "__main__":
    main()
