"""Data in two parts, and a first look at the network with them: what does not fit is said here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sdeplug.errors import ArgumentError, ScoreModelError
from sdeplug.metrics import stream
from sdeplug.noise import NoiseSource
from sdeplug.reverse import ReverseSDE
from sdeplug.score.understood import understood
from sdeplug.sde import in_float32
from sdeplug.targets import Target
from sdeplug.training.data import check_data
from sdeplug.values import as_tensor

Data = Tensor | np.ndarray | Target
"""Rows of shape ``(n, *D)``, or a law whose score is exact."""

LEAST = 32  # rows of data
_KNOWN, _OTHER = 2000, 2048  # rows that are as good as more of them


@dataclass(frozen=True, eq=False)
class Held:
    """Data in two parts, shuffled.

    Attributes:
        known: rows that something is fitted to, float32 at least, shape ``(n, *D)``.
        other: rows that it is measured with, likewise.
        target: the law of both, where it is exact; else None.
    """

    known: Tensor
    other: Tensor
    target: Target | None = None


def in_two(data: object, seed: int) -> Held:
    """Data in two parts.

    Args:
        data: rows of shape ``(n, *D)``, or a target, from which they are drawn.
        seed: of the order, or of the draws.

    Raises:
        ArgumentError: for data that are none, or too few.
    """
    noise = stream(seed, "data")
    if isinstance(data, Target):
        drawn = data.sample(_KNOWN + _OTHER, noise=noise)
        return Held(drawn[:_KNOWN], drawn[_KNOWN:], data)
    x = _shuffled(_rows(data), noise)
    half = len(x) // 2
    return Held(x[half:][:_KNOWN], x[:half][:_OTHER])


def first_look(reverse: ReverseSDE, held: Held) -> None:
    """Ask the network once, in the middle of its time, about two rows of data.

    Raises:
        ArgumentError: for data so large that the SDE cannot hide them: images from 0 to 255.
        PairingError: if it cannot be asked: it wants labels, or data of another shape.
        ScoreModelError: if what it says is no score.
    """
    x = held.other
    if held.target is None:
        check_data("data", x, reverse.forward)
    t = 0.5 * (reverse.forward.eps + reverse.forward.T)
    with torch.no_grad(), understood(reverse.score_model, x, "data"):
        score = reverse.score(x[:2], t)
    if not bool(score.isfinite().all()):
        raise ScoreModelError(
            f"the score model returned numbers that are not finite for data at t = {t:g}. Look at "
            "the range of the data, and at what the network is told of the time."
        )


def _rows(data: object) -> Tensor:
    x = as_tensor(data)
    allowed = f"a floating-point tensor of shape (n, *D), {LEAST} rows at least, or a Target"
    if not isinstance(x, Tensor):
        shown = f"array of {x.dtype}" if isinstance(x, np.ndarray) else type(data).__name__
        raise ArgumentError("data", shown, allowed, "torch.as_tensor(data) makes one of numbers.")
    if x.ndim < 2 or not x.is_floating_point() or len(x) < LEAST:
        hint = "Images from 0 to 255 are data.float() / 127.5 - 1."
        whole = not x.is_floating_point()
        raise ArgumentError("data", f"{tuple(x.shape)} {x.dtype}", allowed, hint if whole else "")
    if not bool(x.isfinite().all()):
        row = int((~x.isfinite()).flatten(1).any(1).nonzero()[0])
        raise ArgumentError("data", f"a tensor whose row {row} is not finite", "finite")
    return in_float32(x.detach())


def _shuffled(x: Tensor, noise: NoiseSource) -> Tensor:
    order = noise.normal(torch.empty(len(x), dtype=torch.float64, device="cpu")).argsort()
    return x[order.to(x.device)]
