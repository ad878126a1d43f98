"""A score belongs to an SDE: the two must match, wherever the score knows its own."""

from __future__ import annotations

import torch

from sdeplug.errors import PairingError
from sdeplug.score.model import sde_of
from sdeplug.sde import ForwardSDE, LinearSDE

_PLACES = (0.1, 0.4, 0.7, 1.0)  # of T: where alpha and sigma are compared


def check_pair(forward: ForwardSDE, score_model: object) -> None:
    """Refuse the score of another SDE.

    Args:
        forward: the forward SDE that is to be reversed.
        score_model: a score model, which may know its SDE.

    Raises:
        PairingError: if it does, and that is another one.
    """
    known = sde_of(score_model)
    if known is None or same_law(forward, known):
        return
    raise PairingError(
        f"score_model is a score under {known!r}, and forward = {forward!r}: must be the same SDE. "
        "Make both from one: sde = ..., ReverseSDE(sde, FromNoise(network, sde)), with the SDE "
        "that the network was trained for, or ReverseSDE(sde, target.score(sde))."
    )


def same_law(forward: ForwardSDE, known: ForwardSDE) -> bool:
    """Whether two SDEs have the same p_t: linear ones by alpha and sigma, so that it does not
    matter where sampling ends, or who wrapped one of them."""
    if forward is known:
        return True
    if not (isinstance(forward, LinearSDE) and isinstance(known, LinearSDE)):
        return bool(forward == known)
    t = forward.T * torch.tensor(_PLACES, dtype=torch.float64, device="cpu")
    levels = ((forward.log_alpha, known.log_alpha), (forward.sigma, known.sigma))
    return all(torch.allclose(one(t), other(t), rtol=1e-6, atol=1e-12) for one, other in levels)
