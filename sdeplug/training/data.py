"""Batches of data, without end, in an order that the seed and the number of the step decide.

So a training that is resumed sees what it would have seen.  Tensors are shuffled anew for every
pass; a loader is begun again when it ends, under a seed for each batch that it gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from sdeplug.errors import ArgumentError
from sdeplug.noise import SharedNoise
from sdeplug.sde import LinearSDE
from sdeplug.training.recipe import Recipe

if TYPE_CHECKING:
    from accelerate import Accelerator

_VISIBLE = 0.1  # root mean square of the data that is left at T, in units of the noise there


class Batch(NamedTuple):
    """Data, shape ``(B, *D)``, and a label for each row, or None."""

    x0: Tensor
    labels: Tensor | None


def batches(data: object, recipe: Recipe, start: int, accelerator: Accelerator) -> Iterator[Batch]:
    """The batches of this process from the step ``start`` on, without end.

    Data in memory are checked as a whole, those of a loader in the first batch.

    Args:
        data: a tensor or array, a tuple of data and labels, or an iterable of such batches, which
            can be begun again.
        recipe: size of a batch, over all processes, where data are no batches yet; the seed of
            the order; the SDE of the loss.
        start: number of the first step.
        accelerator: where batches go.

    Raises:
        ArgumentError: for data that are none, or that no training would survive.
    """
    whole, sde = _rows(data), getattr(recipe.loss, "sde", None)
    if whole is not None:
        check_data("data", whole.x0, sde)
        return _drawn(whole, recipe, start, accelerator)
    given = _loaded(_loader("data", data), recipe.seed, start, accelerator)
    first = next(given)
    check_data("data", first.x0, sde)
    return chain((first,), given)


def finite_batches(name: str, data: object, size: int) -> Iterator[Batch]:
    """All of the data once, in order.

    Raises:
        ArgumentError: for data that are none, called by the name of the argument.
    """
    whole = _rows(data, name)
    if whole is None:
        yield from (as_batch(each, name) for each in _loader(name, data))
        return
    labels = whole.labels
    for first in range(0, len(whole.x0), size):
        part = slice(first, first + size)
        yield Batch(whole.x0[part], None if labels is None else labels[part])


def as_batch(batch: object, name: str = "data") -> Batch:
    """What a loader gives as data and labels: a tensor, or one or two of them.

    Raises:
        ArgumentError: for anything else.
    """
    parts = tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)
    if not 1 <= len(parts) <= 2 or not all(isinstance(each, Tensor) for each in parts):
        raise ArgumentError(
            name, [type(each).__name__ for each in parts],
            "batches that are x0, or (x0, labels), of tensors",
            "A generator expression makes them: ((b['image'], b['label']) for b in loader).",
        )  # fmt: skip
    return Batch(parts[0], parts[1] if len(parts) == 2 else None)


def check_data(name: str, x0: Tensor, sde: object) -> None:
    """Refuse data that no training would survive.

    Args:
        name: of the argument.
        x0: data, shape ``(B, *D)``.
        sde: the SDE that turns them into noise, where one is known.

    Raises:
        ArgumentError: for data that are empty, whole numbers, not finite, or so large that the
            SDE cannot hide them.
    """
    shape = tuple(x0.shape)
    if x0.ndim == 0 or len(x0) == 0:
        raise ArgumentError(name, f"of shape {shape}", "data of shape (B, *D), of at least one row")
    if not x0.is_floating_point():
        raise ArgumentError(
            name, f"of dtype {x0.dtype}", "floating-point numbers",
            "Images from 0 to 255 are data.float() / 127.5 - 1.",
        )  # fmt: skip
    wrong = (~x0.isfinite()).reshape(len(x0), -1).any(1).nonzero().flatten().tolist()
    if wrong:
        raise ArgumentError(
            name, f"with a number that is not finite in {len(wrong)} rows, the first {wrong[0]}",
            "finite numbers", "data[data.flatten(1).isfinite().all(1)] leaves these rows out.",
        )  # fmt: skip
    if isinstance(sde, LinearSDE):
        size = float(x0.double().square().mean().sqrt())
        end = sde.at(sde.T)
        most = _VISIBLE * end.sigma / end.alpha
        if size > most:
            raise ArgumentError(
                name, f"of size {size:.3g} (root mean square)",
                f"below {most:.3g}, or {sde!r} would not hide them at T",
                "Images from 0 to 255 are data / 127.5 - 1; others are divided by their spread.",
            )  # fmt: skip


def _loader(name: str, data: object) -> Iterable[object]:
    """What gives batches.

    Raises:
        ArgumentError: if it cannot be that.
    """
    table = hasattr(data, "to_numpy")
    if isinstance(data, Iterable) and not (table or isinstance(data, (Mapping, str))):
        return data
    raise ArgumentError(
        name, type(data).__name__, "a tensor, (data, labels), or a loader of such batches",
        "Of a file: numpy.load(path), or `sdeplug train path`; of a table: frame.to_numpy().",
    )  # fmt: skip


def _rows(data: object, name: str = "data") -> Batch | None:
    """Data and labels in memory, where they are that.

    Raises:
        ArgumentError: unless there are as many labels as rows.
    """
    parts: tuple[Any, ...] = data if isinstance(data, tuple) else (data,)
    if not 1 <= len(parts) <= 2 or not all(isinstance(p, (Tensor, np.ndarray)) for p in parts):
        return None
    x0, *labels = (each if isinstance(each, Tensor) else torch.from_numpy(each) for each in parts)
    if labels and labels[0].shape[:1] != x0.shape[:1]:
        raise ArgumentError(
            name, [tuple(each.shape) for each in parts], "as many labels as rows of data"
        )
    return Batch(x0, labels[0] if labels else None)


def _drawn(whole: Batch, recipe: Recipe, start: int, accelerator: Accelerator) -> Iterator[Batch]:
    """Batches of rows that are shuffled anew for every pass; a batch may end one and begin one."""
    count, world, size = len(whole.x0), accelerator.num_processes, recipe.batch
    if size % world:
        raise ArgumentError("batch", size, f"a multiple of the {world} processes")
    share = size // world
    order = _Order(count, recipe.seed)
    for step in range(start, 2**62):
        first = step * size + accelerator.process_index * share
        index = order.rows(first, share).to(whole.x0.device, non_blocking=True)
        labels = None if whole.labels is None else whole.labels[index.to(whole.labels.device)]
        yield _moved(Batch(whole.x0[index], labels), accelerator)


class _Order:
    """An endless order of the rows of data: one shuffled pass after the other."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.noise = count, SharedNoise(seed)
        self._number, self._pass = -1, torch.empty(0, dtype=torch.int64, device="cpu")

    def rows(self, first: int, many: int) -> Tensor:
        """The rows at places ``first`` and on: int64, shape ``(many,)``, on the CPU."""
        parts = []
        while many:
            number, place = divmod(first, self.count)
            if number != self._number:
                self._number, self._pass = number, self._shuffled(number)
            parts.append(self._pass[place : place + many])
            first, many = first + len(parts[-1]), many - len(parts[-1])
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _shuffled(self, number: int) -> Tensor:
        seed = self.noise.stream(f"order of pass {number}").seed
        generator = torch.Generator("cpu").manual_seed(seed)
        return torch.randperm(self.count, generator=generator, dtype=torch.int64, device="cpu")


