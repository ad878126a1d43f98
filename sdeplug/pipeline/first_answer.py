"""A look at the first answer of a network in a run, which costs no evaluation.

A run begins in noise alone, and there any network that was trained sees the noise.  One that is
told another time than in its training mostly does not: it answers as in little noise.  Then, and
only then, it is asked about a few more rows, so that what is wrong can be named.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from sdeplug.errors import brief, warn
from sdeplug.pipeline.readings import Seen, better_reading
from sdeplug.reverse import ReverseSDE
from sdeplug.score import Counted, Reading, for_rows, network_of, other_labels
from sdeplug.sde import LinearSDE, expand

_LARGEST = 150.0  # noise ratio from which on nothing of the data is seen
_DOWN = (1.0, 3.0, 10.0)  # what it is divided by for levels that are noise alone
_LOW = 50.0  # what it is divided by for the least ratio at which a first answer is looked at
_FEW = 16  # numbers from which nothing is concluded
_ROWS = 16
_MISSED = 0.4  # of the noise; networks that are right miss 0.3 at most, after a hundred steps too
_NEARER = 4.0  # in mean square, where it is told the label of its training
_NOTHING = 1.25  # an answer of 0 misses 1, and a network that was never trained little more


@torch.no_grad()
def warn_unless_heard(reverse: ReverseSDE, x: Tensor, t: Tensor, score: Tensor) -> None:
    """Warn if a network does not see the noise where a run begins.

    Nothing is said of a score that is not that of a network, or is not asked about noise alone; nor
    of one that is counted already, since who counts has a word of its own.

    Args:
        reverse: the reverse SDE with the network.
        x: the first states that it was asked about, shape ``(B, *D)``.
        t: their times, shape ``(B,)``.
        score: what it said, like x.
    """
    sde, given = reverse.forward, network_of(reverse.score_model)
    counted = isinstance(reverse.score_model, Counted)
    if given is None or counted or not isinstance(sde, LinearSDE):
        return
    top = min(math.exp(-0.5 * sde.at(min(sde.T, sde.horizon)).log_snr), _LARGEST)
    if not _missed(sde, x, t, score, top / _LOW) > _MISSED:
        return
    rows = torch.arange(min(len(x), _ROWS), dtype=torch.int64, device=x.device)
    few = replace(reverse, score_model=for_rows(reverse.score_model, rows))
    seen = [Seen.at(sde, torch.zeros_like(x[: len(rows)]), top / each) for each in _DOWN]
    try:
        missed = math.sqrt(seen[0].loss(few))
    except Exception:  # it holds something for each row, without saying so
        return
    if not missed > _MISSED:
        return
    found = better_reading(few, other_labels(few.score_model), seen, _NEARER)
    if found is None and not missed > _NOTHING:
        return
    warn(
        f"{brief(given, 200)}: in noise alone, at t = {seen[0].t:.3g}, the noise that it predicts "
        f"is off by {missed:.0%}. {_asking(few, seen[0], found and found[0])} "
        "diagnose(reverse, data) says more."
    )


def _asking(reverse: ReverseSDE, alone: Seen, reading: Reading | None) -> str:
    """What people are asked about their network."""
    if reading is None:
        return (
            "Is it told the time as in its training, and does it predict what is said? "
            "networks.from_module(network, sde, predicts=..., labels=...) says both."
        )
    missed = math.sqrt(alone.loss(replace(reverse, score_model=reading.score_model)))
    return f"As {reading} it is off by {missed:.0%}: is it that?"


def _missed(sde: LinearSDE, x: Tensor, t: Tensor, score: Tensor, least: float) -> float:
    """Root mean square of the noise that was not seen, in units of its own; 0 where none is alone.

    Looked at are the rows in the most noise, where the ratio is at least ``least``, and x is as
    large as the noise.
    """
    first, last = (float(each) for each in t.aminmax())
    sigma: float | Tensor = sde.at(last).sigma
    if first < last:
        ratio = (-0.5 * sde.log_snr(t.to(torch.float64))).exp()
        alone = ratio >= max(least, 0.5 * float(ratio.max()))
        x, score, t = x[alone], score[alone], t[alone]
        sigma = expand(sde.sigma(t.to(torch.float64)).to(x.dtype), x)
    elif math.exp(-0.5 * sde.at(last).log_snr) < least:
        return 0.0
    if x.numel() < _FEW:
        return 0.0
    noise = x / sigma
    size, missed = (float(each.norm()) for each in (noise, noise + score * sigma))
    return missed / size if 0.5 < size / math.sqrt(x.numel()) < 2.0 else 0.0
