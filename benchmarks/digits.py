"""Draw the picture of docs/guides/network.md: one network, six samplers, the same noise.

python benchmarks/digits.py --data FOLDER [--out FILE]

The folder is that of benchmarks/mnist.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import mnist
import torch
from torch import Tensor

from sdeplug import Integrator, LogSNR, OnGrid, ReverseSDE, SharedNoise, Uniform, sample, solver
from sdeplug.pictures import INK, blank_figure, image_sheet

COUNT, BUDGETS = 10, (10, 33)
"""Digits of a line, which all start from the same noise; evaluations, the denoising counted."""

Choice = tuple[str, Integrator, float]


def choices(nfe: int) -> list[Choice]:
    """Label, integrator and stochasticity; the first is the default."""
    leg = nfe - 1
    return [
        ("default", solver("auto", nfe=leg), 1.0),
        ("DDIM", OnGrid(solver("ddim"), Uniform(leg)), 0.0),
        ("DDPM", OnGrid(solver("ancestral"), Uniform(leg)), 1.0),
        ("Euler-Maruyama", OnGrid(solver("euler-maruyama"), Uniform(leg)), 1.0),
        ("Heun", OnGrid(solver("heun"), LogSNR(leg // 2)), 0.0),
        ("UniPC 3", OnGrid(solver("unipc", order=3), LogSNR(leg)), 0.0),
    ]


def drawn(folder: Path, nfe: int) -> dict[str, Tensor]:
    """Images in [-1, 1] by label."""
    model = mnist.network(folder)
    noise = model.sde.prior((COUNT, 1, 28, 28), SharedNoise(0))
    return {
        label: 2.0 * sample(ReverseSDE(model.sde, model.score, level), by=by, x=noise, seed=1).x
        for label, by, level in choices(nfe)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=Path("network.png"), metavar="FILE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    figure = blank_figure(9.0, 3.6)
    blocks = figure.subplots(len(choices(BUDGETS[0])), len(BUDGETS))
    for number, (column, nfe) in enumerate(zip(blocks.T, BUDGETS, strict=True)):
        column[0].set_title(f"{nfe} evaluations", fontsize=10, color=INK)
        for panel, (label, x) in zip(column, drawn(options.data, nfe).items(), strict=True):
            image_sheet(panel, x, COUNT)
            if number == 0:
                panel.text(-8, 14, label, ha="right", va="center", fontsize=9, color=INK)
    figure.subplots_adjust(wspace=0.04, hspace=0.06)
    mnist.save_grey(figure, options.out, 110)


if __name__ == "__main__":
    main()
