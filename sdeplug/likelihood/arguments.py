"""What the caller has given, checked before anything is computed."""

from __future__ import annotations

from torch import Tensor

from sdeplug.errors import ArgumentError, PairingError, brief
from sdeplug.noise import NoiseSource, SharedNoise
from sdeplug.sde import ForwardSDE, LinearSDE, in_float32
from sdeplug.training import Decoder
from sdeplug.values import number


def checked_data(x: object, name: str = "x") -> Tensor:
    """States as they are carried: in float32 at least, with gradients to be had.

    Raises:
        ArgumentError: unless it is a finite floating-point tensor of shape ``(B, *D)``.
    """
    allowed = "a floating-point tensor of shape (B, *D): samples, then the shape of one"
    if not isinstance(x, Tensor):
        raise ArgumentError(name, type(x).__name__, allowed, f"torch.as_tensor({name}) makes one.")
    if x.ndim < 2 or not x.numel() or not x.is_floating_point():
        raise ArgumentError(name, f"{tuple(x.shape)} {x.dtype}", allowed)
    finite = x.detach().isfinite().flatten(1).all(1)
    if not bool(finite.all()):
        row = int((~finite).nonzero()[0])
        raise ArgumentError(name, f"a tensor whose row {row} is not finite", "finite")
    return in_float32(x.clone() if x.is_inference() else x)


def checked_noise(noise: object) -> NoiseSource:
    """The source of noise; ``SharedNoise(0)`` when none is given.

    Raises:
        PairingError: if it is none.
    """
    if noise is None:
        return SharedNoise(0)
    if not isinstance(noise, NoiseSource):
        raise PairingError(f"noise = {brief(noise)}: must be a NoiseSource, as SharedNoise(seed).")
    return noise


def checked_decoder(decoder: object) -> Decoder:
    """The law of data given a state near them.

    Raises:
        PairingError: if it is none.
    """
    if not isinstance(decoder, Decoder):
        raise PairingError(
            f"decoder = {brief(decoder)}: must be Continuous() or Discretised(levels)."
        )
    return decoder


def checked_time(t: object, forward: ForwardSDE, default: float) -> float:
    """The time of the data; the default when it is not given.

    Raises:
        ArgumentError: unless it is a time at which there is noise, before T.
    """
    found = default if t is None else number(t)
    if found is None or not 0.0 <= found < forward.T:
        raise ArgumentError("t", t, f"a time with 0 <= t < T = {forward.T}")
    if isinstance(forward, LinearSDE) and not forward.at(found).sigma > 0.0:
        raise ArgumentError(
            "t", t, "a time at which sigma is not 0",
            f"There is no score there; t = {max(forward.eps, 1e-5):g} is close to it.",
        )  # fmt: skip
    return float(found)
