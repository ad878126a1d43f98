"""Draw the picture of digits that were asked for, in docs/guides/condition.md: a network of MNIST.

python benchmarks/asking.py --data FOLDER [--out FILE]

The folder is that of benchmarks/mnist.py.  Measured of real digits are the upper half, and means
over squares of 4 x 4 pixels.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import mnist
import torch
from torch import Tensor

from sdeplug import (
    AnalyticFirst,
    Corrected,
    Denoise,
    Leg,
    LogSNR,
    OnGrid,
    Pipeline,
    ReverseSDE,
    solver,
)
from sdeplug.conditioning import (
    DDRM,
    Downsample,
    Mask,
    Measurement,
    Operator,
    PiGDM,
    Replacement,
    TimeTravel,
)
from sdeplug.networks import Model
from sdeplug.pictures import INK, blank_figure, image_sheet
from sdeplug.solvers import Integrator

COUNT, STEPS, NOISE = 10, 50, 0.05
"""Digits of a line; steps; standard deviation of the noise that DDRM and PiGDM take y to have."""

Way = Callable[[Model, Measurement], tuple[ReverseSDE, Integrator]]


def _replaced(model: Model, known: Measurement) -> tuple[ReverseSDE, Integrator]:
    step = Corrected(solver("song/ancestral"), Replacement(known))
    return ReverseSDE(model.sde, model.score), step


def _travelled(model: Model, known: Measurement) -> tuple[ReverseSDE, Integrator]:
    reverse, step = _replaced(model, known)
    return reverse, Corrected(step, TimeTravel(step, rise=1.0), sweeps=4)


def _decoupled(model: Model, known: Measurement) -> tuple[ReverseSDE, Integrator]:
    return ReverseSDE(model.sde, model.score), DDRM(known)


def _guided(model: Model, known: Measurement) -> tuple[ReverseSDE, Integrator]:
    # Where the data cannot be seen, what the network says of them is worse than a Gaussian.
    far = AnalyticFirst(model.score, model.sde, mnist.MEAN, mnist.SPREAD, above=2.0)
    score = PiGDM(far, known, data_std=mnist.SPREAD)
    return ReverseSDE(model.sde, score), solver("song/ancestral")


WAYS: dict[str, Way] = {
    "Replacement": _replaced, "and TimeTravel": _travelled, "DDRM": _decoupled, "PiGDM": _guided,
}  # fmt: skip


def drawn(model: Model, way: Way, operator: Operator, images: Tensor) -> Tensor:
    """What a way makes of what is measured of images, in [-1/2, 1/2]."""
    noise = 0.0 if way in (_replaced, _travelled) else NOISE
    known = Measurement(operator, operator.forward(images), noise)
    reverse, by = way(model, known)
    legs = (Leg(model.sde.eps, OnGrid(by, LogSNR(STEPS))), Leg(0.0, Denoise()))
    return Pipeline(reverse, legs).sample(images.shape, seed=0).x


def lines(folder: Path) -> dict[str, dict[str, Tensor]]:
    """Images in [-1/2, 1/2], by what was measured and by label."""
    model, images = mnist.network(folder), mnist.digits(folder)[1][:COUNT]
    top = torch.arange(784).reshape(1, 28, 28) < 392
    small = Downsample(4)
    shown = {
        "upper half": (Mask(top), torch.where(top, images, 0.0)),
        "means of 4 x 4 pixels": (small, 16.0 * small.adjoint(small.forward(images))),
    }
    found = {}
    for measured, (operator, seen) in shown.items():
        samples = {label: drawn(model, way, operator, images) for label, way in WAYS.items()}
        found[measured] = {"digit": images, "known": seen, **samples}
        for label, x in samples.items():
            misfit = float((operator.forward(x) - operator.forward(images)).square().mean().sqrt())
            print(f"{measured}, {label}: off by {misfit:.3f} where known", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=Path("asked.png"), metavar="FILE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = lines(options.data)
    figure = blank_figure(9.0, 3.0)
    blocks = figure.subplots(len(WAYS) + 2, len(found))
    for number, (column, (measured, rows)) in enumerate(zip(blocks.T, found.items(), strict=True)):
        column[0].set_title(measured, fontsize=10, color=INK)
        for panel, (label, x) in zip(column, rows.items(), strict=True):
            image_sheet(panel, 2.0 * x, COUNT)
            if number == 0:
                panel.text(-8, 14, label, ha="right", va="center", fontsize=9, color=INK)
    figure.subplots_adjust(wspace=0.04, hspace=0.06)
    mnist.save_grey(figure, options.out, 110)


if __name__ == "__main__":
    main()
