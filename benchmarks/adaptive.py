"""Steps for each row against steps for the batch, at equal achieved error.  One thread, CPU.

python benchmarks/adaptive.py [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch
import torchsde
from rich.console import Console
from rich.table import Table
from torch import Tensor

from sdeplug import VESDE, VPSDE, Integrator, LinearSDE, ReverseSDE, Run, SharedNoise, solver
from sdeplug.targets import GaussianMixture, eight_gaussians

MILLISECOND = 1e-3
SPLIT = 0.01  # error of a standard deviation up to which samplers are compared


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
        begin = time.perf_counter()
        out = self.score(x, t)
        self.most = max(self.most, len(x))
        while time.perf_counter() - begin < self.cost * len(x) / self.most:
            pass
        self.calls += 1
        self.rows += len(x)
        self.seconds += time.perf_counter() - begin
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
    begin = time.perf_counter()
    with torch.no_grad():
        out = by.integrate(ReverseSDE(sde, timed), x, sde.T, sde.eps, Run(SharedNoise(1)))
    seconds = time.perf_counter() - begin
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


def sdes(rows: int, tolerances: Iterable[float]) -> list[Line]:
    """Eight modes on a ring: the standard deviation inside the modes, and the floor of that."""
    target, lines = eight_gaussians(), []
    for where, sde in (("VP", VPSDE()), ("VE", VESDE())):
        score = target.score(sde)
        x = target.sample(rows, noise=SharedNoise(0), t=sde.T, sde=sde, dtype=torch.float64)
        end = sde.at(sde.eps)
        spread = math.sqrt(end.alpha**2 * 0.1**2 + end.sigma**2)

        def error(out: Tensor, end=end, spread=spread) -> float:
            centres = end.alpha * target.means.reshape(-1, 2)
            nearest = torch.cdist(out, centres).min(1).values
            return abs(float(nearest.square().mean().div(2).sqrt()) / spread - 1.0)

        ours, plugin = partial(solver, "row-adams"), partial(solver, "torchsde/adaptive-srk")
        for make, factor in ((ours, 1.0), (plugin, 0.1), (ByHand, 0.1)):
            for tolerance in tolerances:
                by = make(rtol=tolerance * factor, atol=0.1 * tolerance * factor)
                lines.append(measured(by, sde, score, x, error, where=where))
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


def cheapest(lines: list[Line], name: str, wanted: float) -> Line:
    """The cheapest setting whose error, and that of all finer ones, is at most what is wanted."""
    curve = sorted((each for each in lines if each.name == name), key=lambda each: each.tolerance)
    good = []
    for each in curve:
        if each.error > wanted:
            break
        good.append(each)
    if not good:
        raise SystemExit(f"{name} has no setting with an error of at most {wanted:g}")
    return min(good, key=lambda each: each.rows)


def shown(lines: list[Line], title: str) -> Table:
    table = Table("solver", "SDE", "rtol", "calls", "evaluations of a row", "overhead, ms", "error",
                  title=title)  # fmt: skip
    for each in lines:
        table.add_row(
            each.name, each.where, f"{each.tolerance:g}", str(each.calls), f"{each.rows:.1f}",
            f"{1e3 * each.overhead:.0f}", f"{each.error:.1e}",
        )  # fmt: skip
    return table


def ratios(flow: list[Line], sde: list[Line], floor: float) -> dict[str, tuple[float, float]]:
    """Name of a ratio to its value and its limit."""
    found = {}
    for wanted in (1e-3, 1e-4, 1e-5):
        theirs = at_error(flow, "Dopri5", wanted)
        ours = at_error(flow, "RowDopri5", wanted)
        found[f"dopri5, row evaluations at error {wanted:g}"] = (ours[0] / theirs[0], 1.0)
        found[f"dopri5, wall time at error {wanted:g}, 1 ms a batch"] = (ours[1] / theirs[1], 1.0)
        found[f"dopri5, wall time at error {wanted:g}, 1 ms a call"] = (
            ours[2] / theirs[2],
            math.inf,
        )
    for where in ("VP", "VE"):
        here = [each for each in sde if each.where == where]
        ours = cheapest(here, "RowAdams", SPLIT + floor)
        theirs = cheapest(here, "ByHand", SPLIT + floor)
        found[f"SDE on {where}, row evaluations"] = (ours.rows / theirs.rows, 0.5)
        found[f"SDE on {where}, overhead"] = (ours.overhead / theirs.overhead, 0.1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, help="write all figures here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = 1024 if options.quick else 4096
    flow = flows(256, [10.0**-k for k in range(2, 9)])
    sde = sdes(rows, (0.2, 0.1, 0.05, 0.02))
    floor = 2.0 * math.sqrt(0.25 / rows)  # two standard errors of the standard deviation
    console = Console(width=110)
    console.print(shown(flow, "Probability flow, 256 rows; the largest error of a row"))
    console.print(shown(sde, f"Reverse SDE, {rows} rows; scatter of the error {floor / 2:.1e}"))
    found = ratios(flow, sde, floor)
    summary = Table("ours over theirs", "ratio", "at most")
    for name, (value, limit) in found.items():
        summary.add_row(name, f"{value:.2f}", "" if limit == math.inf else f"{limit:g}")
    console.print(summary)
    if options.json:
        data = {"lines": [asdict(each) for each in (*flow, *sde)], "ratios": found}
        options.json.write_text(json.dumps(data, indent=1) + "\n")
    if any(value > limit for value, limit in found.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
