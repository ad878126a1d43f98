"""Steps for each row against steps for the batch, at equal achieved error.  One thread, CPU;
seconds are those of the process, whatever else the machine does.

python benchmarks/adaptive.py [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torchsde
from rich.console import Console
from rich.table import Table
from torch import Tensor

from sdeplug import VESDE, VPSDE, Integrator, LinearSDE, ReverseSDE, Run, SharedNoise, solver
from sdeplug.targets import GaussianMixture, eight_gaussians

MILLISECOND = 1e-3
BATCH = 256  # rows of which costs are told
SPLIT = 0.01  # error of a standard deviation at which samplers are compared


@dataclass(frozen=True)
class Line:
    """What one setting costs and achieves."""

    name: str
    where: str
    tolerance: float
    calls: int
    rows: float  # evaluations of a row, on average
    overhead: float  # seconds outside the score
    seconds: float
    error: float


class Timed:
    """A score that counts its calls and rows and measures its own time.

    With ``cost`` a call on all rows takes that many seconds at least, one on some of them a part.
    """

    def __init__(self, score: Callable[[Tensor, Tensor], Tensor], cost: float = 0.0) -> None:
        self.score, self.cost = score, cost
        self.calls, self.rows, self.most, self.seconds = 0, 0, 0, 0.0

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        begin = time.process_time()
        out = self.score(x, t)
        self.most = max(self.most, len(x))
        while time.process_time() - begin < self.cost * len(x) / self.most:
            pass
        self.calls += 1
        self.rows += len(x)
        self.seconds += time.process_time() - begin
        return out


def measured(
    by: Integrator,
    sde: LinearSDE,
    score: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    error: Callable[[Tensor], float],
    cost: float = 0.0,
    where: str = "",
) -> Line:
    """One run from T to eps."""
    timed = Timed(score, cost)
    begin = time.process_time()
    with torch.no_grad():
        out = by.integrate(ReverseSDE(sde, timed), x, sde.T, sde.eps, Run(SharedNoise(1)))
    seconds = time.process_time() - begin
    return Line(
        f"{type(by).__name__}", where, by.rtol, timed.calls, timed.rows / len(x),
        seconds - timed.seconds, seconds, error(out),
    )  # fmt: skip


@dataclass(frozen=True)
class ByHand(Integrator):
    """torchsde's adaptive srk as its users call it: diagonal noise, its own Brownian motion."""

    rtol: float
    atol: float

    def integrate(self, reverse: ReverseSDE, x: Tensor, t: float, s: float, run: Run) -> Tensor:
        """Carry x from t to s."""
        problem = Problem(reverse, t)
        end = torch.tensor([0.0, t - s], dtype=torch.float64)
        motion = torchsde.BrownianInterval(
            0.0, t - s, tuple(x.shape), dtype=x.dtype, entropy=0,
            levy_area_approximation="space-time",
        )  # fmt: skip
        options = {"bm": motion, "rtol": self.rtol, "atol": self.atol, "dt_min": 1e-9}
        return torchsde.sdeint(problem, x, end, method="srk", adaptive=True, dt=0.01, **options)[-1]


class Problem:
    """The reverse SDE in the time t - u, as torchsde wants it."""

    noise_type, sde_type = "diagonal", "ito"

    def __init__(self, reverse: ReverseSDE, start: float) -> None:
        self.reverse, self.start = reverse, start

    def f(self, u: Tensor, y: Tensor) -> Tensor:
        return -self.reverse.drift(y, self.start - float(u))

    def g(self, u: Tensor, y: Tensor) -> Tensor:
        return torch.full_like(y, self.reverse.diffusion(self.start - float(u)))


def flows(rows: int, tolerances: Iterable[float]) -> list[Line]:
    """The probability flow of a mixture of a wide mode and two narrow ones."""
    sde = VPSDE()
    target = GaussianMixture(
        (8, 1, 1),
        torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]], dtype=torch.float64),
        std=torch.tensor([1.0, 0.003, 0.003], dtype=torch.float64),
    )
    score = target.score(sde)
    x = target.sample(rows, noise=SharedNoise(0), t=sde.T, sde=sde, dtype=torch.float64)
    with torch.no_grad():
        exact = solver("row-dopri5", rtol=1e-11, atol=1e-11).integrate(
            ReverseSDE(sde, score), x, sde.T, sde.eps, Run(SharedNoise(0))
        )

    def error(out: Tensor) -> float:
        return float((out - exact).square().sum(1).max().sqrt())

    lines = []
    solver("torchdiffeq/dopri5").integrate(
        ReverseSDE(sde, score), x, sde.T, 0.9, Run(SharedNoise(0))
    )  # imports its library
    for name in ("row-dopri5", "row-tsit5", "torchdiffeq/dopri5"):
        for tolerance in tolerances:
            by = solver(name, rtol=tolerance, atol=tolerance)
            lines.append(measured(by, sde, score, x, error, MILLISECOND, "VP"))
    return lines