def _loaded(
    data: Iterable[object], seed: int, start: int, accelerator: Accelerator
) -> Iterator[Batch]:
    """What a loader gives, again and again; what was seen before the start is passed over."""
    ours = isinstance(data, DataLoader)
    loader = accelerator.prepare_data_loader(data) if ours else data
    turns = 1 if ours else accelerator.num_processes  # accelerate shares out a DataLoader itself
    given = 0
    while True:
        iterator, before = None, given
        while True:
            seed_device(SharedNoise(seed).stream(f"batch {given}").seed, accelerator.device)
            iterator = iter(loader) if iterator is None else iterator
            batch = next(iterator, None)
            if batch is None:
                break
            given += 1
            mine = (given - 1) % turns == (accelerator.process_index if turns > 1 else 0)
            if (given - 1) // turns >= start and mine:
                yield _moved(as_batch(batch), accelerator)
        if given == before:
            raise ArgumentError(
                "data", type(data).__name__,
                f"a loader that gives batches and can be begun again; it gave {given} in all",
                "A list, a DataLoader, or an object with __iter__: no generator.",
            )  # fmt: skip


def _moved(batch: Batch, accelerator: Accelerator) -> Batch:
    """The batch where the network is.  "cpu:0" is no other place than "cpu"."""
    device = accelerator.device
    if device.type == "cpu" and batch.x0.device.type == "cpu":
        return batch
    labels = None if batch.labels is None else batch.labels.to(device, non_blocking=True)
    return Batch(batch.x0.to(device, non_blocking=True), labels)


def seed_device(seed: int, device: torch.device) -> None:
    """Seed what layers such as dropout draw from, on the CPU and on one device.

    ``torch.manual_seed`` seeds every kind of device that there is, at a cost of a small step.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
