"""Who takes part in the frontier: our solvers, and the samplers of other libraries on all grids."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import torch

from sdeplug import (
    VPSDE,
    Counted,
    Focus,
    Integrator,
    LogSNR,
    MissingExtraError,
    OnGrid,
    ReverseSDE,
    Run,
    Silence,
    solver,
)
from sdeplug.testing.bench import gaussian_score
from sdeplug_exponential import SDEDPM, Adams, Auto, DPMpp2MSDE, SASolver
from sdeplug_foreign import AzulaSampler, DiffusersSampler, KDiffusionSampler
from sdeplug_foreign.borrowed import Borrowed

Family = Callable[[int], Integrator]
"""A budget of evaluations to a sampler from T to eps."""

EVEN = LogSNR(1)
SPACINGS = ("log-snr", "karras", "uniform")
LIBRARIES: tuple[type[Borrowed], ...] = (KDiffusionSampler, AzulaSampler, DiffusersSampler)
TWINS = {
    "diffusers": (
        "ddim", "ddpm", "dpm-multistep-2", "dpm-multistep-2-sde", "deis-2", "deis-3", "euler",
        "edm-dpm-multistep-2", "edm-dpm-multistep-3", "heun", "lms", "euler-ancestral", "kdpm2",
        "kdpm2-ancestral", "dpm-sde", "cosine-dpm-multistep-2", "edm-euler",
    ),
    "azula": ("ddpm", "ddim", "euler", "heun"),
}  # fmt: skip
"""Samplers that are others over again, with equal errors on a Gaussian: they are left out."""


@dataclass(frozen=True)
class Entrant:
    """One sampler on one grid, at one stochasticity.

    Attributes:
        name: what the tables call it.
        family: the sampler for a budget.
        stochasticity: of the reverse SDE that it is given.
        noisy: whether it draws noise.
        grid: name of its grid, where it does not bring its own.
        least: the smallest budget that is enough for it.
    """

    name: str
    family: Family
    stochasticity: float = 0.0
    noisy: bool = False
    grid: str = ""
    least: int = 1


def stepping(name: str) -> Family:
    """A named solver on equal steps in log-SNR; ``name:option=value`` as well."""
    name, _, rest = name.partition(":")
    options = {key: int(value) for key, value in (pair.split("=") for pair in rest.split())}
    return on(solver(f"exponential/{name}", **options), EVEN)


def on(by: Integrator, grid: LogSNR | Focus) -> Family:
    """A solver on a grid of as many steps as a budget pays for."""
    return lambda nfe: OnGrid(by, replace(grid, steps=max(nfe // (by.claims.evaluations or 1), 1)))


def family() -> Iterator[Entrant]:
    """For a wrong score: auto, and members of the family on two grids at two stochasticities."""
    yield Entrant("auto", partial(Auto, score_error=0.05), 1.0, True, "its own")
    grids = {"log-snr": EVEN, "focus": Focus(1, 0.0025, 19.0)}
    members = {
        "dpmpp-2m-sde": DPMpp2MSDE(),
        "sa-solver": SASolver(),
        "sde-dpm": SDEDPM(),
        "adams 2,0 of the noise": Adams(2, 0, noise_prediction=True),
    }
    for (grid, steps), (name, member) in product(grids.items(), members.items()):
        for level in (1.0, 1.4):
            yield Entrant(f"{name}, l = {level:g}", on(member, steps), level, True, grid)


def ours(size: float) -> Iterator[Entrant]:
    """Auto, first, and solvers of the same plugin, for a score that is off by so much."""
    yield Entrant("auto", partial(Auto, score_error=size), 1.0, size > 0.0, "its own")
    noisy = ("dpmpp-2m-sde", "sa-solver", "adams", "er-sde", "exp-midpoint", "exp-heun", "exp-rk3")
    for name in noisy[:3] if size else noisy:
        yield Entrant(f"{name}, l = 1", stepping(name), 1.0, True)
    if size:
        yield Entrant("sde-dpm, l = 1", stepping("sde-dpm"), 1.0, True)
        return
    flow = ("ddim", "dpmpp-2m", "dpmpp-3m", "unipc:order=2", "unipc", "exp-midpoint", "exp-rk3")
    flow += ("ipndm:order=2", "ipndm", "gradient-estimation")
    for name in flow:
        yield Entrant(name, stepping(name))
    for p, c in ((2, 2), (3, 3), (4, 4)):
        yield Entrant(f"adams {p},{c}", stepping(f"adams:predictor={p} corrector={c}"))
    yield Entrant("edm-heun", lambda nfe: solver("exponential/edm-heun", steps=nfe // 2))


def theirs() -> Iterator[Entrant]:
    """All samplers of the libraries that are installed, on every grid, at stochasticity 1."""
    for cls in LIBRARIES:
        try:
            spent(cls(steps=2))
        except MissingExtraError as error:
            print(f"left out: {error}")
            continue
        for name in cls.recipes:
            if name in TWINS.get(cls.library, ()):
                continue
            by = cls(name)
            cost, noisy = spent(replace(by, steps=12)) // 12, by.claims.stochastic
            least = cost * by.recipe.fewest + by.recipe.further
            for grid in SPACINGS:
                family = partial(_steps, replace(by, spacing=grid), cost)
                yield Entrant(f"{cls.library} {name}", family, 1.0, noisy, grid, least)


def _steps(by: Borrowed, cost: int, nfe: int) -> Integrator:
    return replace(by, steps=(nfe - by.recipe.further) // cost)


def spent(by: Integrator) -> int:
    """Score evaluations of a run."""
    sde = VPSDE()
    counted = Counted(gaussian_score(sde, (1.0, 1.0)))
    x = torch.zeros(1, 2, dtype=torch.float64)
    by.integrate(ReverseSDE(sde, counted), x, sde.T, sde.eps, Run(Silence()))
    return counted.nfe
