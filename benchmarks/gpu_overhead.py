"""What the library costs on a GPU: our loop over a bare one, with a U-Net of the paper's kind.

python benchmarks/gpu_overhead.py [--quick] [--json FILE]

A DDPM++ of some 30 million parameters at (64, 3, 32, 32), under VP with its continuous labels.
Wall time in pairs of neighbouring runs from the same start with the same random numbers, whose
results must agree; and what waits for the device on the way, as the profiler sees it.
"""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import pairwise

import torch
from lines import Line, reported
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from sdeplug import (
    VPSDE,
    FromNoise,
    Labelled,
    Leg,
    LogSNR,
    OnGrid,
    Pipeline,
    ReverseSDE,
    SharedNoise,
    TimeLabel,
    solver,
)
from sdeplug.networks.paper import DDPMPP, ddpmpp

DEVICE = os.environ.get("SDEPLUG_BENCHMARK_DEVICE", "cuda")
SHAPE = (64, 3, 32, 32) if DEVICE == "cuda" else (2, 3, 32, 32)
LIMIT = 1.01
WAITING = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")
PRECISIONS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "float32": nullcontext,
    "bfloat16": lambda: torch.autocast(DEVICE, torch.bfloat16),
}

Loop = Callable[[int], Tensor]
"""Steps to samples."""


class Loops:
    """The same samplers twice: through the library and by hand."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        network = ddpmpp(replace(DDPMPP, blocks=1)).to(DEVICE).eval().requires_grad_(False)
        self.network: nn.Module = network
        self.sde = VPSDE()
        score = FromNoise(Labelled(network, self.sde, TimeLabel(999)), self.sde)
        self.noisy = ReverseSDE(self.sde, score)
        self.flow = ReverseSDE(self.sde, score, 0.0)
        self.x = torch.randn(SHAPE, device=DEVICE)

    @property
    def size(self) -> float:
        """Millions of parameters."""
        return sum(each.numel() for each in self.network.parameters()) / 1e6

    def pairs(self) -> dict[str, tuple[Loop, Loop]]:
        """Ours and the bare one, by solver."""
        return {
            "song/euler-maruyama": (self._ours("song/euler-maruyama", self.noisy), self.maruyama),
            "exponential/ddim": (self._ours("exponential/ddim", self.flow), self.ddim),
        }

    def _ours(self, name: str, reverse: ReverseSDE) -> Loop:
        def run(steps: int) -> Tensor:
            by = OnGrid(solver(name), LogSNR(steps))
            leg = Leg(self.sde.eps, by)
            return Pipeline(reverse, leg).sample(x=self.x, noise=SharedNoise(1)).x

        return run

    def _noise(self, x: Tensor, t: float) -> Tensor:
        label = torch.full((len(x),), 999.0 * t, device=DEVICE)
        output: Tensor = self.network(x, label)
        return output.float()

    def _times(self, steps: int) -> list[tuple[float, float]]:
        return list(pairwise(LogSNR(steps).times(self.sde.T, self.sde.eps, self.sde)))

    @torch.no_grad()
    def maruyama(self, steps: int) -> Tensor:
        """Euler-Maruyama as one writes it by hand."""
        x, generator = self.x, torch.Generator(DEVICE).manual_seed(1)
        for t, s in self._times(steps):
            beta, h, sigma = self.sde.diffusion_at(t) ** 2, t - s, self.sde.at(t).sigma
            score = self._noise(x, t) * (-1.0 / sigma)
            drift = -0.5 * beta * x - beta * score
            z = torch.randn(SHAPE, generator=generator, device=DEVICE)
            x = x - h * drift + math.sqrt(beta * h) * z
        return x

    @torch.no_grad()
    def ddim(self, steps: int) -> Tensor:
        """DDIM as one writes it by hand."""
        x = self.x
        for t, s in self._times(steps):
            a, b = self.sde.at(t), self.sde.at(s)
            ratio = b.alpha / a.alpha
            x = ratio * x + (b.sigma - ratio * a.sigma) * self._noise(x, t)
        return x


def seconds(loop: Loop, steps: int) -> float:
    """Wall time of a run, to the end of its work."""
    wait()
    start = time.perf_counter()
    loop(steps)
    wait()
    return time.perf_counter() - start


def wait() -> None:
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def times(quick: bool) -> Iterator[Line]:
    """The median of ratios of neighbouring runs."""
    loops, steps, repeats = Loops(), *((5, 3) if quick else (50, 9))
    yield Line("the network", loops.size, "million parameters")
    for precision, context in PRECISIONS.items():
        with context():
            for name, (ours, bare) in loops.pairs().items():
                one, other = ours(steps), bare(steps)
                off = float((one - other).norm() / other.norm())
                yield Line(f"{name}, {precision}: apart", off, "of the norm", 0.02)
                pair = [(seconds(ours, steps), seconds(bare, steps)) for _ in range(repeats)]
                each = 1e3 * statistics.median(theirs for _, theirs in pair) / steps
                yield Line(f"{name}, {precision}: bare loop", each, "ms/step")
                ratio = statistics.median(mine / theirs for mine, theirs in pair)
                limit = LIMIT if precision == "float32" else None
                yield Line(f"{name}, {precision}: ours", ratio, "x bare", limit)


def waiting(quick: bool) -> Iterator[Line]:
    """Calls that wait for the device: in twice the steps there are no more of them."""
    if DEVICE != "cuda":
        return
    loops, steps = Loops(), 30
    for name, (ours, _) in loops.pairs().items():
        ours(steps)  # what is copied once
        few, many = (calls(ours, each) for each in (steps, 2 * steps))
        yield Line(f"{name}: calls that wait, in {steps} more steps", many - few, "", 0.0)
        yield Line(f"{name}: calls that wait, in a run of {steps} steps", few, "")


def calls(loop: Loop, steps: int) -> int:
    """How often the host waits for the device in a run."""
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        loop(steps)
    return sum(each.count for each in seen.key_averages() if each.key in WAITING)


if __name__ == "__main__":
    raise SystemExit(reported("On a GPU", __doc__ or "", times, waiting))
