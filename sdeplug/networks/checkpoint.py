"""Checkpoints: a folder with the weights, and a page of text that says what they are.

``model.safetensors`` has the weights, ``model.json`` names the SDE, what the network predicts and
is told, how it is built, the range of its data, its training step, and versions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from sdeplug.errors import (
    ArgumentError,
    MissingExtraError,
    PairingError,
    SdeplugError,
    brief,
    whole,
)
from sdeplug.networks.described import built_from, described
from sdeplug.networks.model import Model
from sdeplug.networks.weights import existing
from sdeplug.registry import from_spec, installed_version, to_spec
from sdeplug.score import PREDICTED, Parametrisation, check_pair
from sdeplug.sde import ForwardSDE, LinearSDE
from sdeplug.values import number

FORMAT = 1
_TEXT, _WEIGHTS = "model.json", "model.safetensors"
_PREDICTS: Mapping[str, type[Parametrisation]] = {each.__name__: each for each in PREDICTED}


def save(
    folder: str | Path,
    network: Callable[..., Tensor],
    sde: LinearSDE,
    parametrisation: type[Parametrisation],
    data_range: tuple[float, float] | None = None,
    step: int | None = None,
) -> None:
    """Write a network and what it is into a folder, which is made where it is missing.

    A checkpoint that is there is replaced when the new one is whole.

    Args:
        folder: path.
        network: module of (x, t), such as ``Labelled(network, sde, label)``.
        sde: the linear SDE that it was trained for.
        parametrisation: what it predicts.
        data_range: least and largest value of the data.
        step: number of training steps.

    Raises:
        ArgumentError: for a network that is no module, or an SDE that has no plain form.
        UnwrittenError: if the folder cannot be written to.
        MissingExtraError: without safetensors, the extra ``networks``.
    """
    if not isinstance(network, nn.Module):
        raise ArgumentError(
            "network", brief(network), "a module of torch, whose weights can be written",
            "A function around a module hides it: Labelled(module, sde, label) is a module.",
        )  # fmt: skip
    if parametrisation not in _PREDICTS.values():
        raise PairingError(
            f"parametrisation = {brief(parametrisation)}: must be one of {', '.join(_PREDICTS)}."
        )
    check_pair(sde, network)
    limits = _limits(data_range)
    text = {
        "format": FORMAT,
        "versions": {"sdeplug": installed_version("sdeplug"), "torch": torch.__version__},
        "sde": to_spec(sde),
        "predicts": parametrisation.__name__,
        "network": described(network),
        "data_range": limits,
        "step": step,
    }
    weights = {name: each.detach().cpu().clone() for name, each in network.state_dict().items()}
    to_file, target = _safetensors().torch.save_file, Path(folder)
    with whole("folder", target / _TEXT) as part:
        part.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
        with whole("folder", target / _WEIGHTS) as heavy:
            to_file(weights, heavy)


def load(folder: str | Path, network: nn.Module | None = None) -> Model:
    """Read what :func:`save` wrote.  Nothing in the folder is executed.

    Args:
        folder: path.
        network: a network of one's own class, of (x, label) or (x, t) as it was saved, to be
            filled; networks of sdeplug and of diffusers are built.

    Raises:
        ArgumentError: for a folder that is not there or is damaged, a newer format, or weights
            of another network.
        MissingExtraError: without safetensors or diffusers, the extra ``networks``.
    """
    path = existing(folder, "folder")
    if not (network is None or isinstance(network, nn.Module)):
        raise ArgumentError(
            "network", brief(network), "a module of torch to be filled, or left out"
        )
    text = _read(path)
    try:
        sde = cast(LinearSDE, from_spec(text["sde"], ForwardSDE))
        predicts = _PREDICTS[text["predicts"]]
        built = built_from(text["network"], sde, network)
        limits, step = _limits(text.get("data_range")), text.get("step")
    except SdeplugError:
        raise
    except KeyError as error:
        raise _damaged(path / _TEXT, f"It lacks {error}, or that is unknown here.") from error
    except (TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise _damaged(path / _TEXT, f"It does not say how to build it: {error}.") from error
    _fill(built, path / _WEIGHTS)
    return Model(built.eval(), sde, predicts, limits, step if isinstance(step, int) else None)


def _limits(data_range: object) -> tuple[float, float] | None:
    """A range of data.

    Raises:
        ArgumentError: unless it is two numbers, the lower first, or None.
    """
    if data_range is None:
        return None
    ends = tuple(map(number, data_range)) if isinstance(data_range, (list, tuple)) else ()
    if len(ends) != 2 or ends[0] is None or ends[1] is None or not ends[0] < ends[1]:
        raise ArgumentError("data_range", data_range, "two numbers, the lower first", "(-1, 1).")
    return ends[0], ends[1]


def _read(folder: Path) -> Mapping[str, Any]:
    """The page of text.

    Raises:
        ArgumentError: if it is not there, is damaged, or of a newer format.
    """
    file = existing(folder / _TEXT)
    try:
        text = json.loads(file.read_text(encoding="utf-8"))
        number = int(text["format"])
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(file, f"{type(error).__name__}: {error}.") from error
    if number > FORMAT:
        raise ArgumentError(
            "folder", str(folder), f"of format {FORMAT} at most, and it is of {number}",
            f"sdeplug {text.get('versions', {}).get('sdeplug')} wrote it: pip install -U sdeplug.",
        )  # fmt: skip
    return cast("Mapping[str, Any]", text)


def _fill(network: nn.Module, file: Path) -> None:
    """Put the weights of a file into a network, in the dtype that they have there.

    Raises:
        ArgumentError: if it is not there, is cut off, or has those of another network.
    """
    existing(file)
    library = _safetensors()
    try:
        weights = library.torch.load_file(file)
    except (OSError, ValueError, library.SafetensorError) as error:
        raise _damaged(file, f"{error}.") from error
    wanted = {name: tuple(each.shape) for name, each in network.state_dict().items()}
    given = {name: tuple(each.shape) for name, each in weights.items()}
    if wanted != given:
        names = sorted(set(wanted) | set(given))
        first = next(name for name in names if wanted.get(name) != given.get(name))
        raise ArgumentError(
            "file", str(file), "one of the weights of this network",
            f"Of {first} it has {given.get(first, 'none')}, and the network wants "
            f"{wanted.get(first, 'none')}.",
        )  # fmt: skip
    network.load_state_dict(weights, assign=True)


def _damaged(file: Path, why: str) -> ArgumentError:
    return ArgumentError("file", str(file), "a whole one, as save writes it", why)


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise MissingExtraError("a checkpoint", "safetensors", "networks") from error
    return safetensors
