"""Samplers that are brought to one budget: what a tuning chooses from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import torch

from sdeplug.compare import Contender
from sdeplug.compose import OnGrid
from sdeplug.errors import ArgumentError, argument_type
from sdeplug.grid import Karras, LogSNR, Quadratic, TimeGrid, Uniform
from sdeplug.pipeline import DEFAULT, Pipeline, whole_run
from sdeplug.registry import solver
from sdeplug.reverse import ReverseSDE
from sdeplug.solvers import Integrator, with_own_steps
from sdeplug.targets import Gaussian

Candidates = Mapping[str, Contender | Integrator]
"""Samplers by label: an integrator, or one with a grid and a stochasticity of its own."""

_ONE = 1  # evaluation of the final denoising
_GRIDS: tuple[TimeGrid, ...] = (Uniform(1), Quadratic(1), Karras(1), LogSNR(1))
_FLOWS = (("UniPC 2", 2, 2), ("Adams 2", 2, 0), ("Adams 3", 3, 0))  # label, predictor, corrector


@dataclass(frozen=True)
class Starter:
    """A candidate that is ready to run.

    Attributes:
        label: its name.
        pipeline: what runs.
        nfe: score evaluations of a sample.
    """

    label: str
    pipeline: Pipeline
    nfe: int


def default_candidates() -> dict[str, Contender]:
    """``auto``; multistep methods along the flow, and one with noise, on four grids."""
    found = {"auto": Contender(solver(DEFAULT))}
    for grid in _GRIDS:
        name = type(grid).__name__.lower()
        for label, predictor, corrector in _FLOWS:
            by = solver("exponential/adams", predictor=predictor, corrector=corrector)
            found[f"{label}, {name}"] = Contender(by, 0.0, grid)
        by = solver("exponential/adams", predictor=2)
        found[f"Adams 2 with noise, {name}"] = Contender(by, 1.0, grid)
    return found


def starters(given: Candidates | None, reverse: ReverseSDE, nfe: int) -> list[Starter]:
    """Candidates at a budget; one of sdeplug's own that does not fit it is left out.

    Raises:
        ArgumentError: for candidates that are none, or that the budget is not enough for.
    """
    if given is None:
        named = default_candidates()
    else:
        if not isinstance(given, Mapping) or not given:
            argument_type("candidates", given, "a mapping of labels to integrators")
        named = {k: v if isinstance(v, Contender) else Contender(v) for k, v in given.items()}
    found = []
    for label, each in named.items():
        starter = _starter(label, each, reverse, nfe)
        if starter is not None:
            found.append(starter)
        elif given is not None:
            raise ArgumentError(
                "nfe", nfe, f"enough for {label}: a step, and the final denoising",
                "Give more evaluations, or leave this candidate out.",
            )  # fmt: skip
    if not found:
        raise ArgumentError("nfe", nfe, "at least 2: a step, and the final denoising")
    return found


def _starter(label: str, each: Contender, reverse: ReverseSDE, nfe: int) -> Starter | None:
    """The most steps that the budget has; None if not even one."""
    if not isinstance(each.by, Integrator):
        argument_type(f"candidates[{label!r}]", each.by, "an Integrator, or a Contender of one")
    level = reverse.stochasticity if each.stochasticity is None else each.stochasticity
    own = replace(reverse, stochasticity=level)
    if isinstance(each.by, OnGrid) or each.by.ends_at is not None:
        pipeline = _pipeline(own, each.by)
        spent = each.by.claims.evaluations if each.by.ends_at == 0.0 else None
        spent = _spent(pipeline) if spent is None else spent
        return Starter(label, pipeline, spent) if spent <= nfe else None
    steps = nfe - _ONE
    if each.by.claims.evaluations and each.by.claims.steps is None:
        steps //= each.by.claims.evaluations
    while steps > 0:
        pipeline = _pipeline(own, _with(each, steps))
        spent = _spent(pipeline)
        if spent <= nfe:
            return Starter(label, pipeline, spent)
        steps -= 1
    return None


def _pipeline(reverse: ReverseSDE, by: Integrator) -> Pipeline:
    return Pipeline(reverse, whole_run(reverse.forward, by))


def _with(each: Contender, steps: int) -> Integrator:
    by, grid = each.by, each.grid or LogSNR(1)
    assert isinstance(by, Integrator)
    if by.claims.steps is not None:
        return with_own_steps(by, steps)
    known = {field.name for field in fields(grid)} if isinstance(grid, TimeGrid) else ()  # type: ignore[arg-type]
    if not isinstance(grid, TimeGrid) or "steps" not in known:
        raise ArgumentError("grid", grid, "one with a number of steps, such as Uniform(1)")
    return OnGrid(by, replace(grid, steps=steps))  # type: ignore[type-var]


def _spent(pipeline: Pipeline) -> int:
    """Evaluations of a run, found with a score that costs nothing."""
    sde = pipeline.reverse.linear
    aim = Gaussian(torch.zeros(1, dtype=torch.float64, device="cpu"), std=1.0)
    cheap = replace(pipeline, reverse=replace(pipeline.reverse, score_model=aim.score(sde)))
    return cheap.sample((2, 1)).nfe
