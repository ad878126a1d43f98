"""What is told of networks that are read wrongly, and of right ones.

python benchmarks/misread.py [--data FOLDER] [--steps N ...]

Networks are trained here on digits of 8 x 8 pixels, each for some numbers of steps; with the folder
of benchmarks/mnist.py that of a third party comes first.  Each is told the time as in its training,
and t, sigma or log sigma / 4 instead.  A line for each: by how much the loss of that reading is
larger than of the one that compare and tune name, and how much of the noise the first answer in a
run of sample misses.  "-" is where nothing is told; "worse" is worse than mean and spread of the
data, as hardly trained ones are.
"""

from __future__ import annotations

import argparse
import re
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import mnist
import torch
from torch import Tensor, nn

from sdeplug import (
    VESDE,
    VPSDE,
    FromNoise,
    FromVelocity,
    Labelled,
    LevelLabel,
    LogSigmaLabel,
    LogSNRLabel,
    NonFiniteError,
    ReverseSDE,
    SigmaLabel,
    TabulatedSDE,
    TimeLabel,
    sample,
    solver,
    targets,
)
from sdeplug.compare.fit import warn_unless_fitting
from sdeplug.networks import SmallUNet
from sdeplug.score import Label, Parametrisation
from sdeplug.sde import LinearSDE
from sdeplug.training import DenoisingLoss, Trainer

OF_LOSS = (r"is ([\d.e+]+) times that of .*labels=(.*)\)\. Read", r"([\d.e+]+ times worse)")
OF_RUN = r"off by (\d+%)"
WRONG: tuple[Label, ...] = (TimeLabel(), SigmaLabel(), LogSigmaLabel(0.25))
TABLE = TabulatedSDE(betas=torch.linspace(1e-4, 0.02, 1000).tolist())


class Told(nn.Module):
    """A network of (x, label), which sees labels in units of its own."""

    def __init__(self, unit: float) -> None:
        super().__init__()
        self.network, self.unit = SmallUNet(1, 16), unit

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        output: Tensor = self.network(x, label / self.unit)
        return output


class Kind(NamedTuple):
    """How a network is trained.

    Attributes:
        sde: its schedule.
        label: what it is told.
        unit: of the label.
        predicts: what it predicts.
    """

    sde: LinearSDE
    label: Label
    unit: float
    predicts: type[Parametrisation] = FromNoise


KINDS = {
    "VP, 999 t": Kind(VPSDE(), TimeLabel(999), 50.0),
    "table, level": Kind(TABLE, LevelLabel(), 50.0),
    "VP, log-SNR, v": Kind(VPSDE(), LogSNRLabel(), 1.0, FromVelocity),
    "VE, log sigma / 4": Kind(VESDE(sigma_max=20.0), LogSigmaLabel(0.25), 0.2),
}


def trained(kind: Kind, data: Tensor, steps: int) -> nn.Module:
    """A network of (x, label) after so many steps."""
    torch.manual_seed(0)
    network = Labelled(Told(kind.unit), kind.sde, kind.label)
    trainer = Trainer(DenoisingLoss(kind.sde, kind.predicts), ema=(0.99,))
    average = trainer.fit(network, data, steps=steps).average
    found: nn.Module = average.network
    return found


def lines(name: str, kind: Kind, network: nn.Module, data: Tensor) -> Iterator[str]:
    """What is told of each reading."""
    for label in (kind.label, *(each for each in WRONG if each != kind.label)):
        read = kind.predicts(Labelled(network, kind.sde, label), kind.sde)
        reverse = ReverseSDE(kind.sde, read)
        loss = told(partial(warn_unless_fitting, reverse, data), *OF_LOSS)
        run = told(partial(sample, reverse, data[:32].shape, solver("auto", nfe=6)), OF_RUN)
        said = "right" if label == kind.label else repr(label)
        yield f"{name:28} {said:26} {loss:34} {run}"


def told(run: Callable[[], object], *patterns: str) -> str:
    """What a warning says, by the first pattern that it has; "-" where there is none."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            run()
        except NonFiniteError:
            return "not finite"
    for pattern, each in product(patterns, heard):
        if found := re.search(pattern, str(each.message)):
            return " ".join(found.groups())
    return "-"


def show(found: Iterator[str]) -> None:
    for line in found:
        print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, metavar="FOLDER")
    parser.add_argument("--steps", type=int, nargs="*", default=[100, 400, 1500], metavar="N")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.data:
        model, digits = mnist.network(options.data), mnist.digits(options.data)[1]
        kind = Kind(model.sde, LevelLabel(), 1.0)
        print(
            *lines("third party", kind, model.score.network.network, digits), sep="\n", flush=True
        )
    images = 2.0 * targets.digits().means.float()
    for name, kind in KINDS.items():
        for steps in options.steps:
            network = trained(kind, images[:1500], steps)
            print(
                *lines(f"{name}, {steps} steps", kind, network, images[1500:]), sep="\n", flush=True
            )


if __name__ == "__main__":
    main()
