"""The grid of a network: the cheapest path is the cheapest, and it is the grid that it says."""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import pytest
import torch

from sdeplug import (
    VESDE,
    VPSDE,
    ArgumentError,
    At,
    Karras,
    Leg,
    LogSNR,
    OnGrid,
    PairingError,
    Pipeline,
    ReverseSDE,
    Uniform,
    solver,
    targets,
)
from sdeplug.tuning import Search, gits
from sdeplug.tuning.gits import cheapest, costs
from sdeplug.tuning.teacher import teacher


def cost_of(path: tuple[int, ...], cost: torch.Tensor, growth: float) -> float:
    return sum(growth**k * float(cost[a, b]) for k, (a, b) in enumerate(pairwise(path)))


@pytest.mark.parametrize("growth", [0.7, 1.0, 1.3])
@pytest.mark.parametrize("steps", [1, 2, 3, 5, 6])
def test_no_grid_is_cheaper(steps, growth):
    """Against all grids of seven places."""
    draw = torch.rand(7, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(steps))
    cost = torch.where(torch.ones(7, 7).triu(1) > 0, draw, torch.inf)
    grids = [(0, *inner, 6) for inner in combinations(range(1, 6), steps - 1)]
    best = min(grids, key=lambda grid: cost_of(grid, cost, growth))
    assert cheapest(cost, steps, growth) == best


def reverse_of(target, sde=None):
    sde = sde or VPSDE()
    return ReverseSDE(sde, target.score(sde), 0.0)


NOISES = torch.randn(16, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_a_step_of_ddim_costs_what_it_misses():
    """Of N(0, 4 I) the flow is a scale, and so is a step of DDIM."""
    reverse = reverse_of(targets.Gaussian((0.0, 0.0), std=2.0))
    path = teacher(reverse, NOISES, 1.0, 1e-3, 60)
    found = costs(path, carried=False)
    assert found.shape == (61, 61)
    assert torch.isinf(found.tril()).sum() == 61 * 62 // 2
    here, there = 25, 55
    a, b = path.ratios[here], path.ratios[there]
    right = math.sqrt((4 + b * b) / (4 + a * a))
    ddim = b / a + (1 - b / a) * 4 / (4 + a * a)
    size = float(path.states[here].norm(dim=1).mean())
    assert float(found[here, there]) == pytest.approx(abs(right - ddim) * size, rel=0.02)
    spread = float(path.states[-1].var(0, correction=0).mean().sqrt())
    left = spread / math.hypot(spread, b)
    assert float(costs(path)[here, there]) == pytest.approx(left * float(found[here, there]))


@pytest.mark.parametrize("sde", [VPSDE(), VESDE()], ids=["vp", "ve"])
def test_the_grid_suits_the_flow_better_than_those_that_know_nothing(sde):
    target = targets.eight_gaussians()
    reverse = reverse_of(target, sde)
    x = sde.prior_std * NOISES
    grid = gits(reverse, 6, x=x, search=Search(to=0.02))
    assert isinstance(grid, At)
    assert len(grid.points) == 5
    run = {name: Pipeline(reverse, Leg(0.02, by)) for name, by in {
        "right": OnGrid(solver("dpmpp-2m"), LogSNR(80)),
        "gits": OnGrid(solver("ddim"), grid),
        "log-snr": OnGrid(solver("ddim"), LogSNR(6)),
        "karras": OnGrid(solver("ddim"), Karras(6)),
        "uniform": OnGrid(solver("ddim"), Uniform(6)),
    }.items()}  # fmt: skip
    ends = {name: each.sample(x=x).x for name, each in run.items()}
    error = {name: float((end - ends["right"]).norm()) for name, end in ends.items()}
    others = min(error[name] for name in ("log-snr", "karras", "uniform"))
    assert error["gits"] < 0.95 * others


def test_with_as_many_steps_as_the_run_has_it_is_the_grid_of_the_run():
    reverse = reverse_of(targets.eight_gaussians())
    points = gits(reverse, 20, x=NOISES, search=Search(fine=20, to=0.3)).points
    assert points == pytest.approx(LogSNR(20).times(1.0, 0.3, reverse.forward)[1:-1])


@pytest.mark.parametrize(
    ("error", "says", "arguments"),
    [
        (ArgumentError, "steps = 7: must be at most 6", {"steps": 7, "search": Search(fine=6)}),
        (ArgumentError, "steps = 0", {"steps": 0}),
        (ArgumentError, r"shape = \(1, 2\): must be of at least 2 noises", {"shape": (1, 2)}),
        (ArgumentError, r"shape = None: must be \(B, \*D\)", {"shape": None}),
        (ArgumentError, "to = 2.0: must be 0, or in", {"search": Search(to=2.0)}),
        (ArgumentError, "search = 4: must be a Search", {"search": 4}),
        (ArgumentError, "seed = -1", {"seed": -1}),
        (PairingError, "reverse = 3: must be a ReverseSDE", {"reverse": 3}),
    ],
)
def test_what_is_wrong_is_said(error, says, arguments):
    usual = {"reverse": reverse_of(targets.eight_gaussians()), "steps": 4, "shape": (4, 2)}
    with pytest.raises(error, match=says):
        gits(**usual | arguments)
