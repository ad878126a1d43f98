"""The ``likelihood`` command: data from a file, a number for each row, a file of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor

from sdeplug.cli.work.bar import Bar
from sdeplug.cli.work.data.read import Source, as_trained, parsed
from sdeplug.cli.work.data.rows import finite
from sdeplug.cli.work.data.units import Units
from sdeplug.cli.work.files import write
from sdeplug.cli.work.place import Place
from sdeplug.errors import ArgumentError
from sdeplug.likelihood import (
    Exact,
    Hutchinson,
    Likelihood,
    bits_per_dim,
    dequantised,
    log_likelihood,
)
from sdeplug.networks import load
from sdeplug.noise import PerSampleNoise
from sdeplug.registry import named, target
from sdeplug.reverse import ReverseSDE
from sdeplug.score import Trace
from sdeplug.solvers import Integrator


@dataclass(frozen=True)
class Settings:
    """What the flags say of the run."""

    solver: str | None = None
    probes: int | None = None
    levels: int | None = None
    t: float | None = None
    batch: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise ArgumentError("batch", self.batch, "at least 1")

    @property
    def trace(self) -> Trace:
        """How the divergence is found."""
        return Exact() if self.probes is None else Hutchinson(self.probes)

    @property
    def by(self) -> Integrator | None:
        """The solver; None: the one of :func:`log_likelihood`."""
        return None if self.solver is None else named("solvers", self.solver)


@dataclass(frozen=True)
class Request:
    """What to look at and where to put what is found.

    Attributes:
        data: a file of arrays, a table, or a folder of images, as ``sdeplug train`` takes them.
        source: folder of a model, or the names of a target and an SDE.
        settings: what the other flags say.
        place: device and dtype.
        out: path without ending.
    """

    data: Path
    source: Path | tuple[str, str]
    settings: Settings
    place: Place
    out: Path


@dataclass(frozen=True)
class _Source:
    reverse: ReverseSDE
    shape: tuple[int, ...] | None = None
    data_range: tuple[float, float] = (-1.0, 1.0)
    units: Units | None = None

    @property
    def stretch(self) -> float:
        """Log-density of data less that of what the network sees, in nats."""
        if self.units is None:
            return 0.0
        scale = np.log(np.broadcast_to(np.array(self.units.scale), self.units.shape[-1:]))
        return -float(scale.sum()) * math.prod(self.units.shape[:-1])


def run(request: Request) -> None:
    """Find the log-density of each row, write OUT.npz, and say the mean and what it cost.

    Raises:
        SdeplugError: for anything that does not fit, before anything is computed; for a row whose
            log-density is not finite.
    """
    source = _source(request)
    x = _data(request.data, source)
    settings = request.settings
    _check_levels(x, settings.levels, source)
    by, trace = settings.by, settings.trace
    found: list[Likelihood] = []
    with Bar("likelihood") as bar:
        bar.show(0, len(x))
        for start in range(0, len(x), settings.batch):
            rows = x[start : start + settings.batch]
            noise = PerSampleNoise(settings.seed, range(start, start + len(rows)))
            state = _state(rows, source, request, noise)
            found.append(
                log_likelihood(
                    source.reverse, state, by, divergence=trace, t=settings.t, noise=noise
                )
            )
            bar.show(start + len(rows), len(x))
    _finish(found, source, request)


def _source(request: Request) -> _Source:
    if isinstance(request.source, Path):
        try:
            model = load(request.source)
        except ArgumentError as error:
            where = str(request.source)
            raise ArgumentError("folder", where, error.allowed, error.hint) from error
        if isinstance(model.network, torch.nn.Module):
            model.network.to(request.place.device, request.place.torch_dtype)
        units, limits = Units.load(request.source), model.data_range or (-1.0, 1.0)
        levels = request.settings.levels
        if levels is not None and units is not None and not units.whole:
            raise ArgumentError(
                "levels", levels, "left out: the network was not trained on whole numbers"
            )
        shape = None if units is None else units.shape
        return _Source(ReverseSDE(model.sde, model.score), shape, limits, units)
    aim, sde = target(request.source[0]), named("sdes", request.source[1])
    return _Source(ReverseSDE(sde, aim.score(sde)), aim.shape)


def _data(path: Path, source: _Source) -> Tensor:
    """The rows of a file, as every command reads them, one row for each sample."""
    if source.units is not None:
        rows, _ = as_trained(path, source.units)
    else:
        rows, _ = parsed(Source(path, classes=False))
    x, shape = rows.x, source.shape
    wanted = "(rows, *shape)" if shape is None else f"(rows, {', '.join(map(str, shape))})"
    fits = x.ndim > 1 and len(x) and (shape is None or x.shape[1:] == shape)
    if not fits or x.dtype.kind not in "fiu":
        given = f"{path}: shape {x.shape}, {x.dtype}"
        raise ArgumentError("data", given, f"numbers of shape {wanted}")
    finite(rows, skip=False)
    return torch.from_numpy(np.ascontiguousarray(x))


def _check_levels(x: Tensor, levels: int | None, source: _Source) -> None:
    if levels is not None:
        try:
            dequantised(x, levels=levels)
        except ArgumentError as error:
            name = "data" if error.argument == "images" else error.argument
            raise ArgumentError(name, error.value, error.allowed, error.hint) from error
    elif not x.is_floating_point() and source.units is None:
        raise ArgumentError(
            "data", str(x.dtype), "floating-point numbers, or whole ones with --levels",
            "Images of 0 to 255 have --levels 256.",
        )  # fmt: skip


def _state(x: Tensor, source: _Source, request: Request, noise: PerSampleNoise) -> Tensor:
    place, levels = request.place, request.settings.levels
    if levels is not None:
        limits = source.data_range if source.units is None else (-0.5, levels - 0.5)
        x = dequantised(x, noise, levels=levels, data_range=limits, dtype=torch.float64)
    if source.units is not None:
        x = source.units.inward(x.numpy())
    return x.to(place.device, place.torch_dtype)


def _bits(found: Likelihood, source: _Source, levels: int) -> Tensor:
    """Bits per dimension: in units of the data, each whole number has a bin of length 1."""
    if source.units is None:
        return bits_per_dim(found, levels=levels, data_range=source.data_range).total
    bit = math.log(2.0) * math.prod(source.units.shape)
    return bits_per_dim(found, levels=None).total - source.stretch / bit


def _finish(found: list[Likelihood], source: _Source, request: Request) -> None:
    """Write what was found, and say the mean."""
    levels = request.settings.levels
    arrays: dict[str, Any] = {
        name: torch.cat([getattr(each, name) for each in found]).cpu().numpy()
        for name in ("log_prob", "prior", "flow")
    }
    if source.units is not None:
        arrays["rescaling"] = np.full_like(arrays["flow"], source.stretch)
        arrays["log_prob"] = arrays["log_prob"] + arrays["rescaling"]
    if found[0].std_error is not None:
        errors = [each.std_error for each in found if each.std_error is not None]
        arrays["std_error"] = torch.cat(errors).cpu().numpy()
    if levels is not None:
        bits = torch.cat([_bits(each, source, levels) for each in found])
        arrays["bits_per_dim"] = bits.cpu().numpy()
    arrays |= {"t": found[0].t, "nfe": sum(each.nfe for each in found)}
    path = request.out.with_name(request.out.name + ".npz")
    write(path, lambda place: np.savez(place, **arrays))
    click.echo(_told(arrays, sum(each.seconds for each in found)))


def _told(arrays: dict[str, Any], seconds: float) -> str:
    values = arrays["log_prob"]
    error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    told = f"{len(values)} rows at t = {arrays['t']:g}: mean log p = {values.mean():.4f} nats"
    told += f" (standard error {error:.2g})" if len(values) > 1 else ""
    if "bits_per_dim" in arrays:
        told += f", {arrays['bits_per_dim'].mean():.4f} bits per dimension"
    return f"{told}; {arrays['nfe']} score evaluations, {seconds:.2f} s"
