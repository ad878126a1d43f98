"""What a network says that cannot be asked, in the words of what it was given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from sdeplug.errors import PairingError, SdeplugError, brief

_OF_DTYPE = ("dtype", "scalar type", "should be the same")
_OF_TABLE = ("'indices'", "embedding", "index out of range in self")
_OF_LABELS = ("label", "class", "condition", "nonetype")
_OF_SHAPE = ("shape", "size", "dimension", "channel", "index", "expected", "ambiguous")
_KINDS = (TypeError, RuntimeError, ValueError, LookupError, AssertionError, AttributeError)


@contextmanager
def understood(score_model: object, x: Tensor, what: str = "x") -> Iterator[None]:
    """Around the first evaluation of a network: what it says of its input becomes one sentence.

    Other errors are those of the network, and stay as they are.

    Args:
        score_model: score model with the network.
        x: what is asked about, shape ``(B, *D)``.
        what: what x is to the user, such as data.

    Raises:
        PairingError: if it cannot be asked: it wants labels, other times, or x of another shape or
            dtype.
    """
    try:
        yield
    except SdeplugError:
        raise
    except _KINDS as cause:
        sentence = _sentence(score_model, x, what, cause)
        if sentence is None:
            raise
        raise PairingError(sentence) from cause


def _sentence(score_model: object, x: Tensor, what: str, cause: Exception) -> str | None:
    """What the first kind says that an error is of; None where it is of no kind."""
    said, line = str(cause).lower(), _line(cause)
    if _has(said, _OF_TABLE):
        return (
            f"score_model = {brief(score_model)}: it looks something up in a table, by whole "
            "numbers. If that is the time, by its level: networks.from_module(network, sde, "
            "predicts=..., labels=LevelLabel(whole=True)), with sde=TabulatedSDE(betas=betas). If "
            "it is a class, labels are bound as int64: Bound(network, labels=labels). It failed "
            f"with: {line}."
        )
    if isinstance(cause, TypeError):
        return _labels(score_model, line) if "argument" in said else None
    if _has(said, _OF_DTYPE):
        return (
            f"dtype of {what}: must be that of the network. InDtype(score_model, dtype), with the "
            f"dtype of the network, stands between the two. It failed with: {line}."
        )
    if _has(said, _OF_LABELS):
        return _labels(score_model, line)
    if isinstance(cause, AttributeError):
        return None
    if not isinstance(cause, AssertionError) and not _has(said, _OF_SHAPE):
        return None
    return (
        f"{what} of shape {tuple(x.shape[1:])}: must be of the shape that the network was "
        "trained on. Or it wants labels, which are bound, or another time than t in [0, T] for "
        f"each row: FromNoise(Labelled(network, sde, TimeLabel(999)), sde). It failed with: {line}."
    )


def _labels(score_model: object, line: str) -> str:
    return (
        f"score_model = {brief(score_model)}: it cannot be called as (x, t) ({line}). "
        "Labels and other inputs are bound: FromNoise(Bound(network, labels=labels), sde)."
    )


def _has(said: str, words: tuple[str, ...]) -> bool:
    return any(each in said for each in words)


def _line(cause: Exception) -> str:
    return str(cause).strip().partition("\n")[0].rstrip(".") or type(cause).__name__
