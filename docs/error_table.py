"""What the harness measures of the bundled solvers, as Markdown for ``solver_table.py``."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch

import sdeplug as sp
from sdeplug.testing import exact_law, exact_spectrum, marginal_law, relative_error
from sdeplug.testing.bench import gaussian, gaussian_score

STEPS = (16, 32, 64, 128, 256)


def error(
    by: sp.Integrator,
    sde: sp.LinearSDE,
    steps: int,
    level: float = 1.0,
    grid: Callable[[int], sp.TimeGrid] = sp.LogSNR,
) -> tuple[float, int]:
    """Exact error of the law at eps, from p_T: root mean square, and the evaluations made."""
    counted = sp.Counted(gaussian_score(sde))
    reverse, onto = sp.ReverseSDE(sde, counted, level), sp.OnGrid(by, grid(steps))
    start, wanted = (marginal_law(gaussian(), sde, t) for t in (sde.T, sde.eps))
    law = exact_spectrum(lambda x, run: onto.integrate(reverse, x, sde.T, sde.eps, run), start)
    each = relative_error(law, wanted)
    return float(each.square().mean().sqrt()), counted.nfe // 2  # one dry run, one with impulses


def errors(by: sp.Integrator, levels: tuple[float, ...]) -> str:
    """Exact errors of an integrator as a table: steps, evaluations, then VP and VE."""
    columns = [(sde, level) for sde in (sp.VPSDE(), sp.VESDE()) for level in levels]
    titles = [
        type(sde).__name__.removesuffix("SDE") + (f", l = {level:g}" if len(levels) > 1 else "")
        for sde, level in columns
    ]
    lines = [
        f"| steps | evaluations | {' | '.join(titles)} |",
        f"| --- | --- | {' | '.join('---' for _ in titles)} |",
    ]
    for steps in STEPS:
        measured = [error(by, sde, steps, level) for sde, level in columns]
        cells = [percent(value) for value, _ in measured]
        lines.append(f"| {steps} | {measured[0][1]} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def drift(corrector: sp.Corrector) -> str:
    """How far sweeps of an affine corrector move p_t, exactly: t = 0.5 under VP and VE."""
    lines = ["| `snr` | 1 sweep | 10 sweeps | 100 sweeps | declared floor |", "| --- " * 5 + "|"]
    for snr in (0.05, 0.16, 0.3):
        by = replace(corrector, snr=snr)  # type: ignore[call-arg]
        cells = [percent(max(_moved(by, sde, n) for sde in (sp.VPSDE(), sp.VESDE())))
                 for n in (1, 10, 100)]  # fmt: skip
        lines.append(f"| {snr} | {' | '.join(cells)} | {percent(by.claims.floor)} |")
    return "\n".join(lines) + "\n"


def _moved(corrector: sp.Corrector, sde: sp.LinearSDE, sweeps: int, t: float = 0.5) -> float:
    """Largest relative error of p_t after some sweeps."""
    reverse, marginal = sp.ReverseSDE(sde, gaussian_score(sde)), marginal_law(gaussian(), sde, t)

    def swept(x: torch.Tensor, run: sp.Run) -> torch.Tensor:
        for _ in range(sweeps):
            x = corrector.correct(reverse, x, t, run)
        return x

    return float(relative_error(exact_law(swept, marginal), marginal).abs().max())


def sampled_drift(corrector: sp.Corrector, rows: int = 100_000) -> str:
    """How far 100 sweeps move the standard deviation of p_t, by sampling, in 2 and 256 dimensions.

    The target is N(0, 1/4) in every coordinate, under VP at t = 0.3.
    """
    lines = ["| `snr` | 2 dimensions | 256 dimensions | declared floor |", "| --- " * 4 + "|"]
    sde, t = sp.VPSDE(), 0.3
    for snr in (0.05, 0.16, 0.3):
        cells = []
        for dimension in (2, 256):
            # The same number of numbers, and hence the same standard error, in both columns.
            n = 2 * rows // dimension
            data = sp.targets.Gaussian(torch.zeros(dimension), std=0.5)
            noise = sp.SharedNoise(1)
            x = data.sample(n, noise=noise, t=t, sde=sde)
            reverse, before = sp.ReverseSDE(sde, data.score(sde)), float(x.std())
            by = replace(corrector, snr=snr)  # type: ignore[call-arg]
            for _ in range(100):
                x = by.correct(reverse, x, t, sp.Run(noise))
            wanted = math.sqrt(float(data.moments(t, sde)[1][0, 0]))
            assert abs(before / wanted - 1.0) < 0.01
            cells.append(f"{100.0 * (float(x.std()) / wanted - 1.0):+.1f} %")
        lines.append(f"| {snr} | {' | '.join(cells)} | {percent(by.claims.floor)} |")
    return "\n".join(lines) + "\n"


def annealed(corrector: sp.Corrector) -> str:
    """Annealed Langevin dynamics, exactly: Hold and sweeps of the corrector on each level."""
    lines = ["| levels | 1 sweep | 10 sweeps | 100 sweeps |", "| --- " * 4 + "|"]
    for steps in (16, 64, 256):
        cells = []
        for sweeps in (1, 10, 100):
            by = sp.Corrected(sp.solver("song/hold"), corrector, sweeps)
            cells.append("" if steps * sweeps > 2000 else percent(error(by, sp.VESDE(), steps)[0]))
        lines.append(f"| {steps} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def percent(value: float) -> str:
    """A share with the digits that are worth reading."""
    value *= 100.0
    digits = max(0, 1 - math.floor(math.log10(value))) if value > 0.0 else 0
    return f"{value:.{min(digits, 8)}f} %"
