"""What the library costs: against a bare loop, at import, and in memory. One thread, CPU.

python benchmarks/overhead.py [--quick] [--json FILE]
"""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

import torch
from lines import Line, reported
from torch import Tensor

from sdeplug import VPSDE, Leg, OnGrid, Pipeline, ReverseSDE, Run, SharedNoise, Uniform, solver

T, EPS = 1.0, 1e-3
HEAVY = ("torchdiffeq", "torchsde", "scipy", "matplotlib", "diffusers")

Loop = Callable[[Tensor], Tensor]


def score(x: Tensor, t: Tensor) -> Tensor:
    return -x


def bare(steps: int) -> Loop:
    """Euler-Maruyama as one writes it by hand, with the times of the grid."""
    sde = VPSDE()
    times = Uniform(steps).times(T, EPS, sde)

    @torch.no_grad()
    def loop(x: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        for t, s in pairwise(times):
            beta, h = sde.beta_min + t * (sde.beta_max - sde.beta_min), t - s
            drift = -0.5 * beta * x - beta * score(x, torch.full((len(x),), t))
            x = x - h * drift + math.sqrt(beta * h) * torch.randn(x.shape, generator=generator)
        return x

    return loop


def ours(steps: int) -> Mapping[str, Loop]:
    """The same through the library: with a used SDE, a fresh one, and a pipeline."""
    by, used = OnGrid(solver("song/euler-maruyama"), Uniform(steps)), VPSDE()

    @torch.no_grad()
    def integrated(x: Tensor, sde: VPSDE = used) -> Tensor:
        return by.integrate(ReverseSDE(sde, score), x, T, EPS, Run(SharedNoise(0)))

    def through_pipeline(x: Tensor) -> Tensor:
        pipeline = Pipeline(ReverseSDE(used, score), Leg(EPS, by))
        return pipeline.sample(x=x, noise=SharedNoise(0)).x

    return {
        "OnGrid": integrated,
        "OnGrid, fresh SDE": lambda x: integrated(x, VPSDE()),
        "Pipeline": through_pipeline,
    }


def loops(quick: bool) -> Iterator[Line]:
    """Time over that of the bare loop: the median over pairs of neighbouring runs."""
    steps, repetitions = (200, 11) if quick else (1000, 31)
    for shape, limit in (((16, 3, 32, 32), 1.05), ((64, 2), 1.5)):
        x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
        hand, contenders = bare(steps), ours(steps)
        for name, loop in contenders.items():
            # To rounding: the drift is added in one pass over the batch, by hand in two.
            torch.testing.assert_close(loop(x), hand(x), rtol=1e-5, atol=1e-5, msg=name)
        ratios: dict[str, list[float]] = {name: [] for name in contenders}
        base = []
        for _ in range(repetitions):
            for name, loop in contenders.items():
                base.append(seconds(hand, x))
                ratios[name].append(seconds(loop, x) / base[-1])
        yield Line(f"bare loop, {shape}", 1e6 * statistics.median(base) / steps, "us/step")
        for name, values in ratios.items():
            demanded = None if name == "OnGrid, fresh SDE" else limit
            yield Line(f"{name}, {shape}", statistics.median(values), "x bare", demanded)


def seconds(loop: Loop, x: Tensor) -> float:
    """Processor time, which on a machine with other work is steadier than wall time."""
    start = time.process_time()
    loop(x)
    return time.process_time() - start


def imports(quick: bool) -> Iterator[Line]:
    """`import sdeplug` over `import torch`, and what listing the solvers drags in."""
    programs = ("import torch", "import sdeplug")
    extra = []
    for program in programs:
        child(program)  # compiled and in the cache of the file system
    for repetition in range(4 if quick else 12):
        # Alternating order, so that what comes first has no advantage.
        order = programs if repetition % 2 else programs[::-1]
        took = {program: timed_child(program) for program in order}
        extra.append(took[programs[1]] - took[programs[0]])
    yield Line("import sdeplug over import torch", statistics.median(extra), "s", 0.15)
    listing = (
        "import sys, sdeplug.registry as r; assert r.registry().solvers(); "
        f"print(*(name for name in {HEAVY} if name in sys.modules))"
    )
    dragged = child(listing).split()
    yield Line(f"heavy imports by listing solvers {dragged or ''}".strip(), len(dragged), "", 0.0)


def timed_child(program: str) -> float:
    """Processor time of a program in a process of its own."""
    before = os.times()
    child(program)
    after = os.times()
    return sum(after[2:4]) - sum(before[2:4])


def child(program: str) -> str:
    """Run a Python program of one thread; what it prints."""
    command = [sys.executable, "-c", program]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment
    ).stdout


MEMORY = """
import resource, torch
from sdeplug import VPSDE, Leg, OnGrid, Pipeline, ReverseSDE, Uniform, solver
by = OnGrid(solver("song/euler-maruyama"), Uniform({steps}))
pipeline = Pipeline(ReverseSDE(VPSDE(), lambda x, t: -x), (Leg(1e-3, by),))
pipeline.sample({shape})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def memory(quick: bool) -> Iterator[Line]:
    """Peak of a long run over that of a short one, each in a process of its own."""
    for shape in ((16, 3, 32, 32), (64, 3, 64, 64)):
        peaks = {
            steps: statistics.median(
                float(child(MEMORY.format(steps=steps, shape=shape)))
                for _ in range(1 if quick else 3)
            )
            for steps in (10, 1000)
        }
        what = f"peak memory, 1000 over 10 steps, {shape}"
        yield Line(what, peaks[1000] / peaks[10], "x", 1.10)


if __name__ == "__main__":
    sys.exit(reported("Overhead of sdeplug", __doc__, loops, imports, memory))
