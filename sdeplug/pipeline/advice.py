"""What to do about a state that is not finite: whose fault it is, and what helps."""

from __future__ import annotations

import torch

from sdeplug.errors import NonFiniteError
from sdeplug.reverse import ReverseSDE
from sdeplug.solvers import Integrator

_BELOW = 0.999  # of a time: what a score that ends there is asked at, to see that it does


def advice(error: NonFiniteError, by: Integrator, reverse: ReverseSDE, dtype: torch.dtype) -> str:
    """Sentences for people, perhaps none where the error says it all.

    Args:
        error: what happened.
        by: the solver at work.
        reverse: the reverse SDE, whose score is asked again.
        dtype: dtype of the samples, and of what the score model sees.
    """
    most = torch.finfo(dtype).max
    if error.last is not None and not bool((error.last.abs() <= most).all()):
        return (
            f"The state is beyond {most:g}, the largest number of {dtype}: take "
            "dtype=torch.bfloat16 or torch.float32."
        )
    lost = _score_lost_at(error, reverse)
    if lost is not None:
        where = "" if lost == error.last_t else f" for t = {lost:.6g}"
        return (
            f"The score model itself is not finite at the last finite state{where}.{_cure(dtype)}"
        )
    if error.t == 0.0:
        return "Where sigma is 0 there is no score: run to eps, and let Denoise() go to 0."
    if error.step is not None:
        return ""
    if by.claims.order is None and by.claims.evaluations is None:
        return "Use smaller steps or, where it chooses them itself, a smaller tolerance."
    return "Use smaller steps, or an adaptive solver."


def _score_lost_at(error: NonFiniteError, reverse: ReverseSDE) -> float | None:
    """A time between the last finite state and the first that is not, or just below, at which
    the score of the former is not finite; None if there is none."""
    if error.last is None or error.last_t is None:
        return None
    times = (error.last_t, 0.5 * (error.last_t + error.t), error.t, _BELOW * error.t)
    for t in times:
        if t > 0.0:
            try:
                score = reverse.score(error.last, t)
            except Exception:  # a model that does not answer here has no part in the advice
                return None
            if not bool(score.isfinite().all()):
                return t
    return None


def _cure(dtype: torch.dtype) -> str:
    if dtype != torch.float16:
        return ""
    return (
        " It runs in torch.float16, whose largest number is 65504: take dtype=torch.bfloat16, "
        "or torch.float32 with InDtype(network, torch.float16) inside the score."
    )
