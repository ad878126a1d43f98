"""``auto`` on networks of digits that are trained here, for a short and for longer times.

python benchmarks/trained.py [--data FOLDER] [--out FOLDER]

Two sets of digits: 8 x 8 pixels of scikit-learn, and MNIST where the folder of benchmarks/mnist.py
is given.  One training of each is looked at on the way.  Each sampler has the grid that was best
in a short run from other noise; the budgets count the final denoising; the error is the Frechet
distance of a classifier's features to digits that are held out.  Networks and finished runs are
kept in FOLDER: a run that is broken off goes on from there.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import hypot
from pathlib import Path

import mnist
import torch
from kept import HELD_OUT, Cells, Found
from rivals import OWN, Sampler, auto, bundled, on_grid
from torch import Tensor, nn

from sdeplug import VPSDE, Corrected, FromDenoiser, NonFiniteError, ReverseSDE, sample, solver
from sdeplug.cli.work.demo.features import Features
from sdeplug.cli.work.demo.run import SETTINGS
from sdeplug.cli.work.demo.study import digit_rows
from sdeplug.cli.work.small import divided
from sdeplug.metrics import frechet, moments
from sdeplug.networks import Preconditioned, SmallUNet
from sdeplug.training import EDM, DenoisingLoss, Journal, LogNormalTimes, Moment, Trainer, WarmUp

SDE, BUDGETS, COUNT, PILOT, SEEDS = VPSDE(), (6, 10, 25), 500, 128, range(3)
PAIR = Corrected(solver("song/reverse-diffusion"), solver("song/langevin"))
SAMPLERS = (
    Sampler("auto", "", partial(auto, {}), 1.0, OWN),
    Sampler("Euler-Maruyama", "", on_grid(solver("song/euler-maruyama"), 1), 1.0),
    Sampler("predictor-corrector", "", on_grid(PAIR, 2), 1.0),
    Sampler("DDIM", "", bundled("exponential/ddim", {}, 1)),
    Sampler("Heun", "", bundled("ode/heun", {}, 2)),
    Sampler("DPM++ 2M", "", bundled("exponential/dpmpp-2m", {}, 1)),
    Sampler("UniPC 2", "", bundled("exponential/unipc", {"order": 2}, 1)),
)


@dataclass(frozen=True)
class Digits:
    """What a network learns, and how it is judged.

    Attributes:
        name: a word.
        learned: images in [-1, 1], shape ``(N, 1, H, W)``.
        distance: of samples to digits that are held out.
        width: of the network.
        looks: steps after which it is looked at.
    """

    name: str
    learned: Tensor
    distance: Callable[[Tensor], float]
    width: int
    looks: tuple[int, ...]

    def networks(self, folder: Path) -> Iterator[tuple[int, nn.Module]]:
        """Averages of the weights after so many steps, by the steps; trained where none are."""
        std = float(self.learned.std())
        torch.manual_seed(0)
        network = Preconditioned(SmallUNet(1, self.width), SDE, data_std=std)
        paths = {steps: folder / f"{self.name}-{steps}.pt" for steps in self.looks}

        def look(moment: Moment) -> None:
            if moment.mark.step in paths:
                torch.save(moment.network.state_dict(), paths[moment.mark.step])

        if not all(path.exists() for path in paths.values()):
            Trainer(
                DenoisingLoss(SDE, FromDenoiser, EDM(std), LogNormalTimes(-0.6, 1.5)),
                optimiser=partial(torch.optim.Adam, lr=2e-3),
                ema=(0.99,), batch=64, rate=WarmUp(50),
            ).fit(
                copy.deepcopy(network), self.learned, max(paths),
                journal=Journal(every=min(paths), observers=(look,)),
            )  # fmt: skip
        for steps, path in paths.items():
            network.load_state_dict(torch.load(path, weights_only=True))
            yield steps, network.eval()


def small() -> Digits:
    """Those of scikit-learn, divided and judged as ``sdeplug demo`` does it."""
    data = divided(digit_rows(), SETTINGS)
    judge = Features(data.learned, SETTINGS.seed)
    distance = partial(judge.frechet, y=data.held_out.x)
    return Digits("digits", data.learned.x, distance, 16, (100, 400, 1600))


def large(folder: Path) -> Digits:
    """Those of MNIST."""
    known, others = (2.0 * each for each in mnist.digits(folder))
    features = mnist.features(folder)
    law = moments(features(others / 2.0))

    def distance(x: Tensor) -> float:
        return frechet(features(x / 2.0), law)

    return Digits("mnist", known, distance, 8, (300, 1500))


def run(digits: Digits, network: nn.Module, cells: Cells, rows: tuple[Sampler, ...]) -> None:
    """All samplers at all budgets, from the noise that grids are chosen by, then from others."""
    score, shape = FromDenoiser(network, SDE), digits.learned.shape[1:]

    def once(by: Sampler, grid: str, nfe: int, seed: int) -> None:
        if (by.name, grid, nfe, seed) in cells.found:
            return
        count = PILOT if seed == HELD_OUT else COUNT
        level = ReverseSDE(SDE, score, by.stochasticity)
        try:
            made = sample(level, (count, *shape), by.made(grid, nfe - 1), seed=seed)
            value = digits.distance(made.x) if made.nfe <= nfe else None
        except NonFiniteError:
            value = None
        cells.put((by.name, grid, nfe, seed), {"frechet": value})

    for nfe in BUDGETS:
        for by in rows:
            for grid in by.grids:
                once(by, grid, nfe, HELD_OUT)
            best = cells.grid(by, nfe, "frechet")
            for seed in SEEDS if best else ():
                once(by, best, nfe, seed)


def table(networks: dict[int, Cells]) -> str:
    """A column for each network and budget; last how far ``auto`` is behind the best other."""
    columns = [(cells, steps, nfe) for steps, cells in networks.items() for nfe in BUDGETS]
    heads = (f"{steps}: {nfe}" for _, steps, nfe in columns)
    lines = [f"| steps: evaluations | {' | '.join(heads)} |", "| --- " * (len(columns) + 1) + "|"]
    found = [[cells.error(by, nfe, "frechet") for by in SAMPLERS] for cells, _, nfe in columns]
    for number, by in enumerate(SAMPLERS):
        said = (_said(column[number], column) for column in found)
        lines.append(f"| {by.name} | {' | '.join(said)} |")
    return "\n".join([*lines, f"| behind | {' | '.join(map(_behind, found))} |"])


def _said(found: Found | None, column: list[Found | None]) -> str:
    if found is None:
        return ""
    least = min(each.mean for each in column if each)
    said = f"{found.mean:.3g} ± {found.doubt:.1g}"
    said = f"**{said}**" if found.mean == least else said
    return said if found.grid in OWN else f"{said} {found.grid}"


def _behind(column: list[Found | None]) -> str:
    mine, *others = [each for each in column if each]
    best = min(others, key=lambda each: each.mean)
    return f"{mine.mean - best.mean:+.2g} ± {hypot(mine.doubt, best.doubt):.1g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="that of benchmarks/mnist.py")
    parser.add_argument("--out", type=Path, default=Path("trained"), metavar="FOLDER")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    for digits in (small(), *((large(options.data),) if options.data else ())):
        networks = {}
        for steps, network in digits.networks(options.out):
            networks[steps] = Cells(options.out / f"{digits.name}-{steps}.jsonl")
            run(digits, network, networks[steps], SAMPLERS)
        print(f"{digits.name}, of whose own kind {COUNT} are at "
              f"{digits.distance(digits.learned[:COUNT]):.3g}\n\n{table(networks)}\n")  # fmt: skip


if __name__ == "__main__":
    main()
