"""Error against evaluations of the exponential solvers, and what they cost. One thread, CPU.

python benchmarks/frontier.py [--quick] [--policy] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache, partial
from itertools import pairwise
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from sdeplug import (
    VESDE,
    VPSDE,
    At,
    Integrator,
    LinearSDE,
    LogSNR,
    OnGrid,
    ReverseSDE,
    Run,
    SharedNoise,
    solver,
)
from sdeplug.targets import GaussianMixture
from sdeplug.testing import (
    exact_spectrum,
    marginal_law,
    relative_error,
    sliced_w2,
    specimens,
)
from sdeplug.testing.bench import carried, gaussian, gaussian_score
from sdeplug_exponential import Adams, Auto
from sdeplug_exponential.multistep import Memory, Plan

BUDGETS = (8, 16, 32, 64, 128)
SPECTRUM = (1e-4, 0.01, 0.25, 1.0, 4.0)
RING_VP = (4.3e-2, 7.2e-3, 1.3e-3, 1.2e-4, 1.3e-5)  # what auto must reach on the eight Gaussians

Family = Callable[[int], Integrator]
"""A budget of evaluations to a sampler from T to eps."""


@dataclass(frozen=True)
class Line:
    """One sampler on one problem: an error for each budget, or a ratio of times."""

    what: str
    problem: str
    values: tuple[float, ...]
    limits: tuple[float, ...] = ()

    @property
    def missed(self) -> bool:
        return any(value > limit for value, limit in zip(self.values, self.limits, strict=False))


def stepping(name: str, power: float = 1.0) -> Family:
    """A named solver on equal steps in a power of the log-SNR; ``name:option=value`` as well."""
    name, _, rest = name.partition(":")
    options = {key: int(value) for key, value in (pair.split("=") for pair in rest.split())}
    by = solver(f"exponential/{name}", **options)
    return lambda nfe: OnGrid(by, LogSNR(max(nfe // (by.claims.evaluations or 1), 1), power))


def families() -> Mapping[str, tuple[Family, float]]:
    """Samplers by name, each with the stochasticity that it is run at."""
    flow = ("ddim", "dpmpp-2m", "dpmpp-3m", "unipc:order=2", "unipc", "exp-midpoint", "exp-rk3")
    noisy = ("dpmpp-2m-sde", "sa-solver", "adams", "er-sde", "exp-midpoint", "exp-heun", "exp-rk3")
    return (
        {"auto": (Auto, 0.0)}
        | {name: (stepping(name), 0.0) for name in flow}
        | {f"adams {p},{c}": (stepping(f"adams:predictor={p} corrector={c}"), 0.0)
           for p, c in ((2, 2), (3, 3), (4, 4))}
        | {"edm-heun": (lambda nfe: solver("exponential/edm-heun", steps=nfe // 2), 0.0)}
        | {f"{name}, l = 1": (stepping(name), 1.0) for name in noisy}
    )  # fmt: skip


@cache
def prior(sde: LinearSDE, rows: int, dimension: int) -> Tensor:
    return sde.prior((rows, dimension), SharedNoise(3), torch.float64)


@torch.no_grad()
def ends(by: Integrator, reverse: ReverseSDE, x: Tensor) -> Tensor:
    sde = reverse.forward
    return by.integrate(reverse, x, sde.T, sde.eps, Run(SharedNoise(0)))


@cache
def reference(sde: LinearSDE, target: GaussianMixture, rows: int) -> Tensor:
    """The probability flow from the same draws, in 600 steps of order 4."""
    reverse = ReverseSDE(sde, target.score(sde), 0.0)
    return ends(OnGrid(Adams(4, 5), LogSNR(600)), reverse, prior(sde, rows, *target.shape))


def spectral(by: Integrator, sde: LinearSDE, level: float) -> float:
    """Root mean square relative error of the standard deviations at eps, exact."""
    reverse = ReverseSDE(sde, gaussian_score(sde, SPECTRUM), level)
    start, end = (marginal_law(gaussian(SPECTRUM), sde, t) for t in (sde.T, sde.eps))
    law = exact_spectrum(partial(carried, by, reverse, sde.eps), start)
    return float(relative_error(law, end).chunk(2)[0].square().mean().sqrt())


def coupled(by: Integrator, sde: LinearSDE, target: GaussianMixture, rows: int) -> float:
    """Sliced W2 to the flow from the same draws, over the standard deviation of the data."""
    x = ends(by, ReverseSDE(sde, target.score(sde), 0.0), prior(sde, rows, *target.shape))
    return sliced_w2(x, reference(sde, target, rows), SharedNoise(1)) / _std(target)


def _std(target: GaussianMixture) -> float:
    return math.sqrt(float(target.covariance.diagonal().mean()))


def errors(rows: int) -> Iterator[Line]:
    """Every sampler on every problem; those with noise where their law is exact."""
    for sde in (VPSDE(), VESDE()):
        name = type(sde).__name__.removesuffix("SDE")
        for what, (family, level) in families().items():
            values = tuple(spectral(family(nfe), sde, level) for nfe in BUDGETS)
            yield Line(what, f"Gaussian, {name}", values)
        for specimen in specimens()[:2]:
            for what, (family, level) in families().items():
                if level == 0.0:
                    values = tuple(
                        coupled(family(nfe), sde, specimen.target, rows) for nfe in BUDGETS
                    )
                    first = specimen is specimens()[0] and name == "VP" and what == "auto"
                    yield Line(what, f"{specimen.name}, {name}", values, RING_VP if first else ())


@dataclass(frozen=True)
class Bent:
    """A score with a smooth error: noise predictions are off by ``size`` times a random field."""

    target: GaussianMixture
    sde: LinearSDE
    size: float
    seed: int

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        marginal = self.sde.at(float(t[0]))
        scale = math.hypot(marginal.alpha, marginal.sigma)
        waves, drift, values = self._field()
        phase = x @ waves / scale + drift * marginal.log_snr
        field = math.sqrt(2.0 / len(drift)) * phase.cos() @ values
        return self.target.score(self.sde)(x, t) - self.size / marginal.sigma * field

    def _field(self) -> tuple[Tensor, Tensor, Tensor]:
        source, (wide,) = SharedNoise(self.seed), self.target.shape
        like = torch.empty(32, wide, dtype=torch.float64)
        return 1.5 * source.normal(like).T, 0.25 * source.normal(like[:, 0]), source.normal(like)


def perturbed(by: Integrator, level: float, size: float, rows: int) -> float:
    """Sliced W2 to exact draws without its floor, over the standard deviation: mean of 3 fields."""
    sde, target = VPSDE(), specimens()[0].target
    exact, other = (
        target.sample(rows, noise=SharedNoise(k), t=sde.eps, sde=sde, dtype=torch.float64)
        for k in (11, 12)
    )
    floor, total = sliced_w2(exact, other, SharedNoise(1)), 0.0
    for seed in (1, 2, 3):
        reverse = ReverseSDE(sde, Bent(target, sde, size, seed), level)
        distance = sliced_w2(ends(by, reverse, prior(sde, rows, 2)), exact, SharedNoise(1))
        total += math.sqrt(max(distance**2 - floor**2, 0.0)) / _std(target)
    return total / 3.0


def wrong_scores(rows: int) -> Iterator[Line]:
    """With a score that is off by 0.05: the flow, noise, and what auto makes of it."""
    samplers: Mapping[str, tuple[Family, float]] = {
        "auto, score_error = 0.05": (lambda nfe: Auto(nfe, 0.05), 1.0),
        "auto": (Auto, 1.0),
        "sa-solver, l = 1": (stepping("sa-solver"), 1.0),
        "dpmpp-2m-sde, l = 1": (stepping("dpmpp-2m-sde"), 1.0),
    }
    for what, (family, level) in samplers.items():
        values = tuple(perturbed(family(nfe), level, 0.05, rows) for nfe in BUDGETS)
        yield Line(what, "eight gaussians, VP, score off by 0.05", values)


RULES = (Adams(2, 0, True), Adams(2, 2, True), Adams(2, 2), Adams(3, 3), Adams(4, 4), Adams(4, 5))


def policy(rows: int) -> Iterator[Line]:
    """The measurement behind ``POLICY``: rules and exponents, then stochasticities."""
    ring = specimens()[0].target
    for sde in (VPSDE(), VESDE()):
        name = type(sde).__name__.removesuffix("SDE")
        for rule in RULES:
            for power in (0.7, 0.8, 0.9, 1.0):
                onto = [OnGrid(rule, LogSNR(nfe, power)) for nfe in BUDGETS]
                label = f"{rule!r}, power {power}"
                exact = tuple(spectral(by, sde, 0.0) for by in onto)
                yield Line(label, f"Gaussian, {name}", exact)
                yield Line(label, f"eight gaussians, {name}",
                           tuple(coupled(by, sde, ring, rows) for by in onto))  # fmt: skip
    for size in (0.02, 0.05, 0.1):
        for rule in RULES:
            for level in (0.0, 0.5, 1.0, math.sqrt(2.0)):
                values = tuple(
                    perturbed(OnGrid(rule, LogSNR(nfe, 0.8)), level, size, rows // 2)
                    for nfe in BUDGETS
                )
                yield Line(f"{rule!r}, l = {level:.2g}", f"score off by {size}", values)


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
            ratio = (statistics.median(ratios),)
            yield Line(f"{name}, l = {level:g}", f"overhead at {shape}", ratio, (limit,))


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


def tables(lines: list[Line]) -> Iterator[Table]:
    for problem in dict.fromkeys(line.problem for line in lines):
        made = Table("sampler", title=problem, title_justify="left")
        rows = [line for line in lines if line.problem == problem]
        for head in BUDGETS if len(rows[0].values) > 1 else ("x bare",):
            made.add_column(str(head), justify="right")
        for line in rows:
            verdict = " over" if line.missed else ""
            made.add_row(line.what + verdict, *(f"{value:.2g}" for value in line.values))
        yield made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rows and repetitions")
    parser.add_argument("--policy", action="store_true", help="what the policy of auto rests on")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = 2048 if options.quick else 16384
    parts = (policy(rows),) if options.policy else (
        errors(rows), wrong_scores(rows), overhead(options.quick)
    )  # fmt: skip
    lines = [line for part in parts for line in part]
    screen = Console(width=110)
    for made in tables(lines):
        screen.print(made)
    if options.json:
        where = f"torch {torch.__version__}, {platform.platform()}"
        figures = [asdict(line) for line in lines]
        options.json.write_text(json.dumps({"machine": where, "lines": figures}, indent=2) + "\n")
    return int(any(line.missed for line in lines))


if __name__ == "__main__":
    sys.exit(main())
