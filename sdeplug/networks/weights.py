"""Weights from files, by the readers that execute nothing."""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sdeplug.errors import ArgumentError

_EDM = (b"torch_utils.persistence", b"dnnlib")
_HEAD = 1 << 16  # bytes: the names of classes stand at the beginning of a pickle
_CONVERT = (
    "It is a pickle of EDM, which holds code. Where that code is trusted, convert it once, in "
    "EDM's own repository: python -c \"import pickle, torch; net = pickle.load(open('in.pkl', "
    "'rb'))['ema']; torch.save({'settings': dict(net.init_kwargs), 'weights': net.state_dict()}, "
    "'out.pt')\". Then build the network from its settings, load the weights, and "
    "from_module(net, EDMSDE(), predicts=FromDenoiser, labels=SigmaLabel())."
)


def existing(path: str | Path, name: str = "file") -> Path:
    """A path at which there is something.

    Raises:
        ArgumentError: if there is nothing, or it is no path.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise ArgumentError(name, path, f"the path of a {name}")
    found = Path(path)
    if not found.exists():
        raise ArgumentError(name, str(path), f"a {name} that is there")
    return found


def read_pickle(path: str | Path) -> Mapping[str, Any]:
    """What ``torch.save`` wrote, if it is tensors, numbers, texts and collections of them.

    Nothing in the file is executed.

    Raises:
        ArgumentError: for a file that is not there, is cut off, or holds anything else.
    """
    file = existing(path)
    if file.is_dir():
        raise ArgumentError(
            "file", str(path), "a file of weights, not a folder",
            "networks.load reads what save wrote, from_diffusers what diffusers did.",
        )  # fmt: skip
    with file.open("rb") as stream:
        head = stream.read(_HEAD)
    if any(word in head for word in _EDM):
        raise ArgumentError("file", str(path), "a file of weights", _CONVERT)
    try:
        with _numbers_of_numpy(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of the protocol of the pickle
            content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ArgumentError(
            "file", str(path), "a file of weights and nothing else: code in it is not run",
            f"{_first_line(error)} What is trusted is converted once, where it was made: "
            "torch.save(network.state_dict(), file).",
        ) from error  # fmt: skip
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise ArgumentError(
            "file", str(path), "a whole file, as torch.save writes it", _first_line(error)
        ) from error
    if not isinstance(content, Mapping):
        raise ArgumentError("file", str(path), f"a table, not {type(content).__name__}")
    return content


def _numbers_of_numpy() -> contextlib.AbstractContextManager[Any]:
    """Optimisers of the reference hold a learning rate of numpy: a number, and no code."""
    allow = getattr(torch.serialization, "safe_globals", None)  # torch 2.5 and later
    if allow is None:
        return contextlib.nullcontext()
    scalar = np.float64(0.0).__reduce__()[0]
    kinds = [type(np.dtype(each)) for each in (np.float32, np.float64, np.int64)]
    old = (scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar")
    manager: contextlib.AbstractContextManager[Any] = allow([*old, np.dtype, *kinds])
    return manager


def _first_line(error: Exception) -> str:
    """The first sentence of an error, without the colours of a terminal; its class if it has none.

    Of torch what comes after it is how to run the code of a pickle all the same.
    """
    line = re.sub(r"\x1b.*?m", "", (str(error).splitlines() or [""])[0])
    return f"{line.split('. ')[0].strip().rstrip('.') or type(error).__name__}."
