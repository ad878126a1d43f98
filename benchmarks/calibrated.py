"""How near few steps come to the flow of a network: solvers fitted to it, and others.

``python benchmarks/calibrated.py --data FOLDER`` prints a table, for the network on MNIST of
:mod:`mnist`: root mean square error of pixels against 100 steps, from 64 noises that no fit has
seen.  Each number of evaluations counts the last one, which goes to the data.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from mnist import digits, network
from torch import Tensor

from sdeplug import (
    AnalyticFirst,
    Denoise,
    Integrator,
    Karras,
    Leg,
    LogSNR,
    OnGrid,
    Pipeline,
    Quadratic,
    ReverseSDE,
    SharedNoise,
    solver,
)
from sdeplug.tuning import calibrate, gits

UNSEEN = 777  # seed


def main() -> None:
    """Print the table, a line for each number of evaluations as it is measured."""
    parser = argparse.ArgumentParser(description="few steps of a network, against its flow")
    parser.add_argument("--data", type=Path, required=True, help="folder of the network")
    parser.add_argument("--nfe", type=int, nargs="+", default=[4, 5, 6, 8, 10])
    parser.add_argument("--noises", type=int, default=96, help="noises of the fit")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = network(arguments.data)
    reverse = ReverseSDE(model.sde, model.score, 0.0)
    shape = (64, 1, 28, 28)
    x = model.sde.prior(shape, SharedNoise(UNSEEN))
    right = drawn(reverse, solver("adams", predictor=2), LogSNR(100), x)
    known = AnalyticFirst.of(model.score, model.sde, digits(arguments.data)[0])
    informed = ReverseSDE(model.sde, known, 0.0)
    for nfe in arguments.nfe:
        steps, ipndm = nfe - 1, solver("ipndm", order=2)
        rows = {
            "ddim, Karras": drawn(reverse, solver("ddim"), Karras(steps), x),
            "ddim, GITS": drawn(reverse, solver("ddim"), gits(reverse, steps, shape), x),
            "dpmpp-2m, quadratic": drawn(reverse, solver("dpmpp-2m"), Quadratic(steps), x),
            "ipndm-2, analytic, Karras": drawn(informed, ipndm, Karras(nfe), x),
            "ipndm-2, analytic, quadratic": drawn(informed, ipndm, Quadratic(nfe), x),
        }
        begin = time.process_time()
        fitted = calibrate(reverse, nfe, (arguments.noises, *shape[1:]))
        rows["calibrated"] = Pipeline(reverse, Leg(0.0, fitted)).sample(x=x).x
        errors = ", ".join(f"{name} {error(end, right):.4f}" for name, end in rows.items())
        print(f"{nfe}: {errors}; fit {time.process_time() - begin:.0f} s", flush=True)


def drawn(reverse: ReverseSDE, by: Integrator, grid: object, x: Tensor) -> Tensor:
    """Images from noises: a solver on a grid to eps, then the denoised data."""
    legs = (Leg(reverse.forward.eps, OnGrid(by, grid)), Leg(0.0, Denoise()))
    return Pipeline(reverse, legs).sample(x=x).x


def error(end: Tensor, right: Tensor) -> float:
    """Root of the mean square difference."""
    return float((end - right).square().mean().sqrt())


if __name__ == "__main__":
    main()
