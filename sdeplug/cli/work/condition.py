"""The ``condition`` command: samples that agree with what was measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor

from sdeplug.cli.work.aim import Aim, Learned, Subject
from sdeplug.cli.work.drawn import Drawn
from sdeplug.cli.work.particles import DEFAULT as PARTICLES
from sdeplug.cli.work.particles import Particles
from sdeplug.compose import Corrected, Denoise, OnGrid
from sdeplug.conditioning import (
    DDRM,
    Blur,
    Downsample,
    Grey,
    Mask,
    Matrix,
    Measurement,
    Operator,
    Replacement,
    TimeTravel,
)
from sdeplug.errors import ArgumentError, MissingExtraError, PairingError
from sdeplug.options import options_of
from sdeplug.pipeline import Leg, Pipeline, last_time
from sdeplug.registry import named, named_grid, registry
from sdeplug.reverse import ReverseSDE
from sdeplug.score import ScoreModel
from sdeplug.solvers import Integrator

_SOLVER, _WEIGHED = "exponential/ddim", "smc"
_FAR = 2.0  # beyond it numbers are in other units than images in [-1, 1]


@dataclass(frozen=True)
class Asked:
    """What is asked for; the names are those of the flags."""

    measured: Path
    subject: Subject
    drawn: Drawn
    mask: Path | None
    matrix: Path | None
    grey: bool
    downsample: int | None
    blur: float | None
    noise_std: float
    method: str
    particles: int | None
    journeys: int
    sde: str | None
    solver: str | None
    steps: int

    @property
    def rows(self) -> int:
        """How many rows are run: samples, or the particles that they are picked from.

        Raises:
            ArgumentError: for particles of another method, or fewer than samples.
        """
        samples = self.drawn.samples
        if self.method != _WEIGHED:
            if self.particles is not None:
                raise ArgumentError(
                    "particles", self.particles, f"left out: only --method {_WEIGHED} has some"
                )
            return samples
        if self.particles is None:
            return max(PARTICLES, samples)
        if self.particles < samples:
            allowed = f"at least {samples}, as many as samples"
            raise ArgumentError("particles", self.particles, allowed)
        return self.particles

    def operator(self, shape: tuple[int, ...]) -> Operator:
        """The operator that the flags say, for samples of a shape.

        Raises:
            ArgumentError: unless there is one, and one alone.
        """
        given = {
            "mask": self.mask, "matrix": self.matrix, "grey": self.grey or None,
            "downsample": self.downsample, "blur": self.blur,
        }  # fmt: skip
        names = [name for name, value in given.items() if value is not None]
        if len(names) != 1:
            raise ArgumentError(
                names[-1] if names else "mask", given[names[-1]] if names else None,
                "the one of --mask, --matrix, --grey, --downsample and --blur that is given",
            )  # fmt: skip
        if self.mask is not None:
            return _mask(self.mask, shape)
        if self.matrix is not None:
            if self.subject.model is not None:
                raise ArgumentError("matrix", str(self.matrix), "given with --target")
            return Matrix(torch.from_numpy(_array("matrix", self.matrix)), shape)
        if self.downsample is not None:
            return _built("downsample", Downsample, self.downsample)
        if self.blur is not None:
            return _built("blur", Blur.gaussian, self.blur)
        return Grey((1.0 / shape[0],) * shape[0])


def run(asked: Asked) -> None:
    """Sample, write OUT.npz and OUT.png, and say what it cost.

    Raises:
        SdeplugError: for anything that does not fit, before anything is computed.
    """
    drawn, rows = asked.drawn, asked.rows
    aim = asked.subject.aim(rows, drawn.place)
    drawn.place.demand_room(rows, aim.shape)
    known = _measurement(asked, aim)
    particles = Particles(known, drawn.samples) if asked.method == _WEIGHED else None
    pipeline = _pipeline(asked, aim, known, particles)
    samples = replace(drawn, samples=rows).draw(pipeline, aim)
    if particles is not None:
        samples, aim = particles.kept(samples, aim)
    misfit = known.residual(samples.x).square().mean().sqrt()
    drawn.keep(samples, aim, {"misfit": float(misfit)})
    cost = f"{samples.nfe} score evaluations, {samples.seconds:.2f} s"
    more = "" if particles is None else f"; {particles.told(rows)}"
    click.echo(
        f"{drawn.samples} samples by {asked.method}: {cost}; misfit {float(misfit):.2g}{more}"
    )
    drawn.show(samples, aim)


def _built(flag: str, make: Callable[[Any], Operator], value: object) -> Operator:
    """An operator of one number; what it refuses is called as it was typed."""
    try:
        return make(value)
    except ArgumentError as error:
        raise ArgumentError(flag, value, error.allowed, error.hint) from error


def _pipeline(asked: Asked, aim: Aim, known: Measurement, particles: Particles | None) -> Pipeline:
    forward = aim.forward(asked.sde)
    score, by = aim.score(forward), _step(asked)
    end: Integrator = Denoise()
    if particles is not None:
        by = particles.by
    elif asked.method == "replacement":
        by, end = Corrected(by, Replacement(known)), Corrected(end, Replacement(known))
    elif asked.method == "ddrm":
        by = DDRM(known)
    else:
        score = _given(asked.method, score, known)
    if asked.journeys:
        by = Corrected(by, TimeTravel(by), sweeps=asked.journeys)
    leg = Leg(last_time(forward), OnGrid(by, named_grid("log-snr", asked.steps)))
    legs = (leg, Leg(0.0, end)) if leg.to > 0.0 else (leg,)
    return Pipeline(ReverseSDE(forward, score), legs)


def _given(method: str, score: ScoreModel, known: Measurement) -> ScoreModel:
    """The score of data that agree with what is known, by a method of this house or of a plugin."""
    made: Any = registry().find("scores", method).obj
    wanted = [each.name for each in options_of(made) if each.required]
    if wanted and wanted != ["score", "measurement"]:
        raise ArgumentError(
            "method", method, "a score given a measurement",
            f"It needs {' and '.join(wanted)}: give it in code.",
        )  # fmt: skip
    found: ScoreModel = made(score, known)
    return found


def _step(asked: Asked) -> Integrator:
    """The solver that is asked for."""
    method = asked.method
    if asked.solver is not None and method in ("ddrm", _WEIGHED):
        allowed = f"left out with {method}, which is a solver itself"
        raise ArgumentError("solver", asked.solver, allowed)
    if method == _WEIGHED and (asked.journeys or len(asked.subject.labels) > 1):
        name = "journeys" if asked.journeys else "labels"
        value = asked.journeys or asked.subject.labels[1]
        allowed = f"left out with {_WEIGHED}, whose particles are weighed against each other"
        raise ArgumentError(name, value, allowed)
    by = named("solvers", asked.solver or _SOLVER)
    if not isinstance(by, Integrator) or not by.needs_grid:
        raise ArgumentError("solver", asked.solver, "one of single steps, such as song/ancestral")
    return by


def _measurement(asked: Asked, aim: Aim) -> Measurement:
    operator = asked.operator(aim.shape)
    given = _numbers(asked, aim, isinstance(operator, Mask))
    y = operator.forward(given[None]) if isinstance(operator, Mask) else given[None]
    if len(aim.shape) == 3 and not isinstance(operator, Matrix) and float(y.abs().max()) > _FAR:
        raise ArgumentError(
            "measured", str(asked.measured), "in the range of the samples",
            f"It has numbers up to {float(y.abs().max()):g}, where samples are in [-1, 1].",
        )  # fmt: skip
    found = Measurement(operator, y.to(asked.drawn.place.device), asked.noise_std)
    if found.shape != aim.shape:
        raise ArgumentError(
            "measured", str(asked.measured), f"measured of samples of shape {aim.shape}",
            f"It fits samples of shape {found.shape}.",
        )  # fmt: skip
    return found


def _numbers(asked: Asked, aim: Aim, whole: bool) -> Tensor:
    """What is in the file, as the score model has it: float64, without a batch."""
    path, shape = asked.measured, aim.shape
    picture = path.suffix != ".npy"
    found = (
        _pixels(path, shape[0] if len(shape) == 3 and not asked.grey else 1)
        if picture
        else (_array("measured", path))
    )
    if isinstance(aim, Learned):
        middle, scale = aim.units.offset, aim.units.scale
        if len(middle) == 1:
            found = (found - middle[0]) / scale[0]
        elif whole:
            found = (found - np.array(middle)) / np.array(scale)
    elif picture:
        found = found / 127.5 - 1.0
    if whole and found.size == np.prod(shape):
        found = found.reshape(shape)
    elif found.ndim == 2 and len(shape) == 3:
        found = found[None]
    if whole and found.shape != shape:
        raise ArgumentError("measured", str(path), f"of shape {shape}", f"It has {found.shape}.")
    return torch.from_numpy(np.ascontiguousarray(found))


def _mask(path: Path, shape: tuple[int, ...]) -> Mask:
    if path.suffix == ".npy":
        found = np.asarray(_loaded("mask", path))
        if found.dtype != np.bool_:
            raise ArgumentError("mask", f"{path} of {found.dtype}", "a Boolean array, True: known")
    else:
        found = _pixels(path, 1) > 127
    if found.shape[-2:] != shape[-2:] or (found.ndim == 3 and found.shape[0] not in (1, shape[0])):
        raise ArgumentError("mask", str(path), f"of shape {shape}", f"It has {found.shape}.")
    return Mask(torch.from_numpy(np.broadcast_to(found, shape).copy()))


def _array(argument: str, path: Path) -> np.ndarray[Any, np.dtype[np.float64]]:
    found = np.asarray(_loaded(argument, path))
    if found.dtype.kind not in "fiu":
        raise ArgumentError(argument, f"{path} of {found.dtype}", "an array of real numbers")
    return found.astype(np.float64)


def _loaded(argument: str, path: Path) -> Any:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ArgumentError(argument, str(path), "a .npy file that is whole", f"{error}") from error


def _pixels(path: Path, channels: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A picture as numbers from 0 to 255: ``(C, H, W)``."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("a picture", "pillow", "images") from error
    if channels not in (1, 3):
        raise PairingError(f"{path} is a picture, and samples have {channels} channels: give .npy.")
    try:
        with Image.open(path) as picture:
            found = np.asarray(picture.convert("L" if channels == 1 else "RGB"), dtype=np.float64)
    except (OSError, ValueError) as error:
        raise ArgumentError(
            "measured", str(path), "a picture or a .npy file", f"{error}"
        ) from error
    return found[None] if channels == 1 else np.moveaxis(found, -1, 0)
