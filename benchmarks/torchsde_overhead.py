"""What torchsde costs through sdeplug: against a call by hand and a bare loop. One thread, CPU.

python benchmarks/torchsde_overhead.py [--quick] [--json FILE]
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

import torch
import torchsde
from lines import Line, reported
from torch import Tensor

from sdeplug import VPSDE, OnGrid, ReverseSDE, Run, SharedNoise, Uniform, solver

T, EPS, STEPS = 1.0, 1e-3, 200
SDE = VPSDE()

Loop = Callable[[Tensor], Tensor]


class Score:
    """-x, nearly free; counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        self.calls += 1
        return -x


SCORE = Score()


def bare(x: Tensor) -> Tensor:
    """Euler-Maruyama as one writes it by hand."""
    generator = torch.Generator().manual_seed(0)
    for t, s in pairwise(Uniform(STEPS).times(T, EPS, SDE)):
        beta, h = beta_at(t), t - s
        drift = -0.5 * beta * x - beta * SCORE(x, torch.full((len(x),), t))
        x = x - h * drift + math.sqrt(beta * h) * torch.randn(x.shape, generator=generator)
    return x


def beta_at(t: float) -> float:
    return SDE.beta_min + t * (SDE.beta_max - SDE.beta_min)


class Reversed:
    """The reverse SDE for torchsde, as one writes it by hand with care."""

    noise_type, sde_type = "diagonal", "ito"

    def f(self, tau: Tensor, y: Tensor) -> Tensor:
        t = T - float(tau)
        beta = beta_at(t)
        return 0.5 * beta * y + beta * SCORE(y, torch.full((len(y),), t))

    def g(self, tau: Tensor, y: Tensor) -> Tensor:
        return torch.full_like(y, math.sqrt(beta_at(T - float(tau))))


def by_hand(method: str) -> Loop:
    """The best call that a user can write: float64 times, and a motion that knows the step."""
    h, area = (T - EPS) / STEPS, "space-time" if method == "srk" else "none"

    def call(x: Tensor) -> Tensor:
        motion = torchsde.BrownianInterval(
            0.0, T - EPS, tuple(x.shape), dtype=x.dtype, entropy=0, dt=h,
            levy_area_approximation=area,
        )  # fmt: skip
        ts = torch.tensor([0.0, T - EPS], dtype=torch.float64)
        # A little more, lest rounding leaves a last step of length 1e-16.
        step = h * (1.0 + 1e-12)
        return torchsde.sdeint(Reversed(), x, ts, bm=motion, method=method, dt=step)[-1]

    return call


def ours(name: str, on_grid: bool = False) -> Loop:
    """The same through the library."""
    by = (
        OnGrid(solver(f"torchsde/{name}"), Uniform(STEPS))
        if on_grid
        else solver(f"torchsde/{name}", steps=STEPS)
    )
    reverse = ReverseSDE(SDE, SCORE)
    return lambda x: by.integrate(reverse, x, T, EPS, Run(SharedNoise(0)))


@torch.no_grad()
def lines(quick: bool) -> Iterator[Line]:
    for shape, limit in (((256, 2), 10.0), ((64, 3072), 3.0)):
        x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
        loops = {"bare": bare, "hand": by_hand("euler"), "hand srk": by_hand("srk"),
                 "sde-euler": ours("sde-euler"), "grid": ours("sde-euler", True),
                 "srk": ours("srk")}  # fmt: skip
        took, calls = measured(loops, x, quick)
        yield Line(f"bare loop, {shape}", 1e6 * took["bare"][0] / STEPS, "us/step")
        for what, name, to, most in (
            ("sde-euler over bare loop", "sde-euler", "bare", limit),
            ("sde-euler over torchsde by hand", "sde-euler", "hand", 1.1),
            ("sde-euler on a grid over bare loop", "grid", "bare", limit),
            ("sde-euler on a grid over a whole leg", "grid", "sde-euler", 1.1),
            ("torchsde by hand over bare loop", "hand", "bare", None),
            ("srk over torchsde by hand (diagonal)", "srk", "hand srk", 1.1),
            ("srk over bare loop", "srk", "bare", None),
        ):
            value = statistics.median(a / b for a, b in zip(took[name], took[to], strict=True))
            yield Line(f"{what}, {shape}", value, "x", most)
        for name, to in (("sde-euler", "hand"), ("srk", "hand srk")):
            what = f"drift calls of {name}; {to}: {calls[to]}"
            yield Line(f"{what}, {shape}", calls[name], "", calls[to])


def measured(
    loops: Mapping[str, Loop], x: Tensor, quick: bool
) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Seconds of each loop in neighbouring runs, and its drift calls."""
    repetitions = 3 if quick else 9
    took: dict[str, list[float]] = {name: [] for name in loops}
    calls = {}
    for repetition in range(repetitions + 1):
        for name, loop in loops.items():
            SCORE.calls, start = 0, time.process_time()
            loop(x)
            if repetition:  # the first round warms up
                took[name].append(time.process_time() - start)
            calls[name] = SCORE.calls
    return took, calls


if __name__ == "__main__":
    sys.exit(reported(f"torchsde through sdeplug, {STEPS} steps", __doc__, lines))
