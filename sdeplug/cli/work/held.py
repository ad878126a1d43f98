"""A network, and data that it has not learned: what is diagnosed, tuned and compared."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from sdeplug.cli.work.aim import Aim, Learned, Subject, opened
from sdeplug.cli.work.data.parts import held_out, of_class
from sdeplug.cli.work.data.read import Source, as_trained, parsed
from sdeplug.cli.work.data.rows import Rows, finite
from sdeplug.cli.work.data.units import Units
from sdeplug.cli.work.place import Place
from sdeplug.errors import ArgumentError
from sdeplug.registry import target
from sdeplug.reverse import ReverseSDE
from sdeplug.targets import Target

_BEYOND = 1e-3  # of the range of the data that rounding may reach


@dataclass(frozen=True)
class Scene:
    """What flags name.

    Attributes:
        subject: the model, perhaps with a class, or the target.
        data: a file of arrays, a table, or a folder of images, as ``sdeplug train`` takes them.
        sde: the forward SDE of a target.
        place: device and dtype of the network.
    """

    subject: Subject
    data: Path | None = None
    sde: str | None = None
    place: Place = field(default_factory=Place)


@dataclass(frozen=True, eq=False)
class Held:
    """What a command looks at.

    Attributes:
        aim: the model or the target.
        reverse: its reverse SDE.
        data: rows as the network sees them, shape ``(n, *D)``; or a law with an exact score.
        told: what the data are, in words.
    """

    aim: Aim
    reverse: ReverseSDE
    data: Tensor | Target
    told: str


def held(scene: Scene) -> Held:
    """A model with data, or a target, which brings its own.

    Rows that the model was trained on are left out, and so are those of other classes than its
    own.

    Raises:
        SdeplugError: for what is not there, or does not fit the model.
    """
    subject, data, place, sde = scene.subject, scene.data, scene.place, scene.sde
    subject.check()
    if subject.model is None:
        if data is not None:
            raise ArgumentError("data", str(data), "left out: a target brings its own")
        exact = subject.exact
        draws = f"exact draws of {exact.name}"
        return Held(exact, _reverse(exact, sde), target(exact.name), draws)
    if data is None:
        raise ArgumentError(
            "data", None, "the file of data that the network was not trained on",
            "That of `sdeplug train` will do: the rows that it held out are taken.",
        )  # fmt: skip
    if len(subject.labels) > 1:
        raise ArgumentError("labels", subject.labels[1], "given once", "Look at one class a time.")
    model, units = opened(subject.model, place), Units.load(subject.model)
    rows, told = _rows(data, units)
    units = units or Units(rows.x.shape[1:], (0.0,), (1.0,))
    aim = Learned(subject.model, model, units, None)
    if subject.labels:
        number = units.number(subject.labels[0])
        rows, told = of_class(rows, number, units), f"{told}, of class {subject.labels[0]}"
        label = torch.tensor([number], dtype=torch.int64, device=place.device)
        aim = replace(aim, labels=label)
    x = units.inward(rows.x)
    _check_range(data, x, aim)
    reverse = _reverse(aim, sde)
    return Held(aim, reverse, x.to(place.device), f"{len(x)} {told}")


def _reverse(aim: Aim, sde: str | None) -> ReverseSDE:
    forward = aim.forward(sde)
    return ReverseSDE(forward, aim.score(forward))


def _rows(path: Path, units: Units | None) -> tuple[Rows, str]:
    """Rows that the model has not learned, and what they are."""
    if units is None:
        rows, left = parsed(Source(path, skip=True))
    else:
        rows, left = as_trained(path, units, skip=True)
    rows, more = finite(rows, skip=True)
    if not len(rows.x):
        raise ArgumentError("data", str(path), "a file with rows of finite numbers")
    beside = "".join(f"; left out {each}" for each in (*left, *more))
    unseen = None if units is None else held_out(rows, units)
    if unseen is None:
        return rows, f"rows of {path}{beside}"
    return unseen, f"rows of {path}, which training held out{beside}"


def _check_range(path: Path, x: Tensor, aim: Learned) -> None:
    known = aim.model.data_range
    least, most = float(x.min()), float(x.max())
    if known is None or (known[0] - _BEYOND <= least and most <= known[1] + _BEYOND):
        return
    scale, offset = aim.units.scale[0], aim.units.offset[0]
    given, wanted = (
        f"from {low * scale + offset:g} to {high * scale + offset:g}"
        for low, high in ((least, most), known)
    )
    raise ArgumentError(
        "data", f"{path}, {given}", f"{wanted}, as the model was trained on", "Scale them to that."
    )
