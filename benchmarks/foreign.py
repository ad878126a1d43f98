"""What the samplers of other libraries reach: python benchmarks/foreign.py [--quick] [--json FILE].

For each sampler that ``foreign/...`` offers, at the same number of score evaluations and on the
best of several grids:

- Gaussian: coordinates of variance 1e-4, 0.01, 0.25, 1 and 4; root mean square of the relative
  errors of their standard deviations at eps.  Exact: no sampling.
- ring: eight modes.  Without noise, the root mean square distance from the exact probability
  flow of the same starting points; with noise, the sliced distance W2 to exact draws.  Such a
  distance says nothing when it is no larger than that between two sets of exact draws, its floor.

The last lines of a table are the best without and with noise: the bar for solvers of our own.
Libraries that are not installed are left out.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

import sdeplug as sp
from sdeplug.testing import exact_spectrum, marginal_law, relative_error, sliced_w2
from sdeplug_foreign import AzulaSampler, DiffusersSampler, KDiffusionSampler
from sdeplug_foreign.borrowed import Borrowed

VARIANCES = (1e-4, 0.01, 0.25, 1.0, 4.0)
EVALUATIONS = (8, 16, 32, 64, 128)
SPACINGS = ("log-snr", "karras", "uniform")
SDES = (sp.VPSDE(), sp.VESDE())
ROWS = 4096


@dataclass(frozen=True)
class Line:
    """The error of one sampler in one column, on its best grid."""

    target: str
    sde: str
    sampler: str
    stochastic: bool
    evaluations: int
    error: float
    spacing: str


def samplers() -> Iterator[tuple[str, Borrowed]]:
    """All that can be imported, by name."""
    for name, cls in (
        ("diffusers", DiffusersSampler),
        ("k-diffusion", KDiffusionSampler),
        ("azula", AzulaSampler),
    ):
        try:
            cls(steps=2).integrate(reverse(sp.VPSDE()), torch.zeros(1, 5), 1.0, 0.5, quiet())
        except sp.MissingExtraError as error:
            print(f"left out: {error}")
            continue
        for each in cls.recipes:
            yield f"{name} {each}", cls(each)


def spectrum() -> sp.targets.Gaussian:
    return sp.targets.Gaussian(torch.zeros(5), torch.diag(torch.tensor(VARIANCES)))


def reverse(sde: sp.LinearSDE) -> sp.ReverseSDE:
    return sp.ReverseSDE(sde, spectrum().score(sde))


def quiet() -> sp.Run:
    return sp.Run(sp.Silence())


def cost(by: Borrowed) -> int:
    """Score evaluations of a step, which do not depend on their number."""
    counted = sp.Counted(spectrum().score(SDES[0]))
    start = torch.zeros(1, 5, dtype=torch.float64)
    made = replace(by, steps=12)
    made.integrate(sp.ReverseSDE(SDES[0], counted), start, 1.0, 0.5, quiet())
    return counted.nfe // 12


def on_gaussian(by: Borrowed, sde: sp.LinearSDE) -> float:
    start, wanted = (marginal_law(spectrum(), sde, t) for t in (sde.T, sde.eps))
    onto = reverse(sde)
    law = exact_spectrum(lambda x, run: by.integrate(onto, x, sde.T, sde.eps, run), start)
    return float(relative_error(law, wanted).square().mean().sqrt())


@cache
def ring(sde: sp.LinearSDE) -> tuple[sp.ReverseSDE, Tensor, Tensor, Tensor]:
    """The reverse SDE, exact draws at T, where the flow takes them, and exact draws at eps."""
    data = sp.targets.eight_gaussians()
    onto = sp.ReverseSDE(sde, data.score(sde))
    x = data.sample(ROWS, noise=sp.SharedNoise(1), t=sde.T, sde=sde).double()
    flow = sp.OnGrid(sp.solver("ode/rk4"), sp.LogSNR(400))
    moved = flow.integrate(onto, x, sde.T, sde.eps, quiet())
    drawn = data.sample(ROWS, noise=sp.SharedNoise(2), t=sde.eps, sde=sde).double()
    return onto, x, moved, drawn


def on_ring(by: Borrowed, sde: sp.LinearSDE) -> float:
    onto, x, moved, drawn = ring(sde)
    out = by.integrate(onto, x, sde.T, sde.eps, sp.Run(sp.SharedNoise(3)))
    if by.claims.stochastic:
        return sliced_w2(out, drawn, sp.SharedNoise(4))
    return float((out - moved).square().sum(1).mean().sqrt())


def best(
    measure: Callable[[Borrowed, sp.LinearSDE], float], by: Borrowed, sde: sp.LinearSDE
) -> tuple[float, str]:
    found = [(measure(replace(by, spacing=each), sde), each) for each in SPACINGS]
    return min(found, key=lambda pair: pair[0] if math.isfinite(pair[0]) else math.inf)


def lines(evaluations: tuple[int, ...]) -> Iterator[Line]:
    for name, by in samplers():
        each = cost(by)
        for sde in SDES:
            for target, measure in (("Gaussian", on_gaussian), ("ring", on_ring)):
                for nfe in evaluations:
                    error, spacing = best(measure, replace(by, steps=max(1, nfe // each)), sde)
                    label, noisy = type(sde).__name__.removesuffix("SDE"), by.claims.stochastic
                    yield Line(target, label, name, noisy, nfe, error, spacing)


def show(found: list[Line], evaluations: tuple[int, ...]) -> None:
    """A table for each target and SDE, with the best at its foot."""
    for target in ("Gaussian", "ring"):
        for sde in ("VP", "VE"):
            rows = [each for each in found if (each.target, each.sde) == (target, sde)]
            names = list(dict.fromkeys(each.sampler for each in rows))
            print(f"\n{target}, {sde}".ljust(33) + "".join(f"{n:>14}" for n in evaluations))
            for name in names:
                of = [each for each in rows if each.sampler == name]
                cells = "".join(f"{each.error:>12.2e} {each.spacing[0]}" for each in of)
                print(name.ljust(32) + cells)
            for noisy in (False, True):
                tops = [champion(rows, noisy, nfe) for nfe in evaluations]
                if any(each is None for each in tops):
                    continue
                told = "".join(shown(each) for each in tops if each)
                print(f"best {'with' if noisy else 'without'} noise".ljust(32) + told)
                print("  " + ", ".join(f"{e.evaluations}: {e.sampler}" for e in tops if e))


def shown(line: Line) -> str:
    """Error and grid of the best; a distance between samples that is at its floor is no figure."""
    sampled = line.target == "ring" and line.stochastic
    if sampled and line.error < 1.2 * floor(SDES[line.sde == "VE"]):
        return f"{'at the floor':>14}"
    return f"{line.error:>12.2e} {line.spacing[0]}"


def champion(rows: list[Line], noisy: bool, nfe: int) -> Line | None:
    of = [each for each in rows if each.stochastic == noisy and each.evaluations == nfe]
    of = [each for each in of if math.isfinite(each.error)]
    return min(of, key=lambda each: each.error, default=None)


@cache
def floor(sde: sp.LinearSDE) -> float:
    """The distance between two sets of exact draws."""
    other = sp.targets.eight_gaussians().sample(
        ROWS, noise=sp.SharedNoise(5), t=sde.eps, sde=sde
    )  # fmt: skip
    return sliced_w2(other.double(), ring(sde)[3], sp.SharedNoise(4))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="8 and 32 evaluations only")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    begin = time.perf_counter()
    evaluations = (8, 32) if arguments.quick else EVALUATIONS
    found = list(lines(evaluations))
    show(found, evaluations)
    floors = {type(sde).__name__: floor(sde) for sde in SDES}
    print("\nfloor of the sliced distance on the ring:", floors)
    print("after each error: l log-snr, k karras, u uniform in time")
    print(f"{time.perf_counter() - begin:.0f} s")
    if arguments.json:
        told = {"lines": [asdict(each) for each in found], "floor": floors}
        arguments.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
