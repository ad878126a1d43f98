"""The one place where what a network returns is checked, before anything is computed with it.

Tensors of other shapes broadcast: a network of one channel for images of three, or one that
forgot the batch, would give samples and no error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from sdeplug.errors import ScoreModelError

_BARE = "lambda x, t: score_model(x, t){}"


def checked(output: object, x: Tensor, wrapper: str = "", rest: str = "sde") -> Tensor:
    """What a network returned for x, if it is a floating-point tensor of the shape of x.

    Its dtype may be another than that of x, as under autocast: what is computed with it comes in
    the dtype of x, which is that of the state.

    Args:
        output: what the network returned.
        x: state, shape ``(B, *D)``.
        wrapper: name of what the network is given to; "" for a score model.
        rest: what else it is given, as one writes it.

    Raises:
        ScoreModelError: for anything else; it says what to write instead.
    """
    if (
        isinstance(output, Tensor)
        and output.shape == x.shape
        and output.device == x.device
        and output.is_floating_point()
    ):
        return output
    source = f"the network of {wrapper}" if wrapper else "the score model"
    written = f"{wrapper}(lambda x, t: network(x, t){{}}, {rest})" if wrapper else _BARE
    if not isinstance(output, Tensor):
        what, fix = type(output).__name__, _taken_out(output, written)
        raise ScoreModelError(f"{source} returned {what}: must be a tensor like x. {fix}".rstrip())
    raise ScoreModelError(
        f"{source} returned shape {tuple(output.shape)}, {output.dtype} on {output.device} for x "
        f"of shape {tuple(x.shape)}, {x.dtype} on {x.device}: must be a floating-point tensor of "
        f"the same shape, on the same device. {_reshaped(output, x, written)}".rstrip()
    )


def _taken_out(output: object, written: str) -> str:
    """How to get the tensor out of what holds it."""
    if isinstance(getattr(output, "sample", None), Tensor):
        return f"Take it out: {written.format('.sample')}."
    if isinstance(output, Mapping):
        keys = [key for key, value in output.items() if isinstance(value, Tensor)]
        return f"Take it out: {written.format(f'[{keys[0]!r}]')}." if keys else ""
    if isinstance(output, Sequence) and output and isinstance(output[0], Tensor):
        return f"Take it out: {written.format('[0]')}."
    return ""


def _reshaped(output: Tensor, x: Tensor, written: str) -> str:
    """What to do about a tensor of another shape, where the reason can be seen."""
    channels = x.shape[1] if x.ndim > 1 else 0
    if output.shape == (len(x), 2 * channels, *x.shape[2:]):
        return (
            "Twice the channels are those of a network that has learned variances, too: take the "
            f"first half, {written.format(f'[:, :{channels}]')}."
        )
    if output.shape[1:] == x.shape[1:] and len(output) > len(x):
        return (
            "Rows that have arrived may leave the batch: what the network holds for each row is "
            "bound, so that it leaves too, Bound(network, labels=labels)."
        )
    return ""
