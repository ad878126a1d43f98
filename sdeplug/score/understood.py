"""What a network says that cannot be asked, in the words of what it was given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from sdeplug.errors import PairingError, SdeplugError, brief

_OF_ITS_INPUT = (
    "shape",
    "size",
    "dimension",
    "channel",
    "scalar type",
    "dtype",
    "index",
    "expected",
)


@contextmanager
def understood(score_model: object, x: Tensor, what: str = "x") -> Iterator[None]:
    """Around the first evaluation of a network: what it says of its input becomes one sentence.

    Other errors are those of the network, and stay as they are.

    Args:
        score_model: score model with the network.
        x: what is asked about, shape ``(B, *D)``.
        what: what x is to the user, such as data.

    Raises:
        PairingError: if it cannot be asked: it wants labels, other times, or x of another shape.
    """
    try:
        yield
    except SdeplugError:
        raise
    except TypeError as cause:
        if "argument" not in str(cause):
            raise
        raise PairingError(
            f"score_model = {brief(score_model)}: it cannot be called as (x, t) ({_line(cause)}). "
            "Labels and other inputs are bound: FromNoise(Bound(network, labels=labels), sde)."
        ) from cause
    except (RuntimeError, ValueError, LookupError) as cause:
        if not any(each in str(cause).lower() for each in _OF_ITS_INPUT):
            raise
        raise PairingError(
            f"{what} of shape {tuple(x.shape[1:])}: must be of the shape that the network was "
            "trained on. Or it wants labels, which are bound, or another time than t in [0, T]: "
            "FromNoise(Labelled(network, sde, TimeLabel(999)), sde). It failed with: "
            f"{_line(cause)}."
        ) from cause


def _line(cause: Exception) -> str:
    return str(cause).strip().partition("\n")[0].rstrip(".")
