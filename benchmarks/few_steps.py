"""Few evaluations of a network, with and without an analytic first step: distance to its flow.

``python benchmarks/few_steps.py --data FOLDER`` prints a table for each grid: root mean square
distance of samples to those of the converged probability flow from the same start, for each
number of evaluations, the final denoising counted.  ``--above 40`` leaves the network out from
that noise ratio on, and not for the first evaluation alone.  ``--nfe``, ``--solver`` and ``--grid``
name other numbers of evaluations, solvers and grids, and ``--plain`` leaves the analytic first step
out.  FOLDER is described in ``benchmarks/mnist.py``.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import mnist
import torch

from sdeplug import (
    AnalyticFirst,
    Denoise,
    Integrator,
    Karras,
    Leg,
    LogSNR,
    OnGrid,
    Pipeline,
    Quadratic,
    ReverseSDE,
    ScoreModel,
    TimeGrid,
    Uniform,
)
from sdeplug.registry import named
from sdeplug_exponential import DDIM, FDDIM, IPNDM, DPMpp2M, UniPC

BUDGETS = (5, 6, 8, 10)
GRIDS: dict[str, type[TimeGrid]] = {
    each.__name__: each for each in (Quadratic, Karras, LogSNR, Uniform)
}
SOLVERS = (DDIM(), IPNDM(2), IPNDM(4), FDDIM(), DPMpp2M())
SHAPE, SEED, CONVERGED, MOST = (48, 1, 28, 28), 5, 80, 60


def sampled(score: ScoreModel, by: Integrator) -> tuple[torch.Tensor, int]:
    """Samples along the probability flow and their evaluations, from the same start each time."""
    sde = score.sde  # type: ignore[attr-defined]
    legs = (Leg(sde.eps, by), Leg(0.0, Denoise()))
    found = Pipeline(ReverseSDE(sde, score, 0.0), legs).sample(SHAPE, seed=SEED)
    return found.x, found.nfe


def on_budget(score: ScoreModel, by: Integrator, grid: type[TimeGrid], nfe: int) -> OnGrid:
    """The solver on the longest grid of a kind that costs so many evaluations at most."""
    sde = score.sde  # type: ignore[attr-defined]
    spared = isinstance(score, AnalyticFirst)
    ends = isinstance(by, FDDIM)  # it looks there, and before its first step
    best = None
    for steps in range(1, MOST):
        onto = OnGrid(by, grid(steps))  # type: ignore[call-arg]
        times = torch.tensor(onto.grid.times(sde.T, sde.eps, sde), dtype=torch.float64)
        asked = score.asked(times) if spared else torch.ones(len(times), dtype=torch.bool)
        if int(asked.sum() if ends else asked[:-1].sum()) + 1 <= nfe:
            best = onto
    assert best is not None
    return best


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--above", type=float)
    parser.add_argument("--nfe", type=int, nargs="+", default=BUDGETS)
    parser.add_argument("--solver", type=partial(named, "solvers"), nargs="+", default=SOLVERS)
    parser.add_argument("--grid", choices=GRIDS, nargs="+", default=tuple(GRIDS)[:3])
    parser.add_argument("--plain", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    model = mnist.network(asked.data)
    known, _ = mnist.digits(asked.data)
    first = AnalyticFirst.of(model.score, model.sde, known, asked.above)
    flow, _ = sampled(model.score, OnGrid(UniPC(3), LogSNR(CONVERGED)))
    scores = (model.score,) if asked.plain else (model.score, first)
    columns = [(score, nfe) for score in scores for nfe in asked.nfe]
    for grid in (GRIDS[name] for name in asked.grid):
        heads = [f"{nfe}{', first' if score is first else ''}" for score, nfe in columns]
        print(f"| {grid.__name__} | {' | '.join(heads)} |\n| --- {'| --- ' * len(columns)}|")
        for by in asked.solver:
            cells = []
            for score, nfe in columns:
                x, spent = sampled(score, on_budget(score, by, grid, nfe))
                assert spent == nfe, (by, grid, spent, nfe)
                cells.append(f"{float((x - flow).square().mean().sqrt()):.3f}")
            print(f"| {by!r} | {' | '.join(cells)} |", flush=True)
        print()


if __name__ == "__main__":
    main()
