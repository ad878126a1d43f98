"""What a cell is called on disk: a digest of everything that decides its result."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from functools import lru_cache
from types import FunctionType

import torch
from torch import Tensor

from sdeplug.compare.cells import Cell, Floor
from sdeplug.metrics import Truth
from sdeplug.pipeline import Pipeline
from sdeplug.registry import installed_version
from sdeplug.sde import LinearSDE
from sdeplug.targets import Target

_ROWS = 8
_PLACES = (0.0, 0.5, 1.0)  # of the way from eps to T, where scores are compared


def keys(cells: Sequence[Cell | Floor]) -> list[str]:
    """A digest of each: other cells, and other versions of sdeplug or torch, have others.

    The label of a solver is no part of it.  Targets and score models, which may be anything, are
    known by what they give: draws and scores at a few points.  The code of a solver is known by
    the name of its class and by its options, a function of yours by its own name.
    """
    versions = f"{installed_version('sdeplug')} {torch.__version__}"
    behaviour: dict[int, str] = {}  # by identity: the cells of an entrant share its pipeline
    names = []
    for cell in cells:
        what = cell.truth if isinstance(cell, Floor) else cell.entrant.pipeline
        if id(what) not in behaviour:
            behaviour[id(what)] = _behaviour(cell)
        parts = [behaviour[id(what)], described(cell.metrics), repr((cell.samples, cell.keep))]
        if isinstance(cell, Cell):
            parts.append(repr((cell.score_error, cell.seed, cell.exact, cell.rows)))
        names.append(hashlib.sha256("\n".join((*parts, versions)).encode()).hexdigest()[:32])
    return names


def _behaviour(cell: Cell | Floor) -> str:
    """What runs, or what is drawn, in full."""
    if isinstance(cell, Floor):
        truth = cell.truth
        place = described(truth.sde), repr((truth.t, truth.seed))
        return "\n".join((_law(truth.target, truth.sde), *place))
    pipeline, sde = cell.entrant.pipeline, cell.entrant.pipeline.reverse.linear
    parts = (_law(cell.target, sde), described(sde), described(pipeline.legs))
    return "\n".join((*parts, _score(pipeline, cell.target)))


def described(value: object) -> str:
    """A value in full, with the modules of its classes: two plugins may both have an Euler."""
    if is_dataclass(value) and not isinstance(value, type):
        parts = [f"{each.name}={described(getattr(value, each.name))}" for each in fields(value)]
        cls = type(value)
        return f"{cls.__module__}.{cls.__qualname__}({', '.join(parts)})"
    if isinstance(value, (tuple, list)):
        return f"({', '.join(map(described, value))})"
    if isinstance(value, FunctionType):
        return f"{value.__module__}.{value.__qualname__}"
    return repr(value)


@lru_cache(maxsize=8)  # the covariance of images takes a while
def _law(target: Target, sde: LinearSDE) -> str:
    draws = Truth(target, sde, 0.0).draws(_ROWS, "identity")
    return f"{target!r} {_digest(draws, target.mean, target.covariance)}"


def _score(pipeline: Pipeline, target: Target) -> str:
    """What score model and stochasticity give at a few places."""
    reverse = pipeline.reverse
    sde = reverse.linear
    found = []
    for place in _PLACES:
        t = sde.eps + place * (sde.T - sde.eps)
        x = Truth(target, sde, t).draws(_ROWS, "identity").float()
        with torch.no_grad():
            found += [
                reverse.score(x, t),
                torch.tensor(reverse.level(t), dtype=torch.float32, device="cpu"),
            ]
    return _digest(*found)


def _digest(*tensors: Tensor) -> str:
    digest = hashlib.sha256()
    for each in tensors:
        digest.update(each.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
