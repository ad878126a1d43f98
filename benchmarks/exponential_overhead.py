"""What a step of the exponential solvers costs over a bare loop. One thread, CPU.

python benchmarks/exponential_overhead.py [--quick] [--json FILE]
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from lines import Line, reported
from torch import Tensor

from sdeplug import VPSDE, At, Integrator, LogSNR, OnGrid, ReverseSDE, Run, SharedNoise, solver
from sdeplug_exponential.multistep import Memory, Plan


def overhead(quick: bool) -> Iterator[Line]:
    """Time over that of a bare loop with the same numbers: median of neighbouring pairs."""
    steps, repetitions = (100, 9) if quick else (200, 31)
    for shape, limit in (((256, 2), 2.0), ((16, 3, 32, 32), 1.05)):
        x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
        for name, level in (("ddim", 0.0), ("dpmpp-2m", 0.0), ("unipc", 0.0), ("adams", 1.0)):
            ours, hand = loops(solver(f"exponential/{name}"), level, steps)
            torch.testing.assert_close(ours(x), hand(x), rtol=1e-4, atol=1e-4)
            pairs = [(_seconds(ours, x), _seconds(hand, x)) for _ in range(repetitions)]
            ratios = [mine / bare for mine, bare in pairs]
            ratio = statistics.median(ratios)
            yield Line(f"{name}, l = {level:g}, {shape}", ratio, "x", limit)


def loops(
    by: Integrator, level: float, steps: int
) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """A solver, and its linear combinations written as a loop over a table of numbers.

    Both have the times of the grid beforehand: finding them costs a run, not a step.
    """
    sde, table = VPSDE(), []
    times = LogSNR(steps).times(sde.T, sde.eps, sde)
    onto, reverse = OnGrid(by, At(tuple(times[1:-1]))), ReverseSDE(sde, lambda x, t: -x, level)
    for (t, s), (decay, weights, share) in zip(pairwise(times), plans(onto, reverse), strict=True):
        now, end = sde.at(t), sde.at(s)
        values = tuple(end.alpha * weight for weight in weights)
        one, score = 1.0 / now.alpha, now.sigma**2 / now.alpha
        table.append((t, one, score, decay * end.alpha * one, values, end.sigma * share))

    @torch.no_grad()
    def ours(x: Tensor) -> Tensor:
        return onto.integrate(reverse, x, sde.T, sde.eps, Run(SharedNoise(0)))

    @torch.no_grad()
    def hand(x: Tensor) -> Tensor:
        generator, known = torch.Generator().manual_seed(0), []
        for t, one, score, kept, weights, std in table:
            model = reverse.score_model(x, torch.full((len(x),), t))
            known = [x.mul(one).add_(model, alpha=score), *known][: len(weights)]
            x = x.mul(kept)
            for weight, value in zip(weights, known, strict=True):
                x.add_(value, alpha=weight)
            if std:
                x.add_(torch.randn(x.shape, generator=generator), alpha=std)
        return x

    return ours, hand


def plans(onto: OnGrid, reverse: ReverseSDE) -> list[Plan]:
    """The numbers of every step of a multistep solver, as it uses them."""
    seen: list[Plan] = []

    class Noting(Memory):
        def plan(self, target: float, zeta: float) -> Plan:
            seen.append(super().plan(target, zeta))
            return seen[-1]

    by, sde = onto.integrator, reverse.linear
    noting = Noting(by.rule, reverse, Run(SharedNoise(0)), by.quiet)
    x = torch.zeros(1, 1)
    for t, s in pairwise(onto.grid.times(sde.T, sde.eps, sde)):
        x = noting.advance(x, t, s)
    return seen


def _seconds(loop: Callable[[Tensor], Tensor], x: Tensor) -> float:
    start = time.process_time()
    loop(x)
    return time.process_time() - start


if __name__ == "__main__":
    sys.exit(reported("Exponential solvers over a bare loop", __doc__, overhead))