def sdes(rows: int) -> list[Line]:
    """Eight modes on a ring: the standard deviation inside the modes, on many rows; what it costs
    on 256."""
    target, lines = eight_gaussians(), []
    families = (
        (partial(solver, "row-adams"), (0.3, 0.2, 0.15, 0.1, 0.05)),
        (partial(solver, "torchsde/adaptive-srk"), (0.1, 0.05, 0.02)),
        (ByHand, (0.2, 0.1, 0.05, 0.02)),
    )
    for where, sde in (("VP", VPSDE()), ("VE", VESDE())):
        score = target.score(sde)
        x = target.sample(rows, noise=SharedNoise(0), t=sde.T, sde=sde, dtype=torch.float64)
        end = sde.at(sde.eps)
        spread = math.sqrt(end.alpha**2 * 0.1**2 + end.sigma**2)

        def error(out: Tensor, end=end, spread=spread) -> float:
            centres = end.alpha * target.means.reshape(-1, 2)
            nearest = torch.cdist(out, centres).min(1).values
            return abs(float(nearest.square().mean().div(2).sqrt()) / spread - 1.0)

        for make, tolerances in families:
            for tolerance in tolerances:
                by = make(rtol=tolerance, atol=0.1 * tolerance)
                many = measured(by, sde, score, x, error, where=where)
                few = [measured(by, sde, score, part, error, where=where)
                       for part in x.split(BATCH)[:5]]  # fmt: skip
                typical = sorted(few, key=lambda each: each.overhead)[len(few) // 2]
                lines.append(replace(typical, error=many.error))
    return lines


def at_error(lines: list[Line], name: str, wanted: float) -> tuple[float, float, float]:
    """Row evaluations, and seconds with a score whose cost goes with the rows, or with the calls;
    at an error, interpolated in logarithms."""
    curve = sorted((each for each in lines if each.name == name), key=lambda each: each.error)
    for fine, coarse in pairwise(curve):
        if fine.error <= wanted <= coarse.error:
            part = math.log(wanted / fine.error) / math.log(coarse.error / fine.error)
            ends = [
                (each.rows, each.seconds, each.overhead + MILLISECOND * each.calls)
                for each in (fine, coarse)
            ]
            rows, busy, waiting = (a ** (1 - part) * b**part for a, b in zip(*ends, strict=True))
            return rows, busy, waiting
    raise SystemExit(f"{name} has no setting with an error about {wanted:g}")


def fitted(lines: list[Line], name: str, wanted: float) -> tuple[float, float]:
    """Row evaluations and overhead at an error, from straight lines through the logarithms of
    errors and costs against tolerances: single errors scatter."""
    curve = [each for each in lines if each.name == name]
    tolerance = np.log([each.tolerance for each in curve])
    slope, offset = np.polyfit(tolerance, np.log([each.error for each in curve]), 1)
    at = (math.log(wanted) - offset) / slope
    if not tolerance.min() <= at <= tolerance.max():
        raise SystemExit(f"{name} was not run at the tolerance of an error about {wanted:g}")
    rows, overhead = (
        math.exp(np.polyval(np.polyfit(tolerance, np.log(costs), 1), at))
        for costs in ([each.rows for each in curve], [each.overhead for each in curve])
    )
    return rows, overhead


def shown(lines: list[Line], title: str) -> Table:
    table = Table("solver", "SDE", "rtol", "calls", "evaluations of a row", "overhead, ms", "error",
                  title=title)  # fmt: skip
    for each in lines:
        table.add_row(
            each.name, each.where, f"{each.tolerance:g}", str(each.calls), f"{each.rows:.1f}",
            f"{1e3 * each.overhead:.0f}", f"{each.error:.1e}",
        )  # fmt: skip
    return table


def ratios(flow: list[Line], sde: list[Line]) -> dict[str, tuple[float, float]]:
    """Name of a ratio to its value and its limit."""
    found = {}
    for wanted in (1e-3, 1e-4, 1e-5):
        theirs = at_error(flow, "Dopri5", wanted)
        ours = at_error(flow, "RowDopri5", wanted)
        found[f"dopri5, row evaluations at error {wanted:g}"] = (ours[0] / theirs[0], 1.0)
        found[f"dopri5, wall time at error {wanted:g}, 1 ms a batch"] = (ours[1] / theirs[1], 1.0)
        found[f"dopri5, wall time at error {wanted:g}, 1 ms a call"] = (ours[2] / theirs[2], 1.0)
    for where in ("VP", "VE"):
        here = [each for each in sde if each.where == where]
        ours, theirs = (fitted(here, name, SPLIT) for name in ("RowAdams", "ByHand"))
        found[f"SDE on {where}, row evaluations"] = (ours[0] / theirs[0], 0.5)
        found[f"SDE on {where}, overhead"] = (ours[1] / theirs[1], 0.1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, help="write all figures here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = 4096 if options.quick else 32768
    flow = flows(BATCH, [10.0**-k for k in range(2, 9)])
    sde = sdes(rows)
    console = Console(width=110)
    console.print(shown(flow, "Probability flow, 256 rows; the largest error of a row"))
    scatter = math.sqrt(0.25 / rows)
    console.print(shown(sde, f"Reverse SDE, {BATCH} rows; error on {rows}, good to {scatter:.1e}"))
    found = ratios(flow, sde)
    summary = Table("ours over theirs", "ratio", "at most")
    for name, (value, limit) in found.items():
        summary.add_row(name, f"{value:.2f}", f"{limit:g}")
    console.print(summary)
    if options.json:
        data = {"lines": [asdict(each) for each in (*flow, *sde)], "ratios": found}
        options.json.write_text(json.dumps(data, indent=1) + "\n")
    if any(value > limit for value, limit in found.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
