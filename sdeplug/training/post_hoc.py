"""Averages of weights whose length is chosen when the training is over.

Karras et al., arXiv 2312.02696, section 3.2 and appendix C.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sdeplug.errors import ArgumentError, MissingExtraError
from sdeplug.options import Configured, option
from sdeplug.training.averages import WIDEST, exponent
from sdeplug.training.checkpoint import difference
from sdeplug.values import number

_FOLDER = "snapshots"
_FAR = 0.1  # of the size of a profile: what the nearest combination may be off


@dataclass(frozen=True)
class PostHoc(Configured):
    """What a training keeps so that the length of an average can be chosen afterwards.

    Snapshots of averages that count a step by a power of it, in the folder of the training: any
    other such average is nearly a combination of them, :func:`post_hoc_average`.  The width of
    one is the standard deviation of the steps that count, over all steps.
    """

    widths: tuple[float, ...] = option(
        (0.05, 0.1), help="widths of the averages that are kept", gt=0.0, lt=WIDEST
    )
    every: int = option(1000, help="steps between two snapshots", ge=1)

    def due(self, step: int, last: int) -> bool:
        """Whether a snapshot is written after a step."""
        return step % self.every == 0 or step == last

    def keep(self, folder: Path, step: int, averages: Sequence[nn.Module]) -> None:
        """Write a snapshot; averages: one for each width."""
        target = folder / _FOLDER
        target.mkdir(parents=True, exist_ok=True)
        for width, network in zip(self.widths, averages, strict=True):
            path = Profile(step, width).path(target)
            tensors = {name: each.cpu().clone() for name, each in network.state_dict().items()}
            _safetensors().torch.save_file(tensors, path.with_suffix(".part"))
            os.replace(path.with_suffix(".part"), path)


class Profile(NamedTuple):
    """Which steps an average counts: up to a step, by the power that a width says."""

    step: int
    width: float

    def path(self, folder: Path) -> Path:
        """Where the average is written."""
        return folder / f"{self.step:08d}-{self.width!r}.safetensors"


def snapshots(folder: Path) -> dict[Profile, Path]:
    """The files of a training's averages, by what they count."""
    found = {}
    for path in sorted((folder / _FOLDER).glob("*-*.safetensors")):
        step, width = path.stem.split("-", 1)
        found[Profile(int(step), float(width))] = path
    return found


def forget(folder: Path, after: int) -> None:
    """Remove the snapshots after a step: of another training, or yet to be written again."""
    for profile, path in snapshots(folder).items():
        if profile.step > after:
            path.unlink()


def combination(kept: Sequence[Profile], wanted: Profile) -> Tensor:
    """The factors with which averages add up to the nearest to another one, by least squares.

    Algorithm 3 of the paper; they sum to 1 as in its implementation, so that weights that stay
    are kept.

    Raises:
        ArgumentError: if even that is far from it.
    """
    target = _products(kept, [wanted])
    factors: Tensor = torch.linalg.lstsq(_products(kept, kept), target, driver="gelsd").solution
    far = 1.0 - float((factors * target).sum() / _products([wanted], [wanted]))
    if far > _FAR**2:
        raise ArgumentError(
            "width", wanted.width, f"one that the {len(kept)} averages in the snapshots can make",
            f"The nearest is {far**0.5:.0%} off: take a wider one, or snapshots more often.",
        )  # fmt: skip
    return factors[:, 0] / factors.sum()


def _products(rows: Sequence[Profile], columns: Sequence[Profile]) -> Tensor:
    """Inner products of densities (g + 1) k^g / n^(g + 1) of the steps k <= n, equation 151."""
    (n, g), (m, h) = (
        torch.tensor(
            [(each.step, exponent(each.width)) for each in part], dtype=torch.float64, device="cpu"
        ).unbind(1)
        for part in (rows, columns)
    )
    n, g = n[:, None], g[:, None]
    size: Tensor = (g + 1.0) * (h + 1.0) / (g + h + 1.0) / torch.maximum(n, m)
    return size * (m / n).clamp(max=1.0) ** g * (n / m).clamp(max=1.0) ** h


def post_hoc_average(
    network: nn.Module, folder: str | Path, width: float, step: int | None = None
) -> nn.Module:
    """An average of the weights of a training, with a width that is chosen now.

    Args:
        network: of the class that was trained; it is copied.
        folder: that of the training, whose trainer had ``post_hoc=PostHoc()``.
        width: standard deviation of the steps that count, over all steps.
        step: that of a snapshot, at which the average ends; None: the last.

    Returns:
        The copy with those weights, in eval mode, without gradients; its buffers are those of
        the step.

    Raises:
        ArgumentError: for a folder without snapshots or with damaged ones, a step that has none,
            a width that they cannot make, or another network.
        MissingExtraError: without safetensors, the extra ``train``.
    """
    wide = number(width)
    if wide is None or not 0.0 < wide < WIDEST:
        raise ArgumentError("width", width, f"a number in (0, {WIDEST:.4f})")
    if not isinstance(network, nn.Module):
        raise ArgumentError("network", network, "a torch.nn.Module, of the class that was trained")
    files = _until(folder, step)
    factors = combination([*files], Profile(max(files).step, wide)).tolist()
    found = copy.deepcopy(network).requires_grad_(False).eval()
    sums = {name: each.double().zero_() for name, each in found.named_parameters()}
    for path, factor in zip(files.values(), factors, strict=True):
        weights = _read(path, found)
        for name, total in sums.items():
            total.add_(weights[name], alpha=factor)
    found.load_state_dict({**weights, **sums})
    return found


def _until(folder: str | Path, step: int | None) -> dict[Profile, Path]:
    """The snapshots up to a step.

    Raises:
        ArgumentError: if there are none, or none of that step.
    """
    files = snapshots(Path(folder)) if isinstance(folder, (str, os.PathLike)) else {}
    if not files:
        raise ArgumentError(
            "folder", folder, "that of a training with snapshots",
            "Trainer(..., post_hoc=PostHoc()) writes them into the folder of its journal.",
        )  # fmt: skip
    steps = sorted({each.step for each in files})
    if step is not None and step not in steps:
        raise ArgumentError("step", step, f"one of {', '.join(map(str, steps))}")
    last = steps[-1] if step is None else step
    return {profile: path for profile, path in files.items() if profile.step <= last}


def _read(path: Path, network: nn.Module) -> dict[str, Tensor]:
    """The weights in a snapshot.

    Raises:
        ArgumentError: if it is damaged, or of another network.
    """
    library = _safetensors()
    try:
        weights: dict[str, Tensor] = library.torch.load_file(path)
    except (OSError, ValueError, library.SafetensorError) as error:
        raise ArgumentError(
            "folder", str(path.parent), f"one whose {path.name} can be read",
            "It is damaged: remove it, and the average is made of the others.",
        ) from error  # fmt: skip
    differing = difference(network.state_dict(), weights)
    if differing:
        raise ArgumentError(
            "folder", str(path.parent), "one of a training of this network",
            f"In a snapshot there, {differing}.",
        )  # fmt: skip
    return weights


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise MissingExtraError("a snapshot", "safetensors", "train") from error
    return safetensors
