"""What a call of a scheduler hands over: the network's output, and the noise that was drawn.

A scheduler is given what the network says, where a solver asks for it.  The solver is the same:
its score model says what was given, and its source of noise gives what was drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from sdeplug import ArgumentError, NoiseSource, Run
from sdeplug_diffusers.arguments import counted, placed, real
from sdeplug_diffusers.needed import randn_tensor

_WIDE = (torch.float32, torch.float64)

Generators = torch.Generator | list[torch.Generator] | None
"""One generator for the batch, one for each row of it, or torch's own."""


@dataclass(frozen=True)
class Given:
    """A network that says what it has said already.

    Attributes:
        output: what the network said, shape ``(B, *D)``.
    """

    output: Tensor = field(repr=False)

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """The output, whatever the state and the time."""
        return self.output


class Handed(NoiseSource):
    """Noise that was drawn already.

    Args:
        noise: numbers of the shape of the state.
    """

    def __init__(self, noise: Tensor) -> None:
        self.noise = noise

    def normal(self, like: Tensor) -> Tensor:
        """The noise, in the dtype of ``like`` and where it is."""
        return self.noise.to(like.device, like.dtype)


class Drawing(NoiseSource):
    """Noise drawn as diffusers draws it.

    Args:
        generator: of the batch, or one for each row.
    """

    def __init__(self, generator: Generators) -> None:
        self.generator = generator

    def normal(self, like: Tensor) -> Tensor:
        """Fresh N(0, I) numbers of the shape, dtype and device of ``like``."""
        return drawn(like, self.generator)


def timed(timesteps: Tensor | None) -> Tensor:
    """The timesteps of a run.

    Raises:
        ValueError: where they are not set, in the words of diffusers.
    """
    if timesteps is None:
        raise ValueError(
            "`self.timesteps` is not set, you need to run 'set_timesteps' after creating the "
            "scheduler"
        )
    return timesteps


def evenly(end: float, steps: int, device: str | torch.device | None) -> Tensor:
    """Times from 1 to ``end``, float32, shape ``(steps,)``.

    Raises:
        ArgumentError: for a number of steps that is none, or an end that is not in [0, 1).
    """
    counted("num_inference_steps", steps)
    if not 0.0 <= real("sampling_eps", end) < 1.0:
        raise ArgumentError("sampling_eps", end, "a time in [0, 1), at which sampling ends")
    return torch.linspace(1, end, steps, dtype=torch.float32, device=placed(device))


def handing(noise: Tensor) -> Run:
    """A run whose noise was drawn already."""
    return Run(Handed(noise))


def drawn(like: Tensor, generator: Generators, everywhere: bool = True) -> Tensor:
    """N(0, I) numbers as diffusers draws them.

    Args:
        like: tensor of the shape that is wanted.
        generator: of the batch, or one for each row.
        everywhere: in the dtype and on the device of ``like``; False: in torch's default dtype on
            the CPU, as the corrector of diffusers does.

    Raises:
        ArgumentError: for a generator of another device, or fewer generators than rows.
    """
    several = generator if isinstance(generator, list) else [generator]
    if not all(isinstance(each, torch.Generator) for each in several if generator is not None):
        raise ArgumentError(
            "generator", generator, "a torch.Generator, a list of them, or None",
            "torch.Generator().manual_seed(0) makes one.",
        )  # fmt: skip
    if isinstance(generator, list) and len(generator) not in (1, len(like)):
        raise ArgumentError(
            "generator", f"{len(generator)} generators", f"one for each of the {len(like)} rows"
        )
    where = {"device": like.device, "dtype": like.dtype} if everywhere else {}
    try:
        noise: Tensor = randn_tensor(like.shape, generator=generator, layout=like.layout, **where)
        return noise
    except ValueError as error:
        raise ArgumentError(
            "generator", generator, f"one of the device of the sample, {like.device}",
            "One of the CPU serves every device; repaired=True draws where the sample is.",
        ) from error  # fmt: skip


def wide(x: Tensor) -> Tensor:
    """x in float32 at least, in which schedulers of diffusers answer."""
    return x if x.dtype in _WIDE else x.to(torch.promote_types(x.dtype, torch.float32))


def in_rows(
    places: Tensor, move: Callable[[Any, Tensor | slice], tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """Move the rows of each place by themselves; usually all are at one.

    Args:
        places: time or level of each row, shape ``(B,)``.
        move: (place, rows) -> the two results for these rows.
    """
    found = places.tolist()
    if len(set(found)) == 1:
        return move(found[0], slice(None))
    picked = [(place, (places == place).nonzero().flatten()) for place in sorted(set(found))]
    order = torch.cat([rows for _, rows in picked]).argsort()
    parts = [move(place, rows) for place, rows in picked]
    first, second = (torch.cat(each)[order] for each in zip(*parts, strict=True))
    return first, second
