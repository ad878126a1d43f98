"""What a network is known by: what it answers to a few fixed states."""

from __future__ import annotations

import math
from dataclasses import replace
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from sdeplug.noise import SharedNoise
from sdeplug.reverse import ReverseSDE
from sdeplug.score import Counted, InDtype, ScoreModel, for_rows
from sdeplug.tuning.rule import Numbers

_DIRECTIONS = 4  # that the predicted noise is seen along, in each state
_SAME, _SAME_IN_HALF = 2e-3, 5e-2  # of the noise, whose size is 1

_known: WeakKeyDictionary[ScoreModel, set[Numbers]] = WeakKeyDictionary()


def fingerprint(reverse: ReverseSDE, times: Numbers, x: Tensor, row: int = 0) -> Numbers:
    """The noise that a network sees in two fixed states, at the time in the middle and the last.

    Args:
        reverse: the reverse SDE of the network; its forward SDE is linear.
        times: of the steps of a solver.
        x: any state of shape ``(B, *D)``: for the shape of one, its dtype and device.
        row: the row of the batch whose labels, or whatever it has for each row, are used.
    """
    model, noise = _inside(reverse.score_model), SharedNoise(0)
    rows = torch.tensor([row], dtype=torch.int64, device=x.device)
    alone = replace(reverse, score_model=for_rows(model, rows))
    like = torch.empty((1 + _DIRECTIONS, *x.shape[1:]), dtype=x.dtype, device="cpu")
    found: list[float] = []
    for time in (times[(len(times) - 1) // 2], times[-2]):
        state, *directions = noise.normal(like).to(x.device)
        here = reverse.linear.at(time)
        with torch.no_grad():
            score = alone.score(math.hypot(here.alpha, here.sigma) * state[None], time)[0]
        found += [
            float((score * along).sum()) * -here.sigma / math.sqrt(score.numel())
            for along in directions
        ]
    return tuple(found)


def recognised(network: Numbers, reverse: ReverseSDE, times: Numbers, x: Tensor) -> bool:
    """Whether a network answers as the one that is known; it is asked once, not in each run.

    Args:
        network: the fingerprint; empty: any network is recognised.
        reverse: the reverse SDE of the network.
        times: those of the fingerprint.
        x: any state, as in :func:`fingerprint`.
    """
    model = _inside(reverse.score_model)
    try:
        seen = _known.setdefault(model, set())
    except TypeError:  # one that cannot be remembered is asked again
        seen = set()
    if not network or network in seen:
        return True
    allowed = _SAME_IN_HALF if isinstance(model, InDtype) else _SAME
    answers = zip(network, fingerprint(reverse, times, x), strict=True)
    if any(not abs(one - other) <= allowed for one, other in answers):
        return False
    seen.add(network)
    return True


def _inside(model: ScoreModel) -> ScoreModel:
    """The model that a run counts."""
    return model.score_model if isinstance(model, Counted) else model
