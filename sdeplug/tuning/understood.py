"""What a network says that cannot be asked, in the words of what it was given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from sdeplug.errors import PairingError, SdeplugError, brief
from sdeplug.reverse import ReverseSDE


@contextmanager
def understood(reverse: ReverseSDE, what: str, x: Tensor) -> Iterator[None]:
    """Around the first evaluation of a network: its own errors become one sentence.

    Args:
        reverse: the reverse SDE with the network.
        what: what x is to the user, such as data.
        x: what is asked about, shape ``(B, *D)``.

    Raises:
        PairingError: if it cannot be asked: it wants labels, or x of another shape.
    """
    try:
        yield
    except SdeplugError:
        raise
    except TypeError as cause:
        raise PairingError(
            f"score_model = {brief(reverse.score_model)}: it cannot be called as (x, t) "
            f"({_line(cause)}). Labels and other inputs are bound: "
            "FromNoise(Bound(network, labels=labels), sde)."
        ) from cause
    except (RuntimeError, ValueError, IndexError, KeyError) as cause:
        raise PairingError(
            f"{what} of shape {tuple(x.shape[1:])}: must be of the shape that the network was "
            f"trained on, and it must take labels as it gets them. It failed: {_line(cause)}."
        ) from cause


def _line(cause: Exception) -> str:
    return str(cause).strip().partition("\n")[0].rstrip(".")
