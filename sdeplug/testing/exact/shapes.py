"""The same numbers in another shape are the same rows, and no coordinate is treated apart.

What a solver does to a row of ``(B, D)`` is judged by its law.  These two checks carry that over
to images and to every coordinate: they compare states number by number, so that nothing is left
to chance.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from sdeplug.noise import NoiseSource, SharedNoise
from sdeplug.run import Run
from sdeplug.score import ScoreModel
from sdeplug.testing.bench import Solver
from sdeplug.testing.claimed import tolerant
from sdeplug.testing.contract.calls import Call, working
from sdeplug.testing.exact.affine import is_affine, rounding
from sdeplug.testing.findings import Finding, NotApplicable, demand

SHAPES: tuple[tuple[int, ...], ...] = (
    (3, 2, 4), (1, 4, 6), (4, 3, 2), (2, 12), (1, 24), (24, 1), (24, 1, 1), (1, 1, 24),
    (2, 3, 2, 2), (3, 1, 2, 4), (1, 2, 3, 4),
)  # fmt: skip
"""Shapes of the same 24 numbers, of rank 2 to 4, with the axes of images and without."""

_IMAGE = (3, 16, 16)
_ROWS = 3
_ROUNDING = 1e-10  # a sum over a row may be taken in another order
_CHOSEN = 1e-8  # where that decides how long a step is


def check_other_shapes(solver: Solver) -> Finding:
    """The same numbers in another shape, with the same noise, become the same rows.

    The score ties coordinates together and is another in each, so that none stands for another.
    """
    allowed = _CHOSEN if tolerant(solver) else _ROUNDING
    first, *others = working(solver)
    cases = [(first, shape) for shape in (*SHAPES, _IMAGE)]
    cases += [(sde, SHAPES[0]) for sde in others]
    flat: dict[object, Tensor] = {}
    for sde, shape in cases:
        call = replace(Call.plain(solver, sde), shape=(_ROWS, math.prod(shape)))
        if (sde, call.shape) not in flat:
            flat[sde, call.shape] = _moved(solver, call, call.state())
        wanted = flat[sde, call.shape]
        shaped = _moved(solver, call, call.state().reshape(_ROWS, *shape))
        gap = _gap(shaped.reshape(wanted.shape), wanted)
        demand(
            gap <= allowed,
            f"the {wanted.shape[1]} numbers of a row came out otherwise in the shape {shape} than "
            f"in one line, by {gap:.2g} of their size: treat all axes but the first alike ({call})",
        )
    return Finding(f"{len(SHAPES)} shapes of 24 numbers, and images of {_IMAGE}")


def check_coordinates(solver: Solver) -> Finding:
    """A rotation of all coordinates, those of images too, rotates what comes out.

    So none of them is treated in a way of its own, and none moves another.
    """
    if not is_affine(solver):
        raise NotApplicable("it is not affine: the sampling checks measure its law by coordinates")
    worst, (first, *_) = 0.0, working(solver)
    for sde in working(solver):
        for shape in (SHAPES[0], _IMAGE)[: 2 if sde is first else 1]:
            call = replace(Call.plain(solver, sde), shape=(_ROWS, *shape))
            mirror = _Mirror(math.prod(shape))
            x, centre = call.state(), _centre(shape)
            straight = call.in_steps(solver, x, call.normal_score(centre), Run(SharedNoise(0)))
            run = Run(_Turned(SharedNoise(0), mirror))
            score = call.normal_score(mirror(centre[None])[0])
            turned = call.in_steps(solver, mirror(x), score, run)
            worst = max(worst, gap := _gap(mirror(turned), straight))
            demand(
                gap <= rounding(solver),
                f"rotating {_ROWS} rows of shape {shape}, with their noise and score, does more "
                f"than rotate what comes out, by {gap:.2g} of its size: a coordinate has a drift "
                f"or noise of its own, or moves others ({call})",
            )
    return Finding(f"off by {worst:.0e}")


def _moved(solver: Solver, call: Call, x: Tensor) -> Tensor:
    with torch.no_grad():
        return call.in_steps(solver, x, _woven(call), Run(SharedNoise(0)))


def _woven(call: Call) -> ScoreModel:
    """A score that is another in each coordinate and follows its neighbours, by place in a line."""

    def score(x: Tensor, t: Tensor) -> Tensor:
        line = x.flatten(1)
        centre = _centre(line.shape[1:])
        return call.score(line - centre + 0.1 * line.roll(1, 1), t).reshape(x.shape)

    return score


def _centre(shape: tuple[int, ...]) -> Tensor:
    """Numbers from -1 to 1, another in each place."""
    line = torch.linspace(-1.0, 1.0, math.prod(shape), dtype=torch.float64, device="cpu")
    return line.reshape(shape)


class _Mirror:
    """A reflection of rows, whatever their shape: I - 2 v v^T, its own inverse."""

    def __init__(self, dimension: int) -> None:
        line = torch.arange(1, dimension + 1, dtype=torch.float64, device="cpu")
        self.axis = (1.0 + line.sqrt()).cos()
        self.axis /= self.axis.norm()

    def __call__(self, x: Tensor) -> Tensor:
        line = x.flatten(1)
        return (line - 2.0 * torch.outer(line @ self.axis, self.axis)).reshape(x.shape)


class _Turned(NoiseSource):
    """The noise of a source, reflected."""

    def __init__(self, source: NoiseSource, mirror: _Mirror) -> None:
        self.source, self.mirror = source, mirror

    def normal(self, like: Tensor) -> Tensor:
        numbers = self.source.normal(like)
        whole = numbers[0].numel() == len(self.mirror.axis)
        return self.mirror(numbers) if whole else numbers


def _gap(one: Tensor, other: Tensor) -> float:
    """Largest difference, in units of the largest number."""
    return float((one - other).abs().max() / other.abs().max().clamp(min=1e-30))


CHECKS = (check_other_shapes, check_coordinates)
"""The checks of this module."""
