"""``auto`` on networks of two qualities, trained here on eight Gaussians in the plane.

python benchmarks/qualities.py prints a table in half a minute of one core: the size of the data
that ``auto`` finds, and energy distances of 1,000 samples to held-out data with 10 evaluations,
that of the final denoising among them.
"""

from __future__ import annotations

import torch
from rich import print as show
from rich.table import Table
from torch import Tensor

from sdeplug import (
    VPSDE,
    FromNoise,
    Integrator,
    Karras,
    Labelled,
    LogSNR,
    LogSNRLabel,
    OnGrid,
    Quadratic,
    ReverseSDE,
    SharedNoise,
    Uniform,
    sample,
    solver,
    targets,
)
from sdeplug.metrics import energy_distance
from sdeplug.networks import ResidualMLP
from sdeplug.training import DenoisingLoss, Trainer
from sdeplug_exponential import Auto

NFE, ROWS, TRAINED, SDE = 10, 1000, (300, 2500), VPSDE()
GRIDS = (LogSNR, Karras, Uniform, Quadratic)


def trained(data: Tensor, steps: int) -> ReverseSDE:
    """A network after so many steps."""
    torch.manual_seed(0)
    module = ResidualMLP(features=data.shape[1], width=192)
    trainer = Trainer(DenoisingLoss(SDE), ema=(0.995,))
    network = trainer.fit(Labelled(module, SDE, LogSNRLabel()), data, steps=steps).average
    return ReverseSDE(SDE, FromNoise(network, SDE))


def main() -> None:
    """Train, sample, print."""
    torch.set_num_threads(1)
    ring = targets.eight_gaussians().sample(6000, noise=SharedNoise(0)).float()
    data, others = ring[:4000], ring[4000:]
    std = float(data.std())
    columns = ("auto", f"data_std={std:.3f}", "score_error=0.05", "DPM-Solver++ 2M, best grid")
    table = Table("training steps", "size found", *columns)
    for steps in TRAINED:
        reverse = trained(data, steps)

        def far(by: Integrator, reverse: ReverseSDE = reverse) -> float:
            return energy_distance(sample(reverse, (ROWS, 2), by, seed=1).x, others)

        found = Auto(NFE - 1).choice(reverse, torch.zeros(ROWS, 2)).scale.std
        own = (Auto(NFE - 1), Auto(NFE - 1, data_std=std), Auto(NFE - 1, score_error=0.05))
        theirs = solver("exponential/dpmpp-2m")
        best = min(far(OnGrid(theirs, grid(NFE - 1))) for grid in GRIDS)
        numbers = (found, *map(far, own), best)
        table.add_row(str(steps), *(f"{each:.2g}" for each in numbers))
    show(table)


if __name__ == "__main__":
    main()
