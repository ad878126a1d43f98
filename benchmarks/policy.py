"""The measurement behind the policy of ``auto``: rules, grids and stochasticities.

python benchmarks/policy.py --data FOLDER measures ``auto`` on a network of digits (see mnist.py);
python benchmarks/frontier.py --policy what it rests on for exact scores and those that are off.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import mnist
import torch
from measures import EXACT, RING, UNEVEN, Problem
from rich import print as show
from rich.table import Table

from sdeplug import VESDE, VPSDE, Focus, LogSNR, OnGrid, ReverseSDE, sample
from sdeplug_exponential import POLICY, Adams, Auto, DPMpp2M
from sdeplug_exponential.policy import Noise, row_for

KNOWN = tuple(row for row in POLICY if row.wrong is not None)
BUDGETS = (8, 16, 32, 64, 128)
PLAIN = (Adams(2, 0, True), Adams(2, 2, True), Adams(2, 2), Adams(3, 3), Adams(4, 4))
KNEES = tuple(replace(rule, knee=knee) for rule in PLAIN[2:] for knee in (0.04, 0.1, 0.5, 1.1))
NOISY = (*PLAIN[:3], *KNEES[:4])  # with a wrong score the order hardly matters
PLAIN_GRIDS = (LogSNR(1), LogSNR(1, 0.8))
FOCUSED = tuple(Focus(1, row.low, row.high) for row in KNOWN)
LEVELS = (0.0, 0.5, 1.0, 1.4, *(row.noise for row in KNOWN if row.noise))


ON_DIGITS = (5, 6, 8, 10, 16, 25, 50)  # evaluations, that of the final denoising among them
SAMPLES, PAIRS, SHAPE = 500, 48, (1, 28, 28)


def policy(rows: int) -> Iterator[Table]:
    """Exact scores: rules and exponents; then wrong ones: rules and stochasticities."""
    for sde in (VPSDE(), VESDE()):
        for name in ("Gaussian", *EXACT):
            problem = Problem(name, sde, rows=rows)
            choices = product((*PLAIN, *KNEES), (*PLAIN_GRIDS, *FOCUSED), (0.0,))
            yield table(problem, list(choices))
        for size in (0.02, 0.1):
            for name in ("Gaussian", RING, UNEVEN):
                problem = Problem(name, sde, size, 6, rows)
                yield table(problem, list(product(NOISY, (PLAIN_GRIDS[1], *FOCUSED[2:]), LEVELS)))


def table(
    problem: Problem, choices: Sequence[tuple[Adams, LogSNR | Focus, float | Noise]]
) -> Table:
    """The errors of all choices on one problem."""
    made = Table("rule", "grid", "l", title=problem.title, title_justify="left")
    for nfe in BUDGETS:
        made.add_column(str(nfe), justify="right")
    for rule, grid, level in choices:
        by = [OnGrid(rule, replace(grid, steps=nfe)) for nfe in BUDGETS]
        noise = level.level(problem.sde, 1.0) if isinstance(level, Noise) else level
        errors = [problem.error(each, noise, nfe) for each, nfe in zip(by, BUDGETS, strict=True)]
        told = f"{rule.predictor},{rule.corrector}" + (
            ", mean slope" if rule.mean_slope else f", knee {rule.knee:g}"
        )
        steps = repr(grid).replace("steps=1, ", "")
        made.add_row(told, steps, str(level), *(f"{error.value:.2g}" for error in errors))
    return made


def on_digits(folder: Path, seed: int) -> Table:
    """``auto`` without an option: Fréchet distance, and at l = 0 the distance to the flow."""
    model, features = mnist.network(folder), mnist.features(folder)
    law = mnist.moments(features(mnist.digits(folder)[0]))
    noisy, flow = (ReverseSDE(model.sde, model.score, level) for level in (1.0, 0.0))
    made = Table("evaluations", "Fréchet distance", "distance to the flow", "what it picks")
    with torch.no_grad():
        exact = sample(flow, (PAIRS, *SHAPE), OnGrid(DPMpp2M(), LogSNR(90)), seed=seed).x
        for nfe in ON_DIGITS:
            run = sample(noisy, (SAMPLES, *SHAPE), Auto(nfe - 1), seed=seed)
            far = mnist.frechet(features(run.x), law)
            near = sample(flow, (PAIRS, *SHAPE), Auto(nfe - 1), seed=seed).x
            rms = float((near - exact).square().mean().sqrt())
            assert run.nfe == nfe
            row = row_for(nfe - 1, None)
            picked = f"{row.noise}, focus from {row.low:g} to {row.high:g}"
            made.add_row(str(nfe), f"{far:.0f}", f"{rms:.3f}", picked)
    return made


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with network and digits")
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    show(on_digits(options.data, options.seed))
