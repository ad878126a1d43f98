"""What a gradient through a sampler costs: by autograd, with checkpoints, by the adjoint.

python benchmarks/gradients.py [--quick] [--json FILE]

A small U-Net under VP, one thread, CPU.  Memory is the most that tensors held at one time, there
and back, beyond what was there before; time is that of the processor, over a run without gradients.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from lines import Line, reported
from live import Live
from torch import Tensor, nn

import sdeplug as sp
from sdeplug import VPSDE, Checkpointed, FromNoise, Labelled, LogSNRLabel, ReverseSDE, solver
from sdeplug.networks import SmallUNet

SDE, STEPS, END = VPSDE(), 20, 1e-3
MEBIBYTE = 2**20


@dataclass(frozen=True)
class Way:
    """A way to a gradient: a solver, and what stands around the score."""

    name: str
    by: sp.Integrator
    wrap: Callable[[sp.ScoreModel], sp.ScoreModel] = lambda model: model


def ways(steps: int) -> Iterator[tuple[Way, ...]]:
    """The ways that are compared with one another, the plain one first."""
    grid = sp.LogSNR(steps)
    for name in ("song/euler-maruyama", "ode/heun"):
        by = sp.OnGrid(solver(name), grid)
        yield Way(f"{name}, autograd", by), Way(f"{name}, Checkpointed", by, Checkpointed)
    flow = [solver("torchdiffeq/fixed-midpoint", adjoint=adjoint) for adjoint in (False, True)]
    yield (
        Way("torchdiffeq/fixed-midpoint, autograd", sp.OnGrid(flow[0], grid)),
        Way("torchdiffeq/fixed-midpoint, Checkpointed", sp.OnGrid(flow[0], grid), Checkpointed),
        Way("torchdiffeq/fixed-midpoint, adjoint", sp.OnGrid(flow[1], grid)),
    )
    noisy = [solver("torchsde/sde-heun", adjoint=adjoint) for adjoint in (False, True)]
    yield (
        Way("torchsde/sde-heun, autograd", sp.OnGrid(noisy[0], grid)),
        Way("torchsde/sde-heun, Checkpointed", sp.OnGrid(noisy[0], grid), Checkpointed),
        Way("torchsde/sde-heun, adjoint", sp.OnGrid(noisy[1], grid)),
    )


def measured(way: Way, network: nn.Module, x: Tensor) -> tuple[Tensor, float, float, float]:
    """The gradient by x and the parameters, memory, seconds, and those of a run without."""
    reverse = ReverseSDE(SDE, way.wrap(FromNoise(network, SDE)))
    pipeline = sp.Pipeline(reverse, sp.Leg(END, way.by))
    leaves = (x, *network.parameters())

    def gradient() -> Tensor:
        out = pipeline.sample(x=x, grad=True).x
        found = torch.autograd.grad(out.square().sum(), leaves)
        return torch.cat([each.flatten() for each in found])

    with Live() as live:
        gradient()
    took, without = [], []
    for _ in range(3):
        start = time.process_time()
        found = gradient()
        middle = time.process_time()
        pipeline.sample(x=x)
        took.append(middle - start)
        without.append(time.process_time() - middle)
    return found, live.most, min(took), min(without)


def lines(quick: bool) -> Iterator[Line]:
    torch.manual_seed(0)
    unet = SmallUNet(width=16)
    nn.init.normal_(unet.last.weight, std=0.02)
    network = Labelled(unet, SDE, LogSNRLabel())
    x = torch.randn(1 if quick else 4, 1, 28, 28, requires_grad=True)
    for each in ways(STEPS):
        first: tuple[Tensor, float] | None = None
        for way in each:
            found, memory, took, without = measured(way, network, x)
            first = first or (found, memory)
            off = float((found - first[0]).norm() / first[0].norm())
            lean = "Checkpointed" in way.name
            yield Line(f"{way.name}: memory", memory / MEBIBYTE, "MiB")
            if way is not each[0]:
                share = memory / first[1]
                yield Line(f"{way.name}: memory", share, "x autograd", 0.1 if lean else None)
                yield Line(f"{way.name}: gradient off by", off, "", 1e-5 if lean else None)
            yield Line(f"{way.name}: time", took / without, "x a run without")


if __name__ == "__main__":
    sys.exit(reported("Gradients through a sampler", __doc__, lines))
